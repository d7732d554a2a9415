"""The machine that computes: which device to take, and how to name it beside a number."""

import os
import platform
import subprocess
from pathlib import Path

import numpy
import PIL
import torch

from tokenlearner.errors import ConfigError

_CPU_INFORMATION = Path("/proc/cpuinfo")


def choose_device(name: str = "auto") -> torch.device:
    """Returns the device of that name.

    Args:
        name: `auto` takes the first there is of CUDA, Apple's MPS and the CPU; or `cpu`, `cuda`,
            `cuda:1`, `mps`.

    Raises:
        ConfigError: If there is no such device here.
    """
    if name == "auto":
        name = available_devices()[0]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or not _exists(device):
        found = ", ".join(available_devices())
        raise ConfigError(f"there is no device {name!r} here; choose auto or one of {found}")
    return device


def available_devices() -> tuple[str, ...]:
    """Returns the kinds of device of this machine as PyTorch calls them, the fastest first."""
    return tuple(kind for kind in ("cuda", "mps", "cpu") if _is_available(kind))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware, so that mixed precision pays."""
    if device.type == "cuda":
        # `torch.cuda.is_bf16_supported` counts emulation in, and asks the current device only.
        return torch.version.hip is not None or torch.cuda.get_device_properties(device).major >= 8
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and supported()


def describe_hardware(device: torch.device) -> str:
    """Returns the name of a GPU, or of the CPU with its cores and its instruction set.

    Virtual machines call very different processors the same, so `AMD EPYC, 2 cores` alone would
    mix the numbers of one with `AVX2` and of one with `AVX-512 with bfloat16`. A name without a
    number is followed by the CPU's family and model, which tell Zen 4 (25) from Zen 5 (26).
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = os.cpu_count()
    parts = [_cpu_name(), f"{cores} core{'' if cores == 1 else 's'}"]
    parts.append(_instruction_set() if device.type == "cpu" else device.type.upper())
    return ", ".join(filter(None, parts))


def describe_versions() -> dict[str, str]:
    """Returns the versions of the software that numbers depend on."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
    }


def _exists(device: torch.device) -> bool:
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    return _is_available(device.type) and (device.index or 0) < count


def _is_available(kind: str) -> bool:
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu" or (kind == "cuda" and torch.cuda.is_available())


def _instruction_set() -> str:
    """What PyTorch computes with on the CPU; empty where it has no name, as on ARM without SVE."""
    name = torch.backends.cpu.get_cpu_capability()
    name = "" if name in ("DEFAULT", "NO AVX") else name.replace("AVX512", "AVX-512")
    if not has_bfloat16(torch.device("cpu")):
        return name
    return f"{name} with bfloat16" if name else "bfloat16"


def _cpu_name() -> str:
    if _CPU_INFORMATION.exists():
        text = _CPU_INFORMATION.read_text(encoding="utf-8", errors="replace")
        first_core = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
        facts = {name.strip(): " ".join(value.split()) for name, _, value in first_core}
        if name := facts.get("model name"):
            if not any(map(str.isdigit, name)) and {"cpu family", "model"} <= facts.keys():
                name += f" family {facts['cpu family']} model {facts['model']}"
            return name
    elif platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()
