"""The model card, written from what the model folder says of itself and what was measured."""

import json
from collections.abc import Mapping
from typing import Any

from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.conv_video import ConvVideoNetwork
from tokenlearner.models.info import ModelInfo, Provenance
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.models.vivit import VideoVisionTransformer
from tokenlearner.training.datasets import Dataset, dataset_titled
from tokenlearner.training.recipes import RECIPES, Recipe


def render_card(model: AnyModel, report: Mapping[str, Any]) -> str:
    """Returns the `README.md` of a model folder: Markdown with the Hub's front matter.

    Args:
        model: As loaded from the folder, with its provenance.
        report: The content of its `metrics.json`; see `tokenlearner.training.metrics.report`.

    Raises:
        ConfigError: As `check_describable`.
    """
    check_describable(model)
    info = model.info
    assert info is not None
    provenance = info.provenance
    assert provenance is not None
    dataset = dataset_titled(provenance.trained_on)
    sections = [
        _front_matter(info, dataset, report, takes=model.takes),
        f"# {info.name}",
        _about(model, dataset),
        "## Use",
        _use(model),
        "## Training data",
        _training_data(dataset, report),
        "## Training",
        _training(provenance),
        "## Results",
        _results(dataset, report),
        "## Licence",
        f"The weights are published under {provenance.weights_licence}. Training data: "
        f"{provenance.data_licence}. {dataset.weights_note}",
        "## Limits",
        _limits(model, dataset),
        "## Citation",
        f"The method: {_PAPER}"
        + (f"\n\nThe data: {dataset.citation}." if dataset.citation else ""),
    ]
    return "\n\n".join(sections) + "\n"


def check_describable(model: AnyModel) -> None:
    """Refuses a model that no card can be written for.

    Raises:
        ConfigError: If it has no provenance, or is a convolutional network.
    """
    if model.info is None or model.info.provenance is None:
        raise ConfigError("a model card needs provenance; this model does not tell its origin")
    if isinstance(model, ConvVideoNetwork):
        raise ConfigError(
            f"{model.info.name} is a convolutional network, and model cards are for vision "
            "transformers; write its card by hand"
        )


_FEW_CLASSES = 20
"""So many can be listed one by one."""

_PAPER = (
    "Michael S. Ryoo, AJ Piergiovanni, Anurag Arnab, Mostafa Dehghani, Anelia Angelova, "
    "“TokenLearner: Adaptive Space-Time Tokenization for Videos”, NeurIPS 2021, arXiv:2106.11297."
)


def _front_matter(
    info: ModelInfo, dataset: Dataset, report: Mapping[str, Any], *, takes: str
) -> str:
    assert info.provenance is not None
    figures = [
        {"type": "accuracy", "name": f"top-{k} (%)", "value": round(value, 2)}
        for k, value in (
            (1, report["metrics"]["top1_percent"]),
            (5, report["metrics"]["top5_percent"]),
        )
    ]
    measured_on = {
        "type": dataset.hub_id or "other",
        "name": dataset.title,
        "split": report["data"]["split"],
    }
    result = {
        "task": {"type": f"{takes}-classification"},
        "dataset": measured_on,
        "metrics": figures,
    }
    entries = {
        "license": info.provenance.weights_licence.lower(),
        "library_name": "tokenlearner",
        "pipeline_tag": f"{takes}-classification",
        "datasets": [dataset.hub_id] if dataset.hub_id else [],
        "tags": ["tokenlearner", "vision-transformer", "attention-maps"],
        "model-index": [{"name": info.name, "results": [result]}],
    }
    # JSON is YAML, and quotes whatever needs it.
    lines = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items() if value
    ]
    return "\n".join(["---", *lines, "---"])


