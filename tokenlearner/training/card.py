"""The model card, written from what the model folder says of itself and what was measured."""

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

from tokenlearner.checkpoints import AnyModel
from tokenlearner.errors import ConfigError
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.info import Provenance
from tokenlearner.training.card_model import FEW_CLASSES, describe, describe_limits, describe_use
from tokenlearner.training.datasets import Dataset, dataset_titled
from tokenlearner.training.durations import describe_duration
from tokenlearner.training.recipes import RECIPES


def render_card(model: AnyModel, report: Mapping[str, Any], *, place: str) -> str:
    """Returns the `README.md` of a model folder: Markdown with the Hub's front matter.

    Args:
        model: As loaded from the folder, with its provenance.
        report: The content of its `metrics.json`; see `tokenlearner.training.metrics.report`.
        place: What `tokenlearner.load` finds it by.

    Raises:
        ConfigError: As `check_describable`.
    """
    check_describable(model)
    info = model.info
    assert info is not None
    provenance = info.provenance
    assert provenance is not None
    dataset = dataset_titled(provenance.trained_on)
    measured = dataset if _is_training_set(report, provenance, dataset) else None
    sections = [
        _front_matter(model, dataset, measured, report),
        f"# {info.name}",
        *([f"**{info.warning}**"] if info.warning else []),
        describe(model, dataset),
        "## Use",
        describe_use(model, place),
        "## Training data",
        _training_data(provenance, dataset, report if measured else None),
        "## Training",
        _training(provenance),
        "## Results",
        _results(measured, report, len(info.class_names)),
        "## Licence",
        _licences(provenance, dataset),
        "## Limits",
        describe_limits(model, dataset),
        "## Citation",
        f"The method: {_PAPER}"
        + (f"\n\nThe data: {dataset.citation}." if dataset.citation else ""),
    ]
    return "\n\n".join(sections) + "\n"


def check_describable(model: AnyModel) -> None:
    """Refuses a model that no card can be written for.

    Raises:
        ConfigError: If the model has no provenance.
    """
    if model.info is None or model.info.provenance is None:
        raise ConfigError("a model card needs provenance; this model does not state its origin")


_PAPER = (
    "Michael S. Ryoo, AJ Piergiovanni, Anurag Arnab, Mostafa Dehghani, Anelia Angelova, "
    "“TokenLearner: Adaptive Space-Time Tokenization for Videos”, NeurIPS 2021, arXiv:2106.11297."
)


def _is_training_set(report: Mapping[str, Any], provenance: Provenance, dataset: Dataset) -> bool:
    """Whether the model is known to be measured on the data set it was trained on."""
    words = shlex.split(provenance.command)
    trained_on = words[words.index("--data") + 1] if "--data" in words else dataset.title
    return report["data"]["source"] in {trained_on, dataset.title, dataset.hub_id}


def _front_matter(
    model: AnyModel, dataset: Dataset, measured: Dataset | None, report: Mapping[str, Any]
) -> str:
    info, takes = model.info, model.takes
    assert info is not None
    assert info.provenance is not None
    licence, metrics = info.provenance.weights_licence.lower(), report["metrics"]
    figures = [
        {"type": kind, "name": name, "value": round(metrics[key], 2)}
        for kind, name, key in (
            ("mean_average_precision", "mAP (%)", "map_percent"),
            ("accuracy", "top-1 (%)", "top1_percent"),
            ("accuracy", "top-5 (%)", "top5_percent"),
        )
        if key in metrics and (key != "top5_percent" or len(info.class_names) > 5)
    ]
    network = (
        "convolutional-network" if isinstance(model, ConvVideoNetwork) else "vision-transformer"
    )
    measured_on = {
        "type": (measured and measured.hub_id) or "other",
        "name": measured.title if measured else report["data"]["source"],
        "split": report["data"]["split"],
    }
    result = {
        "task": {"type": f"{takes}-classification"},
        "dataset": measured_on,
        "metrics": figures,
    }
    entries = {
        "license": licence if " " not in licence else "other",
        "library_name": "tokenlearner",
        "pipeline_tag": f"{takes}-classification",
        "datasets": [dataset.hub_id] if dataset.hub_id else [],
        "tags": ["tokenlearner", network, "attention-maps"],
        "model-index": [{"name": info.name, "results": [result]}],
    }
    # JSON is YAML, and quotes whatever needs it.
    lines = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items() if value
    ]
    return "\n".join(["---", *lines, "---"])


def _training_data(
    provenance: Provenance, dataset: Dataset, report: Mapping[str, Any] | None
) -> str:
    """Describes the training data; the report of a measurement knows the copy used."""
    title = f"[{dataset.title}]({dataset.url})" if dataset.url else dataset.title
    notes = [f"{title}. {dataset.about} Licence: {dataset.licence}."]
    if provenance.inherited_data:
        made_from = " and ".join(filter(None, (provenance.started_from, provenance.teacher)))
        notes.append(
            f"The model was made from {made_from}, trained on {provenance.inherited_data}."
        )
    if report is not None:
        if dataset.if_jpeg and "JPEG" in report["data"]["formats"]:
            notes.append(dataset.if_jpeg)
        size = report["data"]["size_px"]
        if dataset.if_one_size and size is not None and size[0] == size[1]:
            notes.append(dataset.if_one_size)
    return "\n\n".join(notes)


