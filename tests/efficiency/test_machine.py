"""Naming the machine and choosing a device on it."""

import platform

import pytest
import torch

from tokenlearner.efficiency.machine import (
    available_devices,
    choose_device,
    describe_hardware,
    describe_versions,
    has_bfloat16,
)
from tokenlearner.errors import ConfigError


@pytest.fixture
def _only_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("_only_a_cpu")
@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_cpu(name: str) -> None:
    assert choose_device(name) == torch.device("cpu")


@pytest.mark.usefixtures("_only_a_cpu")
def test_auto_takes_what_is_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device().type == "cuda"
    assert available_devices() == ("cuda", "mps", "cpu")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ConfigError, match="no device 'cuda:7' here; choose auto or one of cuda, m"):
        choose_device("cuda:7")


@pytest.mark.usefixtures("_only_a_cpu")
@pytest.mark.parametrize("name", ["cuda", "mps", "gpu", "xpu", ""])
def test_no_such_device(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no device '{name}' here; choose auto or one of cpu"):
        choose_device(name)


def test_the_cpu_is_named_with_its_cores() -> None:
    name = describe_hardware(torch.device("cpu"))
    model, _, cores = name.rpartition(", ")
    assert model
    assert cores.split()[0].isdecimal()
    assert cores.split()[1] in ("core", "cores")


def test_a_gpu_goes_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert describe_hardware(torch.device("cuda:1")) == "GPU 1"


def test_bfloat16_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for supported in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda s=supported: s)
        assert has_bfloat16(torch.device("cpu")) == supported
    assert not has_bfloat16(torch.device("mps"))


def test_versions() -> None:
    versions = describe_versions()
    assert versions["python"] == platform.python_version()
    assert list(versions) == ["python", "torch", "numpy", "pillow"]
