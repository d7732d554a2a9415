"""What every test stands on: no network, and the same random numbers in any order of tests."""

import ipaddress
import socket
from typing import Any

import jaxtyping
import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that connects to another machine without being marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            self.close()
            pytest.fail(f"a test that is not marked `network` connected to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture
def _as_users_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the annotations' checks, which tests have on and which would answer first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
