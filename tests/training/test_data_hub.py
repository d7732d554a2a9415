"""Data sets on the Hub: caches as huggingface_hub lays them out; nothing leaves the machine."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from tests import hub_cache, tiny
from tests.hub_cache import COMMIT
from tokenlearner.errors import DataError
from tokenlearner.training.data import hub, read_images
from tokenlearner.training.data.hub import HubDataset

OTHER = "fedcba9876543210fedcba9876543210fedcba98"

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts files of as many photos as the numbers say into the cache, of one revision."""
    hub_cache.use(monkeypatch, tmp_path)

    def put(sizes: dict[str, int], *, revision: str = "main", commit: str = COMMIT) -> Path:
        folder = hub_cache.add(
            tmp_path, "owner/colours", kind="datasets", revision=revision, commit=commit
        )
        for name, size in sizes.items():
            tiny.write_parquet(folder / name, [tiny.photo(0, 0)] * size, [0] * size)
        return folder

    return put


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            GatedRepoError,
            "requires that you accept its terms: do so on its page on the Hub, and log in with",
        ),
        (RepositoryNotFoundError, "there is no folder o/n, and the Hub has no such data set, or n"),
    ],
)
def test_what_the_hub_refuses(
    refusal: type[HfHubHTTPError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = Mock(side_effect=refusal("401", response=Mock()))
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(DataError, match=message):
        hub.download(HubDataset("o/n"), ["*"])


class TestNames:
    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("owner/name", ("owner/name", None, None)),
            ("owner/name@v1.0", ("owner/name", "v1.0", None)),
            ("owner/name:small", ("owner/name", None, "small")),
            (
                "owner/na.me@refs/convert/parquet:data/a b@c",
                ("owner/na.me", "refs/convert/parquet", "data/a b@c"),
            ),
        ],
    )
    def test_parts(self, text: str, parts: tuple[str | None, ...]) -> None:
        found = hub.parse(text)
        assert found == HubDataset(*parts)  # type: ignore[arg-type]
        assert str(found) == text

    @pytest.mark.parametrize(
        "text",
        [
            *("owner", "owner/name@", "owner/name:", "owner/name@:x", "owner/name:a:b"),
            *("owner/name@../../x", "owner/name@v 1", "hf-hub:owner/name", "C:/photos"),
        ],
    )
    def test_others(self, text: str) -> None:
        assert hub.parse(text) is None
        with pytest.raises(DataError, match=r"ids are owner/name\[@REVISION\]\[:CONFIGURATION\]"):
            read_images(text, "train")


class TestRevisions:
    @pytest.mark.parametrize("revision", ["v1", "refs/convert/parquet"])
    def test_by_its_name(self, put: Put, revision: str) -> None:
        put({"data/train-00000-of-00001.parquet": 5})
        put({"default/train/0000.parquet": 3}, revision=revision, commit=OTHER)
        data = read_images(f"owner/colours@{revision}", "train")
        assert len(data) == 3
        assert data.source_name == f"owner/colours@{revision}"
        assert len(read_images("owner/colours", "train")) == 5

    def test_by_its_commit(self, put: Put) -> None:
        put({"train.parquet": 5})
        put({"train.parquet": 3}, revision="v1", commit=OTHER)
        assert len(read_images(f"owner/colours@{COMMIT}", "train")) == 5
        assert len(read_images(f"owner/colours@{OTHER}", "train")) == 3

    def test_one_that_is_not_there(self, put: Put) -> None:
        put({"train.parquet": 5})
        with pytest.raises(DataError, match="owner/colours@v2, the data set is not in the local"):
            read_images("owner/colours@v2", "train")


