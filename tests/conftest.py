"""What every test stands on: no network, one thread, and the same random numbers in any order."""

import ipaddress
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """What several tests share is the same, whichever of them asks first."""
    if fixturedef.scope != "function":
        _seed_all()


@pytest.fixture(autouse=True)
def _seed() -> None:
    _seed_all()


def _seed_all() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums over several threads may round in another order."""
    torch.set_num_threads(1)


_may_leave = False  # whether the test that runs, or is being set up, is marked `network`


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before all fixtures of the test, those of its module included."""
    global _may_leave
    _may_leave = item.get_closest_marker("network") is not None


@pytest.fixture(scope="session", autouse=True)
def _offline() -> Iterator[None]:
    """Fails a test whose process connects to another machine, unless it is marked `network`.

    Fixtures of any scope count; other processes that a test starts do not.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _only_here(getattr(socket.socket, name)))
        yield


def _only_here(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    def connect_here(self: socket.socket, address: Any) -> Any:
        is_remote = self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0])
        if is_remote and not _may_leave:
            self.close()
            pytest.fail(f"a test that is not marked `network` connected to {address[0]}")
        return connect(self, address)

    return connect_here


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture
def _as_users_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the annotations' checks, which tests have on and which would answer first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