def _about(model: AnyModel, dataset: Dataset) -> str:
    assert model.info is not None
    assert not isinstance(model, ConvVideoNetwork), "`check_describable` refuses it"
    config = model.config
    cost = count_model(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    kind = "A vision transformer"
    if isinstance(model, TimmVisionTransformer):
        kind += f", timm's `{model.pretrained_cfg.get('architecture', '')}`,"
    elif model.config.stem_widths:
        kind += " with a convolutional stem"
    tokens = " → ".join(str(count) for count in dict.fromkeys(config.tokens_per_block))
    height, width = config.image_size
    thing, frames = "photo", ""
    if isinstance(config, VideoVisionTransformerConfig):
        thing = "clip"
        frames = f"{config.num_frames} frames, evenly spaced over the clip, of "
    resizing = {"squash": f"of the whole {thing}, its aspect ignored", "crop": "of its centre"}
    return (
        f"{kind} that tells {config.num_classes:,} classes of {dataset.title} apart"
        f"{_classes(model.info.class_names)}. "
        f"{_learner(config)}\n\n"
        f"| | |\n| --- | --- |\n"
        f"| input | {frames}{width} × {height} px, {resizing[model.info.preprocessing.resize]} |\n"
        f"| tokens per layer | {tokens} |\n"
        f"| layers | {config.depth}, {config.dim} wide |\n"
        f"| parameters | {parameters / 1e6:.3g} million |\n"
        f"| cost | {cost.gmacs:.3g} GFLOPs a {thing} (1 multiply-accumulate counts 1) |"
    )


def _classes(names: tuple[str, ...]) -> str:
    return ": " + ", ".join(names) if len(names) <= _FEW_CLASSES else ""


def _learner(config: VisionTransformerConfig | TimmConfig) -> str:
    learner, depth = config.token_learner, config.depth
    if learner is None:
        return "It has no TokenLearner: it is the baseline to compare with."
    of_step = ""
    if isinstance(config, VideoVisionTransformerConfig):
        of_step = f" at each of {config.steps} time steps"
    fuser = (
        " TokenFuser writes the result of each of these layers back onto the grid." * learner.fuser
    )
    return (
        f"After {learner.at} of {depth} layers a TokenLearner ({_version(learner)}) sums the "
        f"grid up into {learner.num_tokens} tokens{of_step}, each under an attention map of its "
        f"own, and the layers after it see only these.{fuser}"
    )


def _version(learner: TokenLearnerConfig) -> str:
    if learner.version == "grouped":
        return f"grouped convolutions, {learner.groups} groups"
    return f"version {learner.version}"


def _use(model: AnyModel) -> str:
    assert model.info is not None
    explain = 'explain(model, "photo.jpg")'
    if isinstance(model, VideoVisionTransformer):
        explain = 'explain_clip(model, "clip.mp4")'
    return (
        "```python\nimport tokenlearner\n\n"
        f'model = tokenlearner.load("{model.info.name}")\n'
        f"explanation = tokenlearner.{explain}\n"
        "explanation.predictions[0]\n```"
    )


def _training_data(dataset: Dataset, report: Mapping[str, Any]) -> str:
    title = f"[{dataset.title}]({dataset.url})" if dataset.url else dataset.title
    notes = [f"{title}. {dataset.about} Licence: {dataset.licence}."]
    if dataset.if_jpeg and "JPEG" in report["data"]["formats"]:
        notes.append(dataset.if_jpeg)
    size = report["data"]["size_px"]
    if dataset.if_one_size and size is not None and size[0] == size[1]:
        notes.append(dataset.if_one_size)
    return "\n\n".join(notes)


def _training(provenance: Provenance) -> str:
    rows = {
        "recipe": f"`{provenance.recipe}` in `tokenlearner/training/recipes/`",
        "started from": provenance.started_from or "random weights",
        "hardware": provenance.hardware,
        "time": f"{provenance.hours:.3g} hours",
        "epochs": provenance.epochs,
        "seed": provenance.seed,
        "ended": provenance.date,
        "versions": _versions(provenance.versions),
    }
    if provenance.teacher:
        rows["teacher"] = provenance.teacher
    if provenance.recipe in RECIPES:
        rows |= _recipe_rows(RECIPES[provenance.recipe]())
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"```\n{provenance.command}\n```\n\n| | |\n| --- | --- |\n{table}"


def _recipe_rows(recipe: Recipe) -> dict[str, str]:
    sides = ", ".join(f"{epochs} epochs at {side} px" for epochs, side in recipe.stages)
    things = "photos" if recipe.clips is None else "clips"
    kept = {"last": "of the last epoch", "best": f"of the best epoch on the held-out {things}"}
    weights = kept[recipe.keep]
    if recipe.ema_decay is not None:
        weights = f"running average (decay {recipe.ema_decay}), {weights}"
    return {
        f"{things[:-1]} sizes": sides,
        "optimiser": f"{_optimizer(recipe)}, {recipe.schedule} schedule, weight decay "
        f"{recipe.weight_decay:g}, batch {recipe.batch_size:,}",
        "held out": f"{recipe.holdout:,} training {things}",
        "weights": f"{weights}, stored as {recipe.weights_dtype}",
    }


def _optimizer(recipe: Recipe) -> str:
    if recipe.optimizer == "muon":
        return (
            f"Muon (learning rate {recipe.muon_learning_rate:g}) for the layers' matrices, AdamW "
            f"({recipe.learning_rate:g}) for the rest"
        )
    return f"AdamW, learning rate {recipe.learning_rate:g}"


def _results(dataset: Dataset, report: Mapping[str, Any]) -> str:
    metrics, data, views = report["metrics"], report["data"], report.get("views")
    things, form = "photos", _FORM_OF_PHOTOS
    if views is not None:
        things, form = "clips", _FORM_OF_CLIPS
    classes = ""
    if 0 < len(metrics["per_class_percent"]) <= _FEW_CLASSES:
        rows = (
            f"| {name} | {value:.1f} % |" for name, value in metrics["per_class_percent"].items()
        )
        classes = "| class | top-1 |\n| --- | ---: |\n" + "\n".join(rows) + "\n\n"
    return (
        f"On the {data['split']} split of {dataset.title}, {metrics['num_images']:,} {things}, "
        "with the weights as they are in this folder:\n\n"
        "| | |\n| --- | ---: |\n"
        f"| top-1 | {metrics['top1_percent']:.2f} % |\n"
        f"| top-5 | {metrics['top5_percent']:.2f} % |\n"
        f"| loss | {metrics['loss']:.3f} nats |\n"
        f"{_more_results(metrics)}\n{classes}"
        f"```\n{report['command']}\n```\n\n"
        f"{form}\n\n"
        f"Measured on {report['date']} on {report['hardware']} with "
        f"{_versions(report['versions'])}. Weights: sha256 `{report['weights_sha256']}`; {things}: "
        f"sha256 `{data['sha256']}`."
    )


_FORM_OF_PHOTOS = (
    "`--data` takes a folder with `train-*.parquet` and `test-*.parquet` as the Hugging Face Hub "
    "lays them out, with a column of image files and one of class labels, or a data set's id on "
    "the Hub."
)
_FORM_OF_CLIPS = (
    "`--data` takes a folder with the clips as `test/CLASS/NAME.mp4`, or a CSV file with the "
    "columns `path`, `class` and `split`."
)


def _more_results(metrics: Mapping[str, Any]) -> str:
    rows = {"map_percent": "mean average precision", "real_percent": "among the valid labels"}
    return "".join(
        f"| {text} | {metrics[name]:.2f} % |\n" for name, text in rows.items() if name in metrics
    )


def _limits(model: AnyModel, dataset: Dataset) -> str:
    info = model.info
    assert info is not None
    assert info.provenance is not None
    thing = "clip" if isinstance(model, VideoVisionTransformer) else "photo"
    scratch = "" if info.provenance.started_from else "from scratch "
    return (
        f"It answers every {thing} with one of its {len(info.class_names):,} classes, also one "
        f"that shows none of them; a low probability is the only hint. It was trained {scratch}on "
        f"{dataset.title} alone, to show what learned tokens look at and what they save. It is not "
        "made for decisions about people, for safety or for any use where a wrong answer does "
        "harm. The attention maps show where information was taken from, not why an answer was "
        "given."
    )


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
