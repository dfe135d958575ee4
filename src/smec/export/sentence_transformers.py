"""To sentence-transformers: the embedding model with small output, as a folder of that library's own modules.

``SentenceTransformer(PATH)`` loads it without smec and without ``trust_remote_code``.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from smec.errors import ConfigError
from smec.export.order import Order

README = """\
---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- feature-extraction
- smec
---

# {title}

{words}. Made by smec {smec_version} from the compressor `{smec_fingerprint}` and the embedding model
`{encoder}`.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("THIS_FOLDER")
small = model.encode(["a text"])  # (1, {dim}), unit rows
```

{queries}{truncation}
"""
QUERIES = """\
Queries have a matrix of their own: encode them by `model.encode_query`. `model.encode` and
`model.encode_document` make documents.

"""
NESTED = """\
Prefixes of {dim} that are sizes of their own: {sizes}. The library truncates after the last module, so ask
for unit length again where you score by inner products:
`model.encode(texts, truncate_dim={last}, normalize_embeddings=True)`. Any other `truncate_dim` is not what
was trained and measured."""
ALONE = "Do not set `truncate_dim`: no prefix of {dim} is a size that was trained and measured."
SEPARATE = " In particular not to {sizes}: that has a matrix of its own, which is not in this folder."


def write(order: Order, output: Path) -> None:
    """Write the model's folder and its card."""
    model = order.compressor.attach(_loaded(str(order.encoder)), order.dim)
    try:
        model.save(str(output), create_model_card=False)
    except SafetensorError as error:  # its own for a full disk
        raise OSError(str(error)) from error
    stamp = order.stamp() | {"encoder": Path(str(order.encoder)).name}
    (output / "smec.json").write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    words = ". ".join(order.in_words()[:1])
    queries = QUERIES if order.own_queries else ""
    title = f"{stamp['encoder']}, {order.input_dim} → {order.dim} dims"
    text = README.format(title=title, words=words, queries=queries, truncation=_truncation(order), **stamp)
    (output / "README.md").write_text(text, encoding="utf-8")


def _loaded(name: str) -> SentenceTransformer:
    try:
        return SentenceTransformer(name, device="cpu")
    except Exception as error:  # of the library and of all that reads files for it: they share no other base
        reason = next(
            (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise ConfigError(f"encoder {name}: cannot be loaded: {reason}") from error


def _truncation(order: Order) -> str:
    smaller = order.prefixes[1:]
    sizes = ", ".join(map(str, smaller))
    text = (NESTED if smaller else ALONE).format(dim=order.dim, sizes=sizes, last=order.prefixes[-1])
    if order.separate:
        text += SEPARATE.format(sizes=", ".join(map(str, order.separate)))
    return text
