"""Where and when a number was measured: hardware, clocks, threads, versions, date."""

import datetime
import shutil
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tokenlearner.efficiency.machine import describe_hardware, describe_versions

_CPUINFO = Path("/proc/cpuinfo")
_GPU_FACTS = {
    "clocks.sm": "sm_mhz",
    "clocks.mem": "memory_mhz",
    "clocks.max.sm": "max_sm_mhz",
    "power.draw": "power_w",
    "temperature.gpu": "temperature_c",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What a measurement depends on besides the model.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        hardware: Name of the GPU, or of the CPU with its cores and instruction set.
        threads: That PyTorch computes with on the CPU.
        clocks: As the driver or the kernel gives them, in MHz (`cpu_mhz`, `sm_mhz`, ...), with
            power in watts and temperature in degrees Celsius where the driver tells.
        versions: Versions of the relevant software.
        date: ISO 8601, UTC.
    """

    device: str
    hardware: str
    threads: int
    clocks: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""

    @classmethod
    def here(cls, device: torch.device) -> "Conditions":
        """Describes this machine, now."""
        versions = describe_versions()
        if device.type == "cuda" and torch.version.cuda:
            versions["cuda"] = torch.version.cuda
        return cls(
            device=device.type,
            hardware=describe_hardware(device),
            threads=torch.get_num_threads(),
            clocks=read_clocks(device),
            versions=versions,
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data, which the constructor takes again."""
        return asdict(self)


def read_clocks(device: torch.device) -> dict[str, float]:
    """Returns the clock rates at this moment; empty where nobody tells them."""
    return _gpu_clocks(device) if device.type == "cuda" else _cpu_clocks()


def _cpu_clocks() -> dict[str, float]:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    rates = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return {"cpu_mhz": round(statistics.median(rates), 1)} if rates else {}


def _gpu_clocks(device: torch.device) -> dict[str, float]:
    if shutil.which("nvidia-smi") is None:
        return {}
    # PyTorch's numbers may be others than the driver's; the identifier is the same for both.
    identifier = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    command = ["nvidia-smi", f"--id={identifier}", f"--query-gpu={','.join(_GPU_FACTS)}"]
    command.append("--format=csv,noheader,nounits")
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    values = result.stdout.strip().split(", ") if result.returncode == 0 else []
    facts = dict(zip(_GPU_FACTS.values(), values, strict=False))
    return {name: float(value) for name, value in facts.items() if _is_number(value)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
