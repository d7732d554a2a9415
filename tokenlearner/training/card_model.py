"""What a model card says about the model itself: how it is made, its use and its limits."""

from tokenlearner.checkpoints import AnyModel, ClipConfig
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.models.config import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.info import Provenance
from tokenlearner.models.short_card import quoted
from tokenlearner.models.timm_config import TimmConfig
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.training.datasets import Dataset

FEW_CLASSES = 20
"""Up to this number, classes are listed one by one."""


def describe(model: AnyModel, dataset: Dataset) -> str:
    """Returns what the model is, in a paragraph and a table; it must have its `info`."""
    assert model.info is not None
    config = model.config
    cost = count_model(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    thing = _thing(model)
    frames = ""
    if isinstance(config, ClipConfig):
        frames = f"{config.num_frames} frames, evenly spaced over the clip, of "
    if isinstance(config, ConvVideoConfig):
        learner, layers = _learner_of_convolutions(config), _stages(config)
    else:
        learner, layers = _learner(config), _layers(config)
    height, width = config.image_size
    resizing = {"squash": f"the whole {thing}, aspect ratio ignored", "crop": "centre crop"}
    return (
        f"{_kind(model)} that classifies {thing}s into {config.num_classes:,} classes"
        f"{_of_data(model, dataset)}{_classes(model.info.class_names)}. "
        f"{learner}\n\n"
        f"| | |\n| --- | --- |\n"
        f"| input | {frames}{width} × {height} px, {resizing[model.info.preprocessing.resize]} |\n"
        f"{layers}"
        f"| parameters | {parameters / 1e6:.3g} million |\n"
        f"| cost | {cost.gmacs:.3g} GFLOPs per {thing} (a multiply-accumulate counts as 1) |"
    )


def describe_use(model: AnyModel, place: str) -> str:
    """Returns Python code that loads the model from there and runs it."""
    explain = 'explain(model, "photo.jpg")'
    if isinstance(model.config, ClipConfig):
        explain = 'explain_clip(model, "clip.mp4")'
    return (
        "```python\nimport tokenlearner\n\n"
        f"model = tokenlearner.load({quoted(place)})\n"
        f"explanation = tokenlearner.{explain}\n"
        "explanation.predictions[0]\n```"
    )


def describe_limits(model: AnyModel, dataset: Dataset) -> str:
    """Returns what the model is not intended for."""
    info, thing = model.info, _thing(model)
    assert info is not None
    assert info.provenance is not None
    answer = f"It assigns every {thing} to one of its {len(info.class_names):,} classes"
    hint = "a low probability is the only hint"
    if info.multi_label:
        num_classes = f"{len(info.class_names):,}"
        answer = f"It gives every {thing} a probability for each of its {num_classes} classes"
        hint = "low probabilities are the only hint"
    return (
        f"{answer}, even one that shows none of them; {hint}. {_purpose(info.provenance, dataset)}"
        "It is not intended for decisions about people, for safety or for any use where a wrong "
        "answer does harm. The attention maps show where information was taken from, not why a "
        "class was predicted."
    )


def _purpose(provenance: Provenance, dataset: Dataset) -> str:
    """Returns how and why it was trained; empty for a model trained elsewhere."""
    if not provenance.command:
        return ""
    how = f"from scratch on {dataset.title} alone"
    if provenance.started_from:
        how = f"further on {dataset.title}, starting from the weights of {provenance.started_from}"
    elif provenance.teacher:
        how = f"from scratch on {dataset.title}"
    taught = f", with {provenance.teacher} as the teacher" if provenance.teacher else ""
    return f"It was trained {how}{taught}, to show what learned tokens look at and what they save. "


def _of_data(model: AnyModel, dataset: Dataset) -> str:
    """Returns whose classes they are, unless the model was trained elsewhere on who knows what."""
    assert model.info is not None
    assert model.info.provenance is not None
    known = dataset.name or model.info.provenance.command
    return f" of {dataset.title}" if known else ""


def _thing(model: AnyModel) -> str:
    return "clip" if isinstance(model.config, ClipConfig) else "photo"


def _kind(model: AnyModel) -> str:
    if isinstance(model, TimmVisionTransformer):
        name = model.pretrained_cfg.get("architecture", "")
        return f"A vision transformer, timm's `{name}`,"
    if isinstance(model.config, ConvVideoConfig):
        return "A convolutional network, X(2+1)D,"
    return "A vision transformer" + " with a convolutional stem" * bool(model.config.stem_widths)


def _classes(names: tuple[str, ...]) -> str:
    return ": " + ", ".join(names) if len(names) <= FEW_CLASSES else ""


def _layers(config: VisionTransformerConfig | TimmConfig) -> str:
    tokens = " → ".join(str(count) for count in dict.fromkeys(config.tokens_per_block))
    return f"| tokens per layer | {tokens} |\n| layers | {config.depth}, {config.dim} wide |\n"


def _stages(config: ConvVideoConfig) -> str:
    stages = ", ".join(
        f"{depth} of width {width}"
        for depth, width in zip(config.depths, config.widths, strict=True)
    )
    return f"| blocks | {stages} |\n"


_NO_LEARNER = "It has no TokenLearner: it is the baseline to compare with."


def _learner(config: VisionTransformerConfig | TimmConfig) -> str:
    learner, depth = config.token_learner, config.depth
    if learner is None:
        return _NO_LEARNER
    of_step = ""
    if isinstance(config, VideoVisionTransformerConfig):
        of_step = f" at each of {config.steps} time steps"
    tokens = f"{learner.num_tokens} tokens{of_step}, each with its own attention map"
    if learner.fuser:
        return (
            f"After {learner.at} of {depth} layers, each layer has a TokenLearner "
            f"({_version(learner)}), which summarises the grid as {tokens}; the layer sees only "
            "these, and a TokenFuser writes its result back onto the grid."
        )
    return (
        f"After {learner.at} of {depth} layers a TokenLearner ({_version(learner)}) summarises "
        f"the grid as {tokens}, and the layers after it see only these."
    )


def _learner_of_convolutions(config: ConvVideoConfig) -> str:
    learner = config.token_learner
    if learner is None:
        return _NO_LEARNER
    return (
        f"In {len(config.learner_blocks)} of {config.depth} blocks a TokenLearner "
        f"({_version(learner)}) summarises the grid of every frame as {learner.num_tokens} tokens, "
        "each with its own attention map; those of all frames attend to each other, and "
        "TokenFuser writes the result back onto the grids."
    )


def _version(learner: TokenLearnerConfig) -> str:
    if learner.version == "grouped":
        return f"grouped convolutions, {learner.groups} groups"
    return f"version {learner.version}"
