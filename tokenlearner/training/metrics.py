"""How good a model is, measured on photos prepared as `explain` prepares a user's."""

import datetime
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F

from tokenlearner.efficiency.machine import describe_hardware, describe_versions
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.models.info import ModelInfo
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import prepare
from tokenlearner.training.data import LabelledImages


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """The result of an evaluation.

    Attributes:
        top1_percent: Photos whose label is the most probable answer.
        top5_percent: Photos whose label is among the five most probable answers.
        loss: Mean cross-entropy in nats.
        num_images: Photos.
        per_class_percent: `top1_percent` among the photos of each class; no entry for a class
            without photos.
    """

    top1_percent: float
    top5_percent: float
    loss: float
    num_images: int
    per_class_percent: dict[str, float]


def evaluate(
    model: VisionTransformer,
    data: LabelledImages,
    *,
    device: torch.device,
    batch_size: int = 64,
) -> Metrics:
    """Measures a model in the number format of its weights, float32 for loaded ones.

    Args:
        model: With its `info`; moved to `device`.
        data: Photos whose class names are the model's.
        device: Where to compute.
        batch_size: Photos in a pass; changes the speed, not the result.

    Raises:
        ConfigError: If the model has no `info`.
        DataError: If the classes are others, or a photo cannot be decoded.
    """
    logits = torch.cat(list(iter_logits(model, data, device=device, batch_size=batch_size)))
    return measure(logits, torch.from_numpy(data.labels), data.class_names)


def iter_logits(
    model: VisionTransformer, data: LabelledImages, *, device: torch.device, batch_size: int
) -> Iterator[Float[Tensor, "batch classes"]]:
    """Yields the model's answers batch by batch, on the CPU; arguments and errors as `evaluate`."""
    info = _info(model)
    if data.class_names != info.class_names:
        raise DataError(
            f"{data.source} has the classes {', '.join(data.class_names)}, but {info.name} "
            f"answers with {', '.join(info.class_names)}"
        )
    model = model.to(device).eval()
    images = data.images()
    for start in range(0, len(data), batch_size):
        rows = range(start, min(start + batch_size, len(data)))
        batch = [prepare(next(images).pixels, info.preprocessing)[0] for _ in rows]
        with torch.inference_mode():
            yield model(torch.cat(batch).to(device)).float().cpu()


def measure(
    logits: Float[Tensor, "batch classes"], labels: Tensor, class_names: tuple[str, ...]
) -> Metrics:
    """Compares answers with labels.

    Args:
        logits: Answers.
        labels: Index of the right class of each, int64.
        class_names: Name of each class.
    """
    best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    right = best[:, 0].double()
    return Metrics(
        top1_percent=100 * float(right.mean()),
        top5_percent=100 * float(best.any(dim=1).double().mean()),
        loss=float(F.cross_entropy(logits.double(), labels)),
        num_images=len(labels),
        per_class_percent={
            name: 100 * float(right[labels == index].mean())
            for index, name in enumerate(class_names)
            if bool((labels == index).any())
        },
    )


def report(
    metrics: Metrics,
    model: VisionTransformer,
    data: LabelledImages,
    *,
    split: str,
    command: str,
    device: torch.device,
) -> dict[str, Any]:
    """Returns the content of `metrics.json`: what was measured, of what, on what and how.

    Args:
        metrics: Of `model` on `data`.
        model: As loaded from its folder.
        data: The photos.
        split: Their split's name.
        command: The command that repeats the measurement.
        device: Where it was computed.
    """
    info = _info(model)
    photos = {(image.format, image.height_px, image.width_px) for image in data.images()}
    formats = sorted({kind for kind, _, _ in photos})
    sizes = {(height, width) for _, height, width in photos}
    return {
        "model": info.name,
        "weights_sha256": info.sha256,
        "data": {
            "source": data.source_name,
            "split": split,
            "sha256": data.sha256,
            "formats": formats,
            "size_px": list(sizes.pop()) if len(sizes) == 1 else None,
        },
        "metrics": asdict(metrics),
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": describe_hardware(device),
        "versions": describe_versions(),
    }


def _info(model: VisionTransformer) -> ModelInfo:
    if model.info is None:
        raise ConfigError("this model has no info, so its preprocessing is unknown; set model.info")
    return model.info
