"""Which models a visitor can choose: what the operator says, and nothing else."""

from pathlib import Path

import pytest

from app.catalogue import folder_problem, offers
from app.options import Options, read_options
from tests import tiny
from tokenlearner import zoo
from tokenlearner.checkpoints import save_model
from tokenlearner.errors import ConfigError


class TestOptions:
    def test_none(self) -> None:
        assert read_options([], {"HOME": "x"}) == Options()

    def test_arguments(self, tmp_path: Path) -> None:
        words = ["--models", str(tmp_path), "--allow-hub", "a/b", "--allow-hub", "c/d@v1.0"]
        assert read_options(words, {}) == Options(models=tmp_path, hub=("a/b", "c/d@v1.0"))

    def test_environment(self) -> None:
        environment = {"TOKENLEARNER_MODELS": "runs", "TOKENLEARNER_ALLOW_HUB": "a/b, c/d,a/b,"}
        assert read_options([], environment) == Options(models=Path("runs"), hub=("a/b", "c/d"))

    def test_an_argument_counts_more(self) -> None:
        environment = {"TOKENLEARNER_MODELS": "runs", "TOKENLEARNER_ALLOW_HUB": "a/b"}
        found = read_options(["--models", "mine", "--allow-hub", "c/d"], environment)
        assert found == Options(models=Path("mine"), hub=("c/d",))

    @pytest.mark.parametrize(
        "words", [["--model", "x"], ["x"], ["--models"], ["--allow-hub"], ["--help"]]
    )
    def test_others(self, words: list[str]) -> None:
        with pytest.raises(ConfigError, match=r"settings that it does not know: .* It takes --mo"):
            read_options(words, {})

    @pytest.mark.parametrize("name", ["a", "a/b/c", "../x", "https://x.org/a/b", "a/b@", "a b/c"])
    def test_no_repository(self, name: str) -> None:
        with pytest.raises(ConfigError, match=r"--allow-hub got .*; wanted OWNER/NAME"):
            read_options(["--allow-hub", name], {})


class TestOffers:
    def test_the_projects_models_come_first(self, tmp_path: Path) -> None:
        save_model(tmp_path / "mine", tiny.model())
        found = offers(Options(models=tmp_path, hub=("owner/name@v1",)))
        assert list(found) == [*zoo.names(), "own:mine", "hf-hub:owner/name@v1"]
        assert [offer.origin for offer in found.values()] == ["shipped"] * len(zoo.ENTRIES) + [
            "operator",
            "hub",
        ]
        assert found["own:mine"].place == str(tmp_path / "mine")
        assert zoo.load(found["own:mine"].place).info is not None

    def test_counterparts(self) -> None:
        found = offers(Options())
        for name in zoo.names():
            assert found[name].counterpart == zoo.counterpart(name)

    def test_folders_of_runs(self, tmp_path: Path) -> None:
        for place in ("b/model", "a", ".trash/model", "c/d/e"):
            (tmp_path / place).mkdir(parents=True)
            (tmp_path / place / "config.json").touch()
        (tmp_path / "half").mkdir()
        (tmp_path / "half/model.safetensors").touch()
        (tmp_path / "photos").mkdir()
        found = offers(Options(models=tmp_path))
        own = [offer.title for offer in found.values() if offer.origin == "operator"]
        assert own == ["a", "b/model", "half"]

    def test_a_model_folder_itself(self, tmp_path: Path) -> None:
        save_model(tmp_path / "mine", tiny.model())
        assert "own:mine" in offers(Options(models=tmp_path / "mine"))

    def test_the_state_changes_with_the_files(self, tmp_path: Path) -> None:
        save_model(tmp_path / "mine", tiny.model())
        before = offers(Options(models=tmp_path))["own:mine"]
        assert offers(Options(models=tmp_path))["own:mine"] == before
        (tmp_path / "mine/config.json").write_text("{}")
        assert offers(Options(models=tmp_path))["own:mine"].state != before.state

    def test_no_two_have_the_same_title(self, tmp_path: Path) -> None:
        shipped = zoo.ENTRIES[0].title
        for name in ("owner/tiny", "owner/other", shipped):
            save_model(tmp_path / name, tiny.model())
        options = Options(models=tmp_path, hub=("owner/tiny", "owner/third"))
        assert [offer.title for offer in offers(options).values()][len(zoo.names()) :] == [
            f"{shipped} (folder)",
            "owner/other",
            "owner/tiny (folder)",
            "owner/tiny (Hub)",
            "owner/third",
        ]

    def test_a_folder_that_offers_nothing(self, tmp_path: Path) -> None:
        def problem(options: Options) -> str:
            return folder_problem(options, offers(options))

        assert problem(Options()) == ""
        nothing = problem(Options(models=tmp_path))
        assert nothing.startswith(f"--models names {tmp_path}, where no folder has a config.json")
        missing = Options(models=tmp_path / "no")
        assert problem(missing) == f"--models names {tmp_path / 'no'}, which is no folder"
        assert list(offers(missing)) == list(zoo.names())
        save_model(tmp_path / "mine", tiny.model())
        assert problem(Options(models=tmp_path)) == ""
