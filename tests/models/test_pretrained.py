"""The Hub's methods on our models; nothing leaves the machine."""

import ast
import hashlib
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from tests import hub_cache, tiny
from tests.hub_cache import COMMIT
from tokenlearner.checkpoints import load_model, save_model
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.models import VisionTransformer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is not the one which is used unless another is named."""
    hub_cache.use(monkeypatch, tmp_path / "nothing")
    cache = tmp_path / "cache"
    older = hub_cache.add(cache, "owner/tiny", revision="v1", commit=COMMIT[::-1])
    save_model(older, tiny.model(name="older"))
    save_model(hub_cache.add(cache, "owner/tiny"), tiny.model(name="newest"))
    return cache


class TestFromPretrained:
    def test_a_folder(self, tmp_path: Path) -> None:
        model = tiny.model()
        model.save_pretrained(tmp_path)
        loaded = VisionTransformer.from_pretrained(tmp_path)
        assert torch.equal(loaded(x := torch.randn(1, 3, 16, 16)), model(x))
        assert not loaded.training

    def test_a_folder_has_no_revisions(self, tmp_path: Path) -> None:
        tiny.model().save_pretrained(tmp_path)
        with pytest.raises(CheckpointError, match=r"revision is 'v1', but .* none of .*, a local"):
            VisionTransformer.from_pretrained(tmp_path, revision="v1")

    @pytest.mark.parametrize(
        ("name", "options", "found"),
        [
            ("owner/tiny", {}, "newest"),
            ("hf-hub:owner/tiny@v1", {}, "older"),
            ("owner/tiny", {"revision": "v1"}, "older"),
            ("owner/tiny", {"revision": COMMIT, "local_files_only": True}, "newest"),
        ],
    )
    def test_the_cache(self, cache: Path, name: str, options: Any, found: str) -> None:
        model = VisionTransformer.from_pretrained(name, cache_dir=cache, **options)
        assert model.info is not None
        assert model.info.name == found
        commit = COMMIT if found == "newest" else COMMIT[::-1]
        assert model.info.source == f"hf-hub:owner/tiny@{commit}"

    @pytest.mark.usefixtures("cache")
    def test_what_is_not_there(self) -> None:
        with pytest.raises(CheckpointError, match="owner/tiny is not in the local cache"):
            VisionTransformer.from_pretrained("owner/tiny")
        with pytest.raises(
            CheckpointError, match="local_files_only forbids the Hub; leave that out"
        ):
            VisionTransformer.from_pretrained("owner/tiny", local_files_only=True)


class TestSavePretrained:
    def test_a_short_card_where_there_is_none(self, tmp_path: Path) -> None:
        tiny.model().save_pretrained(tmp_path)
        card = (tmp_path / "README.md").read_text()
        assert card.startswith('---\nlibrary_name: "tokenlearner"\n')
        assert "# tiny" in card
        assert "Trained on: Imagenette. Licence of the weights: Apache-2.0." in card
        assert f'tokenlearner.load("{tmp_path}")' in card
        tiny.model(trained=False).save_pretrained(tmp_path)
        assert "**Its weights are random: " in (tmp_path / "README.md").read_text()

    def test_a_short_card_of_a_model_for_clips(self, tmp_path: Path) -> None:
        tiny.clip_model().save_pretrained(tmp_path)
        card = (tmp_path / "README.md").read_text()
        assert 'pipeline_tag: "video-classification"' in card
        assert "A video classifier with 3 classes." in card
        assert 'tokenlearner.explain_clip(model, "clip.mp4")' in card

    def test_card_and_metrics_of_the_folder_it_came_from(self, tmp_path: Path) -> None:
        save_model(tmp_path / "a", tiny.model())
        (tmp_path / "a/README.md").write_text("# a card")
        (tmp_path / "a/metrics.json").write_text("{}")
        load_model(tmp_path / "a").save_pretrained(tmp_path / "b")
        assert (tmp_path / "b/README.md").read_text() == "# a card"
        assert (tmp_path / "b/metrics.json").read_text() == "{}"

    @pytest.mark.parametrize("change", ["weights", "head"])
    def test_another_model_gets_no_card_and_metrics(self, change: str, tmp_path: Path) -> None:
        save_model(tmp_path / "a", tiny.model())
        (tmp_path / "a/README.md").write_text("# a card, 99 %")
        (tmp_path / "a/metrics.json").write_text("{}")
        model = load_model(tmp_path / "a")
        assert isinstance(model, VisionTransformer)
        if change == "head":
            model.head = torch.nn.Linear(model.config.dim, 3)
        else:
            next(model.parameters()).data.mul_(0.5)
        model.save_pretrained(tmp_path / "b")
        assert "99 %" not in (tmp_path / "b/README.md").read_text()
        assert not (tmp_path / "b/metrics.json").exists()

    @pytest.mark.parametrize("changed", [True, False])
    def test_back_to_where_it_came_from(self, changed: bool, tmp_path: Path) -> None:
        save_model(tmp_path, tiny.model())
        (tmp_path / "README.md").write_text("# a card, 99 %")
        (tmp_path / "metrics.json").write_text("{}")
        model = load_model(tmp_path)
        if changed:
            next(model.parameters()).data.mul_(0.5)
        model.save_pretrained(tmp_path)
        assert ("99 %" in (tmp_path / "README.md").read_text()) != changed
        assert (tmp_path / "metrics.json").exists() != changed

    def test_over_another_model(self, tmp_path: Path) -> None:
        save_model(tmp_path, tiny.model())
        for name in ("README.md", "metrics.json"):
            (tmp_path / name).write_text("{}")
        save_model(tmp_path, load_model(tmp_path))
        assert (tmp_path / "metrics.json").exists()
        save_model(tmp_path, tiny.model(learner=False))
        assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}

    def test_the_card_says_how_to_load_the_model_from_where_it_is_now(self, tmp_path: Path) -> None:
        save_model(tmp_path / "a", tiny.model())
        card = '# a card\n\nmodel = tokenlearner.load("{}")\ntokenlearner.load(path)\n'
        (tmp_path / "a/README.md").write_text(card.format("./a"))
        load_model(tmp_path / "a").save_pretrained(tmp_path / "b")
        assert (tmp_path / "b/README.md").read_text() == card.format(tmp_path / "b")

    def test_a_folder_with_any_name(self, tmp_path: Path) -> None:
        place = tmp_path / 'C:\\new "café"'
        tiny.model().save_pretrained(place)
        load_model(place).save_pretrained(tmp_path / "b\\n")
        for folder in (place, tmp_path / "b\\n"):  # a short card, and one that was read
            (said,) = re.findall(r"tokenlearner\.load\((.*)\)", (folder / "README.md").read_text())
            assert ast.literal_eval(said) == str(folder)

    def test_card_of_the_repository_it_came_from(self, cache: Path, tmp_path: Path) -> None:
        snapshot = next(cache.glob(f"*/snapshots/{COMMIT}"))
        (snapshot / "README.md").write_text("# a card of the Hub's")
        model = VisionTransformer.from_pretrained("owner/tiny", cache_dir=cache)
        model.save_pretrained(tmp_path / "b")
        assert (tmp_path / "b/README.md").read_text() == "# a card of the Hub's"

    def test_card_and_metrics_tell_of_the_weights_that_are_written(self, tmp_path: Path) -> None:
        save_model(tmp_path / "a", tiny.model(), dtype=torch.float16)
        model = load_model(tmp_path / "a")
        assert model.info is not None
        for name in ("README.md", "metrics.json"):
            (tmp_path / "a" / name).write_text(f"99 %, sha256 {model.info.sha256}")
        model.save_pretrained(tmp_path / "same")  # as values, in another file
        now = hashlib.sha256((tmp_path / "same/model.safetensors").read_bytes()).hexdigest()
        assert now != model.info.sha256
        for name in ("README.md", "metrics.json"):
            assert (tmp_path / "same" / name).read_text() == f"99 %, sha256 {now}"
        model.save_pretrained(tmp_path / "rounded", dtype=torch.bfloat16)
        assert "99 %" not in (tmp_path / "rounded/README.md").read_text()
        assert not (tmp_path / "rounded/metrics.json").exists()

    def test_precision(self, tmp_path: Path) -> None:
        tiny.model().save_pretrained(tmp_path / "16", dtype=torch.float16)
        tiny.model().save_pretrained(tmp_path / "32")
        small, large = ((tmp_path / n / "model.safetensors").stat().st_size for n in ("16", "32"))
        assert small < 0.8 * large


class _Api:
    """Takes the place of the Hub's."""

    calls: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    files: ClassVar[dict[str, bytes]] = {}

    def __init__(self, token: str | None = None) -> None:
        self.calls.append(("token", {"token": token}))

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.calls.append((repo_id, options))

    def upload_folder(self, *, folder_path: str, **options: Any) -> Any:
        self.calls.append(("upload", options))
        self.files.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})

        class Commit:
            commit_url = "https://huggingface.co/me/mine/commit/0"

        return Commit()


