"""The processes of one run, as `torchrun` starts them, or the only one there is."""

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tokenlearner.errors import ConfigError
from tokenlearner.modules.shapes import Tensor

T = TypeVar("T")

_PATIENCE = datetime.timedelta(hours=12)
"""For the others while one looks at all photos once, which may be millions."""


@contextmanager
def joined_processes(device: torch.device) -> Iterator[torch.device]:
    """Joins the other processes that `torchrun` started, if it did.

    Args:
        device: Kind of device; on CUDA every process takes a GPU of its own.

    Yields:
        The device of this process.

    Raises:
        ConfigError: If the environment names other processes but not how to find them.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count == "1":
        yield device
        return
    wanted = ["RANK", "MASTER_ADDR", "MASTER_PORT"]
    wanted += ["LOCAL_RANK"] if device.type == "cuda" else []
    for name in wanted:
        if name not in os.environ:
            raise ConfigError(
                f"WORLD_SIZE is {count} but {name} is not set: start with torchrun, or unset "
                "WORLD_SIZE"
            )
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=_PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=_PATIENCE)
    yield device
    # Not after an error of this process alone: NCCL would wait here for the others, which wait for
    # it, and nobody would read what went wrong. torchrun ends them all.
    dist.destroy_process_group()


def rank() -> int:
    """Returns this process' number; only 0 writes and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def num_processes() -> int:
    """Returns how many processes share the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def add_up(values: Tensor) -> Tensor:
    """Returns the sum over all processes, in each of them."""
    if num_processes() > 1:
        dist.all_reduce(values)
    return values


def gather(value: T) -> list[T]:
    """Returns what each process has, by their numbers, in each of them."""
    if num_processes() == 1:
        return [value]
    found: list[Any] = [None] * num_processes()
    dist.all_gather_object(found, value)
    return found


def wait_for_all() -> None:
    """Returns once every process has come here."""
    if num_processes() > 1:
        dist.barrier()


def share_statistics(model: nn.Module, device: torch.device) -> None:
    """Makes batch norm see the photos of all processes where PyTorch can: on CUDA."""
    if device.type == "cuda" and num_processes() > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)


def distribute(model: nn.Module, device: torch.device) -> DistributedDataParallel | None:
    """Returns what averages the model's gradients over all processes; None if there is one only."""
    if num_processes() == 1:
        return None
    ids = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids)
