"""Naming the machine and choosing a device on it."""

import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tokenlearner.efficiency import machine
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


@pytest.mark.parametrize(
    ("capability", "bfloat16", "said"),
    [
        ("AVX2", False, ", AVX2"),
        ("AVX512", False, ", AVX-512"),
        ("AVX512", True, ", AVX-512 with bfloat16"),
        ("DEFAULT", False, ""),
        ("NO AVX", False, ""),
    ],
)
def test_a_cpu_is_named_with_its_cores_and_instruction_set(
    capability: str, bfloat16: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_cpu_name", lambda: "A CPU")
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    assert describe_hardware(torch.device("cpu")) == f"A CPU, 2 cores{said}"
    assert describe_hardware(torch.device("mps")) == "A CPU, 2 cores, MPS"


def test_the_cpu_has_a_name() -> None:
    name, cores = describe_hardware(torch.device("cpu")).split(", ")[:2]
    assert name
    assert cores.split()[0].isdecimal()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("AMD EPYC", "AMD EPYC family 25 model 17"),  # that of every generation, on a cloud
        ("AMD EPYC 7763 64-Core  Processor", "AMD EPYC 7763 64-Core Processor"),
    ],
)
def test_a_name_that_says_too_little_is_followed_by_family_and_model(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = f"processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: {name}\n\n"
    file = tmp_path / "cpuinfo"
    file.write_text(core + core.replace("17", "18"))
    monkeypatch.setattr(machine, "_CPU_INFORMATION", file)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert describe_hardware(torch.device("cpu")).startswith(f"{said}, 1 core")


def test_a_gpu_goes_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert describe_hardware(torch.device("cuda:1")) == "GPU 1"


def test_bfloat16_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for supported in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda s=supported: s)
        assert has_bfloat16(torch.device("cpu")) == supported
    assert not has_bfloat16(torch.device("mps"))


def test_bfloat16_that_a_gpu_emulates_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turing (7.5) emulates it, Hopper (9.0) computes it."""
    gpus = [SimpleNamespace(major=7, minor=5), SimpleNamespace(major=9, minor=0)]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpus[device.index])
    assert [has_bfloat16(torch.device(name)) for name in ("cuda:0", "cuda:1")] == [False, True]
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert has_bfloat16(torch.device("cuda:0"))


def test_versions() -> None:
    versions = describe_versions()
    assert versions["python"] == platform.python_version()
    assert list(versions) == ["python", "torch", "numpy", "pillow"]
