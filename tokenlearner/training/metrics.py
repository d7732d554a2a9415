"""How good a model is, measured on photos or clips prepared as `explain` prepares a user's."""

import datetime
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tokenlearner.checkpoints import AnyModel, ClipModel
from tokenlearner.efficiency.machine import describe_hardware, describe_versions
from tokenlearner.errors import ConfigError, DataError, MeasurementError
from tokenlearner.modules.precision import float32_precision
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import Preprocessing, prepare
from tokenlearner.training.classes import match_classes
from tokenlearner.training.clip_views import Views, iter_views
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.multi_label import (
    RealLabels,
    average_precisions,
    load_average_precision,
    multi_label_accuracy,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """The result of an evaluation.

    Where photos have several labels, an answer is right if it is one of them, and photos without
    label count for the loss and the average precision only.

    Attributes:
        top1_percent: Photos whose label is the most probable answer; of equally probable ones the
            first class counts, as in `explain`.
        top5_percent: Photos whose label is among the five most probable answers.
        loss: Mean cross-entropy in nats; with several labels the sigmoid's, summed over classes.
        num_images: Photos.
        per_class_percent: `top1_percent` among the photos of each class; no entry for a class
            without photos, and none at all with several labels.
        class_mean_percent: The mean of these, in which every class weighs the same ("mean class
            accuracy"); None with several labels.
        num_unlabelled: With several labels: photos that have none.
        real_percent: With `RealLabels`: photos whose most probable answer is valid, of those that
            have a valid label.
        real_num_images: How many these are.
        map_percent: With several labels: mean average precision over the classes with photos; a
            class ranks the photos by its logit.
        average_precision_percent: Average precision of each of these classes.
        without_photos: The classes that no photo belongs to; None with one label if there are none.
        map_overlap: What two maps of the first learner have in common on average, 0 to 1, as
            `mean_overlap` measures it; None where it was not.
    """

    top1_percent: float
    top5_percent: float
    loss: float
    num_images: int
    per_class_percent: dict[str, float]
    class_mean_percent: float | None = None
    num_unlabelled: int | None = None
    real_percent: float | None = None
    real_num_images: int | None = None
    map_percent: float | None = None
    average_precision_percent: dict[str, float] | None = None
    without_photos: tuple[str, ...] | None = None
    map_overlap: float | None = None


def evaluate(
    model: AnyModel,
    data: LabelledImages | LabelledClips,
    *,
    device: torch.device,
    batch_size: int = 64,
    real: RealLabels | None = None,
    views: Views = Views(),
) -> Metrics:
    """Measures a model in the number format of its weights, float32 for loaded ones.

    Args:
        model: With its `info`; moved to `device`. If it is training, it is again afterwards.
        data: Photos or clips whose class names are the model's, in any order.
        device: Where to compute.
        batch_size: Photos in a pass; changes the speed, not the result.
        real: Valid labels of the photos, to measure against as well.
        views: How often each clip is looked at.

    Raises:
        ConfigError: If the model has no `info` or one that does not name its answers, photos have
            several labels and torchmetrics is not installed, or `batch_size` is below 1.
        DataError: If the classes are others, there are no photos, or one cannot be decoded.
    """
    data = data.among(model.require_info().class_names)
    answers = iter_logits(model, data, device=device, batch_size=batch_size, views=views)
    logits = torch.cat(list(answers))
    return measure(logits, torch.from_numpy(data.labels), data.class_names, real=real)


def iter_logits(
    model: AnyModel,
    data: LabelledImages | LabelledClips,
    *,
    device: torch.device,
    batch_size: int,
    views: Views = Views(),
) -> Iterator[Float[Tensor, "batch classes"]]:
    """Yields the model's answers batch by batch, on the CPU; arguments and errors as `evaluate`.

    The answers stand in the order of the data's classes.
    """
    _check_batch_size(batch_size)
    info = model.require_info()
    order = match_classes(data.class_names, info, source=data.source)
    if data.multi_label:
        load_average_precision()  # if it is missing, now and not after hours of computing
    model = model.to(device)
    like = next(model.parameters())
    if isinstance(data, LabelledClips):
        if not isinstance(model, ClipModel):
            raise ConfigError(f"{info.name} takes photos, but {data.source} holds clips")
        for clip in iter_views(data, info.preprocessing, model.config.num_frames, views):
            parts = clip.split(batch_size)
            with answering(model):
                answers = torch.cat([model(part.to(like)).float().cpu() for part in parts])
            yield answers.mean(dim=0, keepdim=True)[:, order]
        return
    if isinstance(model, ClipModel):
        raise ConfigError(f"{info.name} takes clips, but {data.source} holds photos")
    for batch in iter_batches(data, info.preprocessing, batch_size):
        with answering(model):
            answers = model(batch.to(like)).float().cpu()
        yield answers[:, order]


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """In eval mode, exact and without gradients for a while; then every part is as it was."""
    training = [part for part in model.modules() if part.training]
    try:
        with torch.inference_mode(), float32_precision(next(model.parameters()).device):
            model.eval()
            yield
    finally:
        for part in training:
            part.training = True


def iter_batches(
    data: LabelledImages, preprocessing: Preprocessing, batch_size: int
) -> Iterator[Float[Tensor, "batch 3 height width"]]:
    """Yields all photos as a model's input, on the CPU.

    Raises:
        ConfigError: If `batch_size` is below 1.
        DataError: If there are no photos, or one cannot be decoded.
    """
    _check_batch_size(batch_size)
    if not len(data):
        raise DataError(f"{data.source} holds no photos; nothing to measure")
    images = data.images()
    for start in range(0, len(data), batch_size):
        rows = range(start, min(start + batch_size, len(data)))
        yield torch.cat([prepare(next(images).pixels, preprocessing)[0] for _ in rows])


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; it must be at least 1")


def measure(
    logits: Float[Tensor, "batch classes"],
    labels: Tensor,
    class_names: tuple[str, ...],
    *,
    real: RealLabels | None = None,
) -> Metrics:
    """Compares answers with labels.

    Args:
        logits: Answers.
        labels: Index of the right class of each, int64 `[n]`; or whether a class is right, bool
            `[n, classes]`.
        class_names: Name of each class.
        real: Valid labels, to compare with as well.

    Raises:
        ConfigError: If torchmetrics is needed and not installed.
        DataError: If photos may have several labels and none has any.
        MeasurementError: If an answer is not finite.
    """
    if broken := int((~logits.isfinite()).any(dim=1).sum()):
        raise MeasurementError(
            f"{broken:,} of {len(logits):,} answers are not finite, so nothing can be measured: "
            "the model may have diverged in training; train it again at a smaller learning rate"
        )
    # Stable, so that of equal answers the first comes first; topk promises nothing.
    best = logits.argsort(dim=1, descending=True, stable=True)[:, :5]
    names = _distinct(class_names)
    if labels.ndim == 2:
        return _measure_multi_label(logits, best, labels, names)
    right = best == labels[:, None]
    of_class = {
        name: 100 * float(right[labels == index, 0].double().mean())
        for index, name in enumerate(names)
        if bool((labels == index).any())
    }
    metrics = Metrics(
        top1_percent=100 * float(right[:, 0].double().mean()),
        top5_percent=100 * float(right.any(dim=1).double().mean()),
        loss=float(F.cross_entropy(logits.double(), labels)),
        num_images=len(labels),
        per_class_percent=of_class,
        class_mean_percent=sum(of_class.values()) / len(of_class),
        without_photos=tuple(name for name in names if name not in of_class) or None,
    )
    if real is None:
        return metrics
    accuracy, count = multi_label_accuracy(best[:, 0], torch.from_numpy(real.valid))
    return replace(metrics, real_percent=100 * accuracy, real_num_images=count)


def _measure_multi_label(
    logits: Tensor, best: Tensor, labels: Tensor, names: tuple[str, ...]
) -> Metrics:
    top1, labelled = multi_label_accuracy(best[:, 0], labels)
    top5, _ = multi_label_accuracy(best, labels)
    precisions = average_precisions(logits, labels)
    losses = F.binary_cross_entropy_with_logits(logits.double(), labels.double(), reduction="none")
    return Metrics(
        top1_percent=100 * top1,
        top5_percent=100 * top5,
        loss=float(losses.sum(dim=1).mean()),
        num_images=len(labels),
        per_class_percent={},
        num_unlabelled=len(labels) - labelled,
        map_percent=100 * sum(precisions.values()) / len(precisions),
        average_precision_percent={names[index]: 100 * ap for index, ap in precisions.items()},
        without_photos=tuple(name for index, name in enumerate(names) if index not in precisions),
    )


def report(
    metrics: Metrics,
    model: AnyModel,
    data: LabelledImages | LabelledClips,
    *,
    split: str,
    command: str,
    device: torch.device,
    real: RealLabels | None = None,
    views: Views | None = None,
) -> dict[str, Any]:
    """Returns the content of `metrics.json`: what was measured, of what, on what and how.

    Args:
        metrics: Metrics of `model` on `data`; what was not measured is left out.
        model: As loaded from its folder.
        data: The photos or clips.
        split: Their split's name.
        command: The command that repeats the measurement.
        device: Where it was computed.
        real: The valid labels that were compared with as well.
        views: How often each clip was looked at.
    """
    info = model.require_info()
    files = data.kinds()
    formats = sorted({kind for kind, _, _ in files})
    sizes = {(height, width) for _, height, width in files}
    content: dict[str, Any] = {
        "model": info.name,
        "weights_sha256": info.sha256,
        "data": {
            "source": data.source_name,
            "split": split,
            "sha256": data.sha256,
            "formats": formats,
            "size_px": list(sizes.pop()) if len(sizes) == 1 else None,
        },
        "metrics": {name: value for name, value in asdict(metrics).items() if value is not None},
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": describe_hardware(device),
        "versions": describe_versions(),
    }
    if data.unusable:
        content["data"]["unusable"] = list(data.unusable)
    if views is not None:
        content["views"] = asdict(views)
    if real is not None:
        content["data"]["real"] = {"source": real.source, "sha256": real.sha256}
    return content


def _distinct(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names with their index where several classes share one, as ImageNet's cranes."""
    counts = Counter(class_names)
    return tuple(
        name if counts[name] == 1 else f"{name} ({index})" for index, name in enumerate(class_names)
    )
