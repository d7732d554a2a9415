"""Files of a model folder: never a pickle, no crafted header, and written whole or not at all."""

import json
import os
import pickle
import stat
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from tests import tiny
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.errors import CheckpointError
from tokenlearner.storage import write_whole

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "tiny", tiny.model())
    return tmp_path / "tiny"


class _Payload:
    """Leaves a trace where a pickle of it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("dress", ["pickle", "torch"])
def test_a_pickle_in_disguise_is_not_opened(folder: Path, tmp_path: Path, dress: str) -> None:
    trace = tmp_path / "opened"
    if dress == "pickle":
        (folder / WEIGHTS).write_bytes(pickle.dumps(_Payload(trace)))
    else:
        torch.save({"head.bias": _Payload(trace)}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS} is not .* it is a pickle, which is ne"):
        load_model(folder)
    assert not trace.exists()


def pack_header(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def entry(shape: list[int], start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


class TestCraftedWeights:
    """Headers that no library writes, each refused fast and by name."""

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, "is not a readable safetensors file"),
            ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, "is not a readable safetensors file"),
            ({"a": entry([2**62], 0, 8)}, "is not a readable safetensors file"),
            ({"a": entry([2**33, 2**33], 0, 8)}, "is not a readable safetensors file"),
            ({"a": entry([0, 2**62, 2**62], 0, 0)}, WEIGHTS),
            ({"a": entry([-1], 0, 8)}, "is not a readable safetensors file"),
            ({"a": entry([2], 8, 0)}, "is not a readable safetensors file"),
            ({"a": entry([2], 0, 2**63)}, "is not a readable safetensors file"),
            ({"a": entry([8], 0, 8, "NONE")}, "is not a readable safetensors file"),
            ({"a": entry([8], 0, 8, "F8_E5M2")}, WEIGHTS),
            ({"a": {"dtype": "F32"}}, "is not a readable safetensors file"),
            ({f"{n}": entry([0], 0, 0) for n in range(10_001)}, "lists 10,001 tensors, over the"),
            ([1], "its header is not a JSON object"),
            (3, "its header is not a JSON object"),
        ],
    )
    def test_header(self, folder: Path, header: Any, message: str) -> None:
        (folder / WEIGHTS).write_bytes(pack_header(json.dumps(header).encode(), b"\0" * 8))
        with pytest.raises(CheckpointError, match=message) as caught:
            load_model(folder)
        assert WEIGHTS in str(caught.value)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (struct.pack("<Q", 2**63) + b"{}", "claims a header of 9,223,372,036,854,775,808 byt"),
            (struct.pack("<Q", 0), "claims a header of 0 bytes, and 0 bytes follow"),
            (pack_header(b" " * (16 * 2**20 + 1)), "has 16,777,217 bytes, over the limit of 16,7"),
            (pack_header(b"[" * 200_000), "its header is not JSON"),
            (pack_header(b'{"a"'), "its header is not JSON"),
            (pack_header(b"\xff\xfe\x00"), "its header is not JSON"),
        ],
    )
    def test_bytes(self, folder: Path, data: bytes, message: str) -> None:
        (folder / WEIGHTS).write_bytes(data)
        with pytest.raises(CheckpointError, match=f"{WEIGHTS} is not .*{message}"):
            load_model(folder)


class TestWriteWhole:
    def test_replaces(self, tmp_path: Path) -> None:
        for content in (b"one", b"two"):
            write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == b"two"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_keeps_the_permissions(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"one")
        (tmp_path / "file").chmod(0o640)
        write_whole(tmp_path / "file", b"two")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640

    def test_a_link_goes_on_leading_where_it_led(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"one")
        (tmp_path / "link").symlink_to("file")
        write_whole(tmp_path / "link", b"two")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "file").read_bytes() == b"two"

    def test_what_is_no_file_is_not_replaced(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # waits for nobody
        try:
            write_whole(tmp_path / "pipe", b"two")
            assert os.read(reader, 10) == b"two"
        finally:
            os.close(reader)
        assert (tmp_path / "pipe").is_fifo()

    def test_a_pipe_by_its_number(self) -> None:
        reader, writer = os.pipe()  # as a shell gives `--json /dev/stdout | jq .`
        try:
            write_whole(Path(f"/dev/fd/{writer}"), b"two")
            assert os.read(reader, 10) == b"two"
        finally:
            os.close(reader)
            os.close(writer)

    def test_two_write_the_same_file(self, tmp_path: Path) -> None:
        contents = [bytes([value]) * 100_000 for value in (1, 2)]
        with ThreadPoolExecutor() as pool:
            for _ in range(30):
                list(pool.map(lambda content: write_whole(tmp_path / "file", content), contents))
        assert (tmp_path / "file").read_bytes() in contents
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    def test_keeps_the_old_file_and_cleans_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        write_whole(tmp_path / "file", b"one")
        monkeypatch.setattr(os, "fsync", Mock(side_effect=error))
        with pytest.raises(type(error)):
            write_whole(tmp_path / "file", b"two")
        monkeypatch.undo()
        assert (tmp_path / "file").read_bytes() == b"one"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