def _training(provenance: Provenance) -> str:
    known = provenance.recipe in RECIPES
    rows: dict[str, object] = {
        "recipe": f"`{provenance.recipe}` in `tokenlearner/training/recipes/`"
        if known
        else provenance.recipe,
        "started from": provenance.started_from or "random weights" * bool(provenance.command),
        "hardware": provenance.hardware,
        "time": None if provenance.hours is None else describe_duration(3600 * provenance.hours),
        "epochs": provenance.epochs,
        "seed": provenance.seed,
        "ended": provenance.date,
        "versions": _versions(provenance.versions),
        "teacher": provenance.teacher,
    }
    rows |= provenance.settings
    rows = {name: value for name, value in rows.items() if value not in (None, "")}
    told = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    parts = [f"```\n{provenance.command}\n```"] if provenance.command else []
    parts += ["\n".join(["| | |", "| --- | --- |", *told])] if told else []
    return "\n\n".join(parts) or "How it was trained is not known."


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _licences(provenance: Provenance, dataset: Dataset) -> str:
    weights = "The licence of the weights is not known."
    if provenance.weights_licence:
        weights = f"The weights are published under {provenance.weights_licence}."
    data = f"Training data: {provenance.data_licence or dataset.licence}."
    data += f" {dataset.weights_note}"
    if provenance.inherited_data:
        data += f" Data behind the weights it was made from: {provenance.inherited_data}."
    return f"{weights} {data}"


def _results(measured: Dataset | None, report: Mapping[str, Any], num_classes: int) -> str:
    metrics, data, views = report["metrics"], report["data"], report.get("views")
    things, form = "photos", _FORM_OF_PHOTOS
    if views is not None:
        things, form = "clips", _FORM_OF_CLIPS
    classes = ""
    if 0 < len(metrics["per_class_percent"]) <= FEW_CLASSES:
        of_class = metrics["per_class_percent"].items()
        rows = (f"| {_cell(name)} | {value:.1f} % |" for name, value in of_class)
        classes = "| class | top-1 |\n| --- | ---: |\n" + "\n".join(rows) + "\n\n"
    top5 = f"| top-5 | {metrics['top5_percent']:.2f} % |\n" * (num_classes > 5)
    return (
        f"On the {data['split']} split of {measured.title if measured else data['source']}, "
        f"{metrics['num_images']:,} {things}, "
        "with the weights file whose checksum is given below:\n\n"
        "| | |\n| --- | ---: |\n"
        f"| top-1 | {metrics['top1_percent']:.2f} % |\n"
        f"{_certainty(metrics, num_classes)}"
        f"{top5}"
        f"| loss | {metrics['loss']:.3f} nats |\n"
        f"{_more_results(metrics)}\n{classes}"
        f"```\n{report['command']}\n```\n\n"
        f"{form}\n\n"
        f"Measured on {report['date']} on {report['hardware']} with "
        f"{_versions(report['versions'])}. Weights: sha256 `{report['weights_sha256']}`; {things}: "
        f"sha256 `{data['sha256']}`."
    )


_FORM_OF_PHOTOS = (
    "`--data` takes a folder with the photos as `test/CLASS/NAME.jpg`; a folder with "
    "`train-*.parquet` and `test-*.parquet` laid out as on the Hugging Face Hub, with a column of "
    "image files and one of class labels; or the id of a data set on the Hub."
)
_FORM_OF_CLIPS = (
    "`--data` takes a folder with the clips as `test/CLASS/NAME.mp4`, or a CSV file with the "
    "columns `path`, `class` (or `classes`, several names separated by semicolons) and `split`."
)


def _more_results(metrics: Mapping[str, Any]) -> str:
    rows = {
        "class_mean_percent": "mean of per-class top-1",
        "map_percent": "mean average precision",
        "real_percent": "among the valid labels",
    }
    found = {text: metrics[name] for name, text in rows.items() if name in metrics}
    if "map_overlap" in metrics:
        found["overlap of two maps, on average"] = 100 * metrics["map_overlap"]
    return "".join(f"| {text} | {value:.2f} % |\n" for text, value in found.items())


def _certainty(metrics: Mapping[str, Any], num_classes: int) -> str:
    """Returns the uncertainty of top-1 from the sample size alone, and the chance level."""
    count = metrics["num_images"] - (metrics.get("num_unlabelled") or 0)
    low, high = _wilson(metrics["top1_percent"] / 100, count)
    interval = f"{100 * low:.1f} to {100 * high:.1f} %"
    rows = f"| 95 % interval of top-1, given the sample size (Wilson) | {interval} |\n"
    if "map_percent" not in metrics:  # several may be right at once
        rows += f"| chance level | {100 / num_classes:.3g} % |\n"
    return rows


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Returns the interval of Wilson (1927), at 95 %, of a share of so many."""
    z = 1.96
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)
    return max(0.0, low), min(1.0, high)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
