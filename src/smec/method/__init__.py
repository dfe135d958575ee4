"""SMEC: stages (SMRL), dimension selection (ADS), cross-batch memory (S-XBM), trainer and gate."""

from importlib.util import find_spec

from smec.errors import MissingExtraError

if find_spec("torch") is None:
    raise MissingExtraError("torch", "train", "training")
