"""The library stands on few packages and imports fast; each check runs in a fresh interpreter.

Which of its own modules may import which is import-linter's business (`make check`).
"""

import pkgutil
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tokenlearner

# All that a bare GPU box has. Its requirements count only for torch: they come with it.
PRESENT = {"numpy", "opencv-python-headless", "pillow", "safetensors", "timm", "torch"}

# The command line is the one part that needs more to be imported at all.
NEEDS_MORE = ("tokenlearner.cli", "tokenlearner.__main__")

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def __init__(self, names):
        self.names = frozenset(names)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Absent(sys.argv[1].split(",")))
"""

IMPORT_ALL = """
import importlib
for name in sys.argv[2].split(","):
    importlib.import_module(name)
"""


def run_python(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def with_torch_requirements() -> set[str]:
    """The distributions in PRESENT and, however deep, what torch requires."""
    found, left = set(PRESENT), ["torch"]
    while left:
        for line in requires(left.pop()) or []:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and name not in found:
                found.add(name)
                left.append(name)
    return found


def absent_packages() -> list[str]:
    """Import names of everything installed that a bare GPU box lacks."""
    present = with_torch_requirements()
    return sorted(
        name
        for name, distributions in packages_distributions().items()
        if name != "tokenlearner" and present.isdisjoint(map(canonicalize_name, distributions))
    )


def library_modules() -> list[str]:
    walk = pkgutil.walk_packages(tokenlearner.__path__, "tokenlearner.")
    return ["tokenlearner", *(m.name for m in walk if not m.name.startswith(NEEDS_MORE))]


def test_library_imports_on_a_bare_gpu_box() -> None:
    absent = absent_packages()
    result = run_python(BLOCK + IMPORT_ALL, ",".join(absent), ",".join(library_modules()))
    assert result.returncode == 0, result.stderr


def test_bare_gpu_box_lacks_the_rest() -> None:
    """What the test above relies on: a package that is not blocked would prove nothing."""
    lacking = {"beartype", "einops", "huggingface_hub", "jaxtyping", "plotly", "pyarrow", "rich"}
    assert lacking | {"streamlit", "tensorboard", "typer"} <= set(absent_packages())


def test_blocked_package_cannot_be_imported() -> None:
    result = run_python(BLOCK + "import einops", "einops")
    assert "ModuleNotFoundError: No module named 'einops'" in result.stderr


def test_import_leaves_slow_packages_alone() -> None:
    slow = "{'timm', 'torchvision', 'pandas', 'pyarrow', 'plotly', 'streamlit', 'huggingface_hub'}"
    result = run_python(f"import sys, tokenlearner; print(sorted({slow} & set(sys.modules)))")
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
