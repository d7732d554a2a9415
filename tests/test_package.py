"""What is installed without a clone holds all that it needs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tokenlearner import zoo
from tokenlearner.storage import CONFIG_FILE, WEIGHTS_FILE

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_wheel_holds_the_models(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("tokenlearner", "checkpoints"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    for name in zoo.names():
        for file in (CONFIG_FILE, WEIGHTS_FILE, zoo.CARD_FILE, zoo.METRICS_FILE):
            assert f"tokenlearner/_checkpoints/{name}/{file}" in found
    assert {"tokenlearner/py.typed", "tokenlearner/efficiency/published.json"} <= found