class TestPushToHub:
    def test_uploads_a_whole_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.HfApi", _Api)
        _Api.calls.clear()
        _Api.files.clear()
        model = tiny.model()
        address = model.push_to_hub("me/mine", private=True, branch="dev", token="t")
        assert address == "https://huggingface.co/me/mine/commit/0"
        message = "Upload a model of tokenlearner"
        assert _Api.calls == [
            ("token", {"token": "t"}),
            ("me/mine", {"private": True, "exist_ok": True}),
            (
                "upload",
                {
                    "repo_id": "me/mine",
                    "commit_message": message,
                    "revision": "dev",
                    "create_pr": False,
                    "delete_patterns": "metrics.json",
                },
            ),
        ]
        assert set(_Api.files) == {"config.json", "model.safetensors", "README.md"}
        assert b'tokenlearner.load("hf-hub:me/mine")' in _Api.files["README.md"]
        for name, content in _Api.files.items():
            (tmp_path / name).write_bytes(content)
        assert torch.equal(load_model(tmp_path)(x := torch.randn(1, 3, 16, 16)), model(x))

    def test_a_refusal(self) -> None:
        with pytest.raises(CheckpointError, match="cannot upload to a//b: "):
            tiny.model().push_to_hub("a//b", token="t")

    def test_without_info(self) -> None:
        model = tiny.model()
        model.info = None
        with pytest.raises(ConfigError, match="has no info"):
            model.push_to_hub("me/mine")
