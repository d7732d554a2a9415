"""What `conftest.py` promises to all tests."""

import random
import socket

import numpy as np
import pytest
import torch

ELSEWHERE = ("192.0.2.1", 80)  # belongs to nobody: RFC 5737


def connect_elsewhere() -> None:
    for connect in (socket.socket.connect, socket.socket.connect_ex):
        it = socket.socket()
        it.settimeout(0.1)
        with pytest.raises(pytest.fail.Exception, match=r"connected to 192\.0\.2\.1"):
            connect(it, ELSEWHERE)
        assert it.fileno() == -1  # closed


def draw() -> tuple[float, float, float]:
    return torch.rand(()).item(), np.random.random(), random.random()  # noqa: NPY002


@pytest.fixture(scope="module")
def first() -> tuple[float, float, float]:
    connect_elsewhere()
    return draw()


@pytest.fixture(scope="module")
def second(first: tuple[float, float, float]) -> tuple[float, float, float]:
    return draw()


def test_nobody_leaves_the_machine() -> None:
    connect_elsewhere()


def test_the_same_random_numbers_in_fixtures_and_tests(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> None:
    assert first == second == draw()


def test_one_thread() -> None:
    assert torch.get_num_threads() == 1
