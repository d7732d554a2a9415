"""`tokenlearner models` and `--version`."""

import torch

import tokenlearner
from tests.shell import call
from tokenlearner import zoo
from tokenlearner.efficiency import count_model


def test_lists_every_shipped_model_with_what_it_costs_and_can() -> None:
    result = call("models")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines()[1:-1]}
    assert tuple(lines) == zoo.names()
    for name, line in lines.items():
        gmacs = count_model(zoo.load(name)).gmacs
        top1 = zoo.metrics(name)["metrics"]["top1_percent"]
        assert line.split()[-3:] == [f"{gmacs:#.3g}", f"{top1:.2f}", "%"]
    assert " 100 → 8 " in lines["imagenette-conv-vit-tl8"]
    assert " 400 " in lines["imagenette-fine-vit"]
    assert "→" not in lines["imagenette-fine-vit"]


def test_version() -> None:
    result = call("--version")
    assert result.exit_code == 0
    assert (
        result.output == f"tokenlearner {tokenlearner.__version__}, PyTorch {torch.__version__}\n"
    )
