"""The golden files, read. See README.md."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("TOKENLEARNER_GOLDEN", Path(__file__).parent))


@dataclass(frozen=True)
class Case:
    """One run of the official code; tensors channels last, as they were recorded."""

    config: dict[str, Any]
    params: dict[str, np.ndarray]
    inputs: Tensor
    original: Tensor | None
    outputs: Tensor
    recorded: dict[str, Tensor]


def load_case(name: str) -> Case:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != "config"}
        return Case(
            config=json.loads(str(arrays["config"])),
            params={
                key.removeprefix("params/"): arrays[key]
                for key in arrays.files
                if key.startswith("params/")
            },
            inputs=tensors["inputs"],
            original=tensors.get("original"),
            outputs=tensors["outputs"],
            recorded={k: t for k, t in tensors.items() if k.startswith(("maps/", "acts/"))},
        )


def list_cases() -> list[str]:
    """Names of the cases, without those of what happens before a model is there."""
    return sorted(path.stem for path in FOLDER.glob("*.npz") if "extras" not in path.stem)
