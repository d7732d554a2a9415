"""`tokenlearner train` and `evaluate`: from parquet files to a model folder with its card."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import hub_cache, tiny
from tests.hub_cache import COMMIT
from tests.shell import call
from tokenlearner.checkpoints import for_images, load_model, save_model
from tokenlearner.errors import TrainingError
from tokenlearner.training.checkpoint import alone_in
from tokenlearner.training.data import read_images
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.metrics import evaluate
from tokenlearner.training.recipes import RECIPES

ROOT = Path(__file__).parents[2]
NAME = "imagenette-tiny"


@pytest.fixture(autouse=True)
def _recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, NAME, lambda: tiny.recipe(stages=((2, 16),)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_dataset(tmp_path_factory.mktemp("data") / "colours", test=6)


class TestTrain:
    def test_writes_a_model_folder(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "run"
        result = call("train", NAME, "--data", data, "--out", out, "--device", "cpu")
        assert result.exit_code == 0, result.output
        assert "epoch 2/2" in result.stdout
        assert "held-out accuracy" in result.stdout
        evaluate = shlex.join(["tokenlearner", "evaluate", str(out / "model"), "--data", str(data)])
        assert f"wrote {out / 'model'}; to measure it: `{evaluate} --save`" in result.stdout
        info = load_model(out / "model").info
        assert info is not None
        assert info.name == NAME
        assert info.provenance is not None
        command = f"tokenlearner train {NAME} --data colours --out runs/{NAME}"
        assert info.provenance.command.startswith(command)

    def test_a_folder_that_cannot_be_written_is_refused_before_it_trains(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)
        monkeypatch.setattr("tokenlearner.cli.train.follow", lambda _: pytest.fail("trained"))
        result = call("train", NAME, "--data", data, "--out", tmp_path, "--device", "cpu")
        assert result.exit_code == 1
        assert "checkpoint.pt: permission denied; choose another place" in result.stderr

    def test_another_run_in_the_folder_is_left_alone(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From before its checkpoint is read until its model is written."""
        out = tmp_path / "run"
        out.mkdir()
        arguments = ("train", NAME, "--data", data, "--out", out, "--device", "cpu")
        monkeypatch.setattr(Trainer, "__init__", lambda *_, **__: pytest.fail("looked"))
        with alone_in(out):
            result = call(*arguments)
        assert result.exit_code == 1
        assert f"another run is going on in {out}; wait for it" in result.stderr
        monkeypatch.undo()

        refused = []

        def look(*_: object, **__: object) -> Path:
            with pytest.raises(TrainingError, match="another run is going on") as error:
                alone_in(out).__enter__()
            refused.append(error)
            return out / "model"

        monkeypatch.setitem(RECIPES, NAME, lambda: tiny.recipe(stages=((1, 16),)))
        monkeypatch.setattr("tokenlearner.cli.train.export", look)
        assert call(*arguments).exit_code == 0
        assert refused

    def test_goes_on_where_it_stopped(self, data: Path, tmp_path: Path) -> None:
        photos = read_images(data, "train")
        options = {"device": torch.device("cpu"), "mixed_precision": False}
        recipe = RECIPES[NAME]()
        call_options = ["--data", data, "--device", "cpu", "--no-mixed-precision"]
        assert call("train", NAME, "--out", tmp_path / "a", *call_options).exit_code == 0
        for report in Trainer(recipe, photos, tmp_path / "b", **options).run():
            if report["step"] == 3:
                break
        result = call("train", NAME, "--out", tmp_path / "b", *call_options)
        assert result.exit_code == 0, result.output
        assert "resuming after step 3 of 6" in result.stdout
        weights = [tmp_path / name / "model/model.safetensors" for name in "ab"]
        assert weights[0].read_bytes() == weights[1].read_bytes()

    def test_a_finished_run_writes_its_model_anew(self, data: Path, tmp_path: Path) -> None:
        arguments = ("train", NAME, "--data", data, "--out", tmp_path, "--device", "cpu")
        assert call(*arguments).exit_code == 0
        model = tmp_path / "model"
        before = {path.name: path.read_bytes() for path in model.iterdir()}
        for path in model.iterdir():
            path.unlink()
        result = call(*arguments)
        assert result.exit_code == 0, result.output
        assert "the run is finished" in result.stdout
        assert "training on" not in result.stdout
        assert {path.name: path.read_bytes() for path in model.iterdir()} == before

    def test_seed(self, data: Path, tmp_path: Path) -> None:
        arguments = ("train", NAME, "--data", data, "--device", "cpu")
        call(*arguments, "--out", tmp_path / "0")
        call(*arguments, "--out", tmp_path / "5", "--seed", 5)
        config = json.loads((tmp_path / "5/model/config.json").read_text())
        assert config["provenance"]["seed"] == 5
        assert "--seed 5" in config["provenance"]["command"]
        files = [tmp_path / seed / "model/model.safetensors" for seed in "05"]
        assert files[0].read_bytes() != files[1].read_bytes()
        refused = call(*arguments, "--out", tmp_path / "0", "--seed", 6)
        assert refused.exit_code == 1
        assert "belongs to another recipe" in refused.stderr

    def test_a_seed_of_more_than_63_bits(self, tmp_path: Path) -> None:
        result = call("train", NAME, "--data", "x", "--out", tmp_path, "--seed", 2**63)
        assert result.exit_code == 2
        assert "Invalid value for '--seed'" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nonsense", "--data", "x"], "unknown recipe 'nonsense'; available: cifar10-mini-vit"),
            ([NAME, "--data", "./x"], "no folder ./x, and it is not an id on the Hub"),
            ([NAME, "--data", "./x", "--device", "tpu"], "no device 'tpu' here"),
        ],
    )
    def test_errors_take_a_line(self, tmp_path: Path, arguments: list[str], message: str) -> None:
        result = call("train", *arguments, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_a_file_is_no_folder_for_a_run(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("kept")
        for out, which in ((tmp_path / "file", "it"), (tmp_path / "file/run", tmp_path / "file")):
            result = call("train", NAME, "--data", data, "--out", out)
            assert result.exit_code == 1
            assert "reading" not in result.stdout
            assert f"--out is {out}, but {which} is a file; wanted" in result.stderr
        assert (tmp_path / "file").read_text() == "kept"

    def test_ctrl_c_says_how_to_go_on(self, data: Path, tmp_path: Path) -> None:
        source = (
            # A shell starts what runs in the background deaf to Ctrl-C.
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from tests import tiny; from tokenlearner.training.recipes import RECIPES; "
            f"RECIPES[{NAME!r}] = lambda: tiny.recipe(stages=((100_000, 16),)); "
            "from tokenlearner.cli.main import app; app()"
        )
        command = [sys.executable, "-c", source, "train", NAME, "--device", "cpu"]
        command += ["--data", str(data), "--out", str(tmp_path)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            watchdog = threading.Timer(300, process.kill)  # ends the loop if no line comes
            watchdog.start()
            for line in process.stdout:
                if line.startswith("epoch 2/"):
                    break
            watchdog.cancel()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        match = re.fullmatch(
            r"stopped after step ([\d,]+); \S+ has a checkpoint of step ([\d,]+)\. "
            r"The same command resumes from there\.\n",
            errors,
        )
        assert match, errors
        stopped, saved = (int(number.replace(",", "")) for number in match.groups())
        assert stopped >= saved >= 6
        assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == saved

    def test_ctrl_c_before_the_first_checkpoint(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(trainer: Trainer, **_: object) -> Iterator[dict[str, float]]:
            yield from ()
            raise KeyboardInterrupt

        monkeypatch.setattr("tokenlearner.cli.train_progress.run", stopped)
        result = call("train", NAME, "--data", data, "--out", tmp_path, "--device", "cpu")
        assert result.exit_code == 130
        assert result.stderr == (
            "stopped after step 0; there is no checkpoint yet. The same command starts again.\n"
        )

    def test_the_command_says_how_the_photos_were_read(self, tmp_path: Path) -> None:
        tiny.write_parquet(
            tmp_path / "colours/some.parquet",
            [tiny.photo(i % 3, i) for i in range(12)],
            [i % 3 for i in range(12)],
        )
        words = ("train", NAME, "--data", tmp_path / "colours", "--split", "some")
        words += ("--label-column", "label", "--image-column", "img", "--device", "cpu")
        result = call(*words, "--out", tmp_path / "run")
        assert result.exit_code == 0, result.output
        info = load_model(tmp_path / "run/model").info
        assert info is not None
        assert info.provenance is not None
        wanted = "--split some --image-column img --label-column label"
        assert wanted in info.provenance.command


class TestEvaluate:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        save_model(tmp_path / "tiny", tiny.model(), dtype=torch.float16)
        return tmp_path / "tiny"

    def test_prints_metrics_of_the_weights_in_the_file(self, model: Path, data: Path) -> None:
        result = call("evaluate", model, "--data", data, "--device", "cpu")
        assert result.exit_code == 0, result.output
        wanted = evaluate(
            for_images(load_model(model)), read_images(data, "test"), device=torch.device("cpu")
        )
        assert "tiny on the test split of colours, 6 photos" in result.stdout
        assert f"{wanted.top1_percent:6.2f} %" in result.stdout
        assert f"{wanted.loss:7.3f} nats" in result.stdout
        assert f"green  {wanted.per_class_percent['green']:6.2f} %" in result.stdout
        assert not (model / "metrics.json").exists()

    def test_save_writes_metrics_and_card(self, model: Path, data: Path) -> None:
        result = call("evaluate", model, "--data", data, "--save", "--device", "cpu")
        assert result.exit_code == 0, result.output
        content = json.loads((model / "metrics.json").read_text())
        info = load_model(model).info
        assert info is not None
        assert content["weights_sha256"] == info.sha256
        assert content["command"] == "tokenlearner evaluate ./tiny --data colours --split test"
        card = (model / "README.md").read_text(encoding="utf-8")
        assert f"{content['metrics']['top1_percent']:.2f} %" in card
        assert content["command"] in card
        assert 'tokenlearner.load("./tiny")' in card

    @pytest.mark.parametrize("command", ["evaluate", "few-shot"])
    @pytest.mark.parametrize("place", ["", "file/result.json"])
    def test_a_result_that_cannot_be_written_is_not_measured(
        self, model: Path, data: Path, tmp_path: Path, command: str, place: str
    ) -> None:
        (tmp_path / "file").touch()
        result = call(command, model, "--data", data, "--json", tmp_path / place)
        assert result.exit_code in (1, 2)
        assert "measuring" not in result.output
        assert "is a directory" in result.stderr or "cannot write" in result.stderr

    def test_another_split(self, model: Path, data: Path) -> None:
        result = call("evaluate", model, "--data", data, "--split", "train", "--device", "cpu")
        assert "tiny on the train split of colours, 24 photos" in result.stdout

    def test_nothing_is_saved_without_origin(self, data: Path, tmp_path: Path) -> None:
        save_model(tmp_path / "random", tiny.model(trained=False))
        result = call("evaluate", tmp_path / "random", "--data", data, "--save")
        assert result.exit_code == 1
        assert "a model card needs provenance" in result.stderr
        assert not (tmp_path / "random/metrics.json").exists()

    def test_a_model_of_the_hub_is_named_with_its_commit_and_nothing_is_saved_into_it(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub_cache.use(monkeypatch, tmp_path)
        save_model(hub_cache.add(tmp_path, "owner/tiny"), tiny.model())
        result = call("evaluate", "hf-hub:owner/tiny", "--data", data, "--save")
        assert result.exit_code == 1
        assert (
            "--save writes into a model folder, and hf-hub:owner/tiny is not one" in result.stderr
        )
        file = tmp_path / "metrics.json"
        result = call("evaluate", "hf-hub:owner/tiny", "--data", data, "--json", file)
        assert result.exit_code == 0, result.output
        command = json.loads(file.read_text())["command"]
        assert command.startswith(f"tokenlearner evaluate hf-hub:owner/tiny@{COMMIT} --data ")

    def test_other_classes(self, model: Path, tmp_path: Path) -> None:
        features = {
            "img": {"_type": "Image"},
            "label": {"names": ["a", "b", "c"], "_type": "ClassLabel"},
        }
        file = tmp_path / "letters/test-00000-of-00001.parquet"
        tiny.write_parquet(file, [tiny.photo(0, 0)], [0], features=features)
        result = call("evaluate", model, "--data", file.parent)
        assert result.exit_code == 1
        assert "has the classes a, b, c, but tiny answers with red, green, blue" in result.stderr