class TestConfigurations:
    LAYOUTS = pytest.mark.parametrize(
        "file", ["train-00000-of-00001.parquet", "train.parquet", "train/0000.parquet"]
    )

    @LAYOUTS
    def test_by_its_folder(self, put: Put, file: str) -> None:
        put({f"small/{file}": 2, f"large/{file}": 4, f"data/small/{file}": 3, file: 1})
        for configuration, count in (("small", 2), ("large", 4), ("data/small", 3), (".", 1)):
            data = read_images(f"owner/colours:{configuration}", "train")
            assert len(data) == count
            assert data.source_name == f"owner/colours:{configuration}"

    @LAYOUTS
    def test_more_than_one_are_listed(self, put: Put, file: str) -> None:
        folder = put({f"small/{file}": 2, f"large/{file}": 4}, revision="v1")
        wanted = (
            "owner/colours@v1 holds the split 'train' more than once, in the configurations large, "
            "small; name one of these, as in owner/colours@v1:large"
        )
        with pytest.raises(DataError) as caught:
            read_images("owner/colours@v1", "train")
        assert str(caught.value) == wanted
        assert len(read_images("owner/colours@v1:large", "train")) == 4
        # What is said of the same files in a folder helps as well.
        with pytest.raises(DataError, match="once, in large, small; give the path of one of these"):
            read_images(folder, "train")
        assert len(read_images(folder / "large", "train")) == 4

    def test_one_that_is_not_there(self, put: Put) -> None:
        put({"small/train.parquet": 2, "large/train.parquet": 4, "tiny/test.parquet": 1})
        message = "no configuration 'tiny' that holds the split 'train'; there are large, small$"
        with pytest.raises(DataError, match=message):
            read_images("owner/colours:tiny", "train")


class TestOnline:
    """The Hub is played by a folder of files; what is asked of it is recorded."""

    FILES = (
        *("README.md", "small/train/0000.parquet", "small/test/0000.parquet"),
        *("large/train/0000.parquet", "large/train/0001.parquet", "large/partial-train/0.parquet"),
        "extra/eval-0.parquet",
    )

    @pytest.fixture
    def fetched(self, put: Put, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Files that were asked for."""
        folder = put({name: 1 for name in self.FILES if name.endswith(".parquet")})
        fetched: list[str] = []

        def list_files(_: object, repo_id: str, **options: Any) -> Sequence[str]:
            assert (repo_id, options) == ("owner/colours", {"repo_type": "dataset", **self.asked})
            return list(self.FILES)

        def download(repo_id: str, *, allow_patterns: list[str], **options: Any) -> str:
            assert (repo_id, options) == ("owner/colours", {"repo_type": "dataset", **self.asked})
            fetched.extend(n for n in self.FILES if any(fnmatch(n, p) for p in allow_patterns))
            return str(folder)

        monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", list_files)
        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        return fetched

    asked: dict[str, str | None] = {"revision": "v1"}  # noqa: RUF012

    def test_only_the_files_of_a_configuration(self, fetched: list[str]) -> None:
        assert len(read_images("owner/colours@v1:large", "train")) == 2
        assert fetched == ["large/train/0000.parquet", "large/train/0001.parquet"]

    def test_the_only_one_need_not_be_named(self, fetched: list[str]) -> None:
        assert len(read_images("owner/colours@v1", "test")) == 1
        assert fetched == ["small/test/0000.parquet"]

    @pytest.mark.parametrize(
        ("name", "split", "message"),
        [
            ("", "train", "in the configurations large, small; name one of these, as in .*@v1:la"),
            (":mini", "train", "no configuration 'mini' that .* 'train'; there are large, small$"),
            (":large", "test", "no configuration 'large' that .* 'test'; there is small$"),
            ("", "val", r"no split 'val': .*\. It has eval, partial-train, test, train$"),
        ],
    )
    def test_nothing_is_fetched_before_it_is_clear_what(
        self, fetched: list[str], name: str, split: str, message: str
    ) -> None:
        with pytest.raises(DataError, match=message):
            read_images(f"owner/colours@v1{name}", split)
        assert fetched == []

    def test_one_without_parquet_files(
        self, fetched: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(type(self), "asked", {"revision": None})
        monkeypatch.setattr(type(self), "FILES", ("README.md", ".gitattributes", "train/a.jpg"))
        message = (
            r"no split 'train': .* It holds README\.md, train/\. The Hub may have made parquet "
            "files of it: owner/colours@refs/convert/parquet$"
        )
        with pytest.raises(DataError, match=message):
            read_images("owner/colours", "train")
        assert fetched == []

    def test_a_hub_that_does_not_tell(
        self, fetched: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise ConnectionError

        monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", refuse)
        assert len(read_images("owner/colours@v1:small", "train")) == 1
        assert fetched == ["small/train/0000.parquet"]
        fetched.clear()
        assert len(read_images("owner/colours@v1", "eval")) == 1
        assert fetched == ["extra/eval-0.parquet"]
