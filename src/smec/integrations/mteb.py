"""MTEB: an encoder whose vectors are compressed, and its results size by size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smec.compressor import Compressor
from smec.encoder import served
from smec.errors import MissingExtraError
from smec.integrations.inputs import loaded

try:
    import mteb
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ScoringFunction
except ImportError as error:
    raise MissingExtraError("mteb", "mteb", "smec.integrations.mteb") from error

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import EncoderProtocol
    from mteb.results import ModelResult
    from mteb.types import BatchedInput, PromptType
    from torch.utils.data import DataLoader

    from smec.vectors import Float32Array


class CompressedEncoder(AbsEncoder):
    """Any MTEB encoder followed by a compressor.

    Its ``ModelMeta`` is that of the encoder with the small ``embed_dim`` and, as ``experiment_kwargs``, the
    size and the compressor's fingerprint, that of queries too: MTEB keeps the results apart from those of the
    full vectors.

    Parameters
    ----------
    model : mteb.models.EncoderProtocol
        The model that the compressor was trained for: ``mteb.get_model(...)``, or
        ``mteb.models.SentenceTransformerEncoderWrapper(...)`` of a loaded one.
    compressor : Compressor, str or Path
        One, or the folder of one.
    dim : int, optional
        A served size; the largest by default.

    Raises
    ------
    ArtefactError
        The folder is not that of a compressor.
    ConfigError
        The size is not served.
    """

    def __init__(
        self, model: EncoderProtocol, compressor: Compressor | str | Path, dim: int | None = None
    ) -> None:
        self.model = model
        self.compressor = loaded(compressor)
        self.dim = served(dim, self.compressor.dims, self.compressor.name)
        meta = model.mteb_model_meta
        of_smec = {"smec_dim": self.dim, "smec_compressor": self.compressor.query_fingerprint[:12]}
        self.mteb_model_meta = meta.model_copy(
            update={
                "loader": None,  # the encoder's own would load it without the compressor
                "embed_dim": self.dim,
                "similarity_fn_name": ScoringFunction.COSINE,
                "experiment_kwargs": {**(meta.experiment_kwargs or {}), **of_smec},
            }
        )

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> Float32Array:
        """Encode as the model does, and compress to unit rows of shape (n, dim).

        Raises
        ------
        DataError
            The model's vectors are of another width than the compressor is for, or cannot be used.
        """
        vectors = self.model.encode(
            inputs,
            task_metadata=task_metadata,
            hf_split=hf_split,
            hf_subset=hf_subset,
            prompt_type=prompt_type,
            **kwargs,
        )
        rows = vectors if isinstance(vectors, np.ndarray) else vectors.float().cpu().numpy()
        asked = prompt_type is not None and prompt_type.value == "query"
        encode = self.compressor.encode_queries if asked else self.compressor.encode
        return encode(rows, self.dim)


def evaluate_sizes(
    model: EncoderProtocol,
    compressor: Compressor | str | Path,
    tasks: AbsTask | Iterable[AbsTask],
    dims: Sequence[int] | None = None,
    **settings: Any,
) -> dict[int, ModelResult]:
    """Evaluate an encoder on MTEB tasks, alone and with a compressor at every size.

    The model encodes the texts once per size; give it as
    ``mteb.models.CachedEmbeddingWrapper(model, FOLDER)`` to encode them once.

    Parameters
    ----------
    model, compressor
        As for `CompressedEncoder`.
    tasks : AbsTask or iterable of AbsTask
    dims : sequence of int, optional
        All served sizes by default. The compressor's own vectors of the full width, if it serves that, are
        left out: the full width stands for the model's.
    **settings
        Those of ``mteb.evaluate``.

    Returns
    -------
    dict of int to mteb.results.ModelResult
        By size, descending, the first being the full vectors.
    """
    whole = loaded(compressor)
    wanted = list(tasks) if isinstance(tasks, Iterable) else [tasks]
    encoders = [CompressedEncoder(model, whole, dim) for dim in _smaller(whole, dims)]
    results = {whole.input_dim: mteb.evaluate(model, wanted, **settings)}
    for encoder in encoders:
        results[encoder.dim] = mteb.evaluate(encoder, wanted, **settings)
    return results


def _smaller(compressor: Compressor, dims: Sequence[int] | None) -> list[int]:
    return sorted((dim for dim in dims or compressor.dims if dim < compressor.input_dim), reverse=True)
