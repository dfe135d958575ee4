"""Run by torchrun: train every configuration together, keep what the first process has.

``torchrun train_each.py TESTS OUTPUT``; the folder of the tests is where ``training_data`` is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])

from smec import train
from smec.training.execution import together
from training_data import EACH, small_dataset

torch.set_num_threads(1)
for name, config in EACH.items():
    with together("cpu") as execution:
        compressor = train(small_dataset(), config=config, execution=execution)
        if execution.processes.first:
            compressor.save(Path(sys.argv[2]) / name)
