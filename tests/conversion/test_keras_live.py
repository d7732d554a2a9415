"""Models that Keras builds and saves here and now.

They need Keras 3 (`pip install keras tensorflow-cpu`, or with `KERAS_BACKEND=torch` keras alone)
and tf_keras (`pip install tf_keras tensorflow-cpu`), here or in the environment whose Python
`TOKENLEARNER_KERAS_PYTHON` names; TensorFlow need not share one with this library:

    TOKENLEARNER_KERAS_PYTHON=/path/to/python make test ARGS="-m slow tests/conversion"
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conversion.keras_example import SAVED
from tokenlearner.conversion.keras import open_keras
from tokenlearner.conversion.verify import TOLERANCE, compare

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("TOKENLEARNER_KERAS_PYTHON", sys.executable)
ABSENT = r"ModuleNotFoundError: No module named '(keras|tf_keras|tensorflow)(\..*)?'"
EXAMPLE = Path(__file__).with_name("keras_example.py")


@pytest.fixture(scope="module", params=list(SAVED))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of saved models and what they compute, by either Keras."""
    folder = tmp_path_factory.mktemp(request.param)
    command = [PYTHON, str(EXAMPLE), request.param, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    lines = result.stderr.strip().splitlines()
    if lines and re.fullmatch(ABSENT, lines[-1]):
        pytest.skip(f"{PYTHON}: {lines[-1]}")
    assert result.returncode == 0, result.stderr
    assert len(models_in(folder)) == len(SAVED[request.param])
    return folder


def models_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix != ".npz" and "gelu" not in path.name]


def test_logits_and_maps(built: Path) -> None:
    errors = {}
    for path in models_in(built):
        model = open_keras(path, tanh_gelu="tanh" in path.name).model
        reference = path.with_name(path.stem.removesuffix("_saved") + ".npz")
        errors |= {(path.name, a.name): a.relative for a in compare(model, reference, tolerance=9)}
    assert max(errors.values()) <= TOLERANCE, errors


def test_a_reopened_file_computes_the_exact_gelu(built: Path) -> None:
    """Why `gelu` in a file is taken for the exact one, whatever the training computed."""
    if not (built / "gelu.npz").exists():
        pytest.skip("Keras 3 alone has keras.ops")
    with np.load(built / "gelu.npz") as found:
        assert np.abs(found["reopened"] - found["exact"]).max() < 1e-6
        assert np.abs(found["in_memory"] - found["exact"]).max() > 1e-5
