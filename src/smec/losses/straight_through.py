"""What a code makes of vectors, with the gradient of the vectors themselves (straight through)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from smec.codecs import Codec


def straight_through(vectors: Tensor, codec: Codec) -> Tensor:
    """Vectors as ``codec`` would store them.

    Parameters
    ----------
    vectors : Tensor of shape (n, d)
    codec : Codec
        Calibrated for vectors of d dims.

    Returns
    -------
    Tensor of shape (n, d)
        Its gradient is passed on to ``vectors`` unchanged.
    """
    with torch.no_grad():
        rows = np.ascontiguousarray(vectors.cpu().numpy())
        error = torch.from_numpy(codec.decode(codec.encode(rows))).to(vectors.device) - vectors
    return vectors + error
