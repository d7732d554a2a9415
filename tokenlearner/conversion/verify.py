"""What every conversion ends with: which arrays were used, and how closely the answers agree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from tokenlearner.errors import ConversionError, ShapeError
from tokenlearner.models import VideoVisionTransformer, VisionTransformer

TOLERANCE = 1e-5
"""Largest relative error of a conversion; float32 rounding leaves about 1e-6."""

_OUTPUTS = "outputs"
_SYNONYMS = {"logits": _OUTPUTS, "tokens": _OUTPUTS, "maps": "maps/0"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How closely one result agrees with its reference.

    Attributes:
        name: `outputs`, or `maps/k` of the k-th learner.
        largest: Largest absolute difference.
        relative: Norm of the difference over the norm of the reference.
    """

    name: str
    largest: float
    relative: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was converted.

    Attributes:
        source: The file, and where in it the weights lay.
        used: Shape of each array that was used, by its foreign name.
        unused: What else the file holds.
        sha256: Checksum of the weights file that was written, hexadecimal.
        agreements: With the reference, if one was given.
        notes: What the user should know.
    """

    source: str
    used: dict[str, tuple[int, ...]]
    unused: tuple[str, ...] = ()
    sha256: str = ""
    agreements: tuple[Agreement, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def lines(self) -> Iterator[str]:
        """Yields the report for people."""
        numbers = sum(int(np.prod(shape)) for shape in self.used.values())
        yield f"source    {self.source}"
        yield f"used      {len(self.used)} arrays, {numbers:,} numbers"
        yield f"unused    {', '.join(self.unused) or 'nothing'}"
        if self.sha256:
            yield f"sha256    {self.sha256}"
        for agreement in self.agreements:
            yield (
                f"agrees    {agreement.name}: relative error {agreement.relative:.1e}, largest "
                f"difference {agreement.largest:.1e}"
            )
        if not self.agreements:
            yield "agrees    not compared; --reference FILE.npz compares with recorded outputs"
        yield from (f"note      {note}" for note in self.notes)


def check_finite(arrays: Mapping[str, np.ndarray], origin: Path) -> None:
    """Raises ConversionError if an array holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int(array.size - np.isfinite(array).sum())
            raise ConversionError(
                f"{origin}: array {name!r}: got {count} values that are not finite, expected none"
            )


def compare(
    module: nn.Module, reference: Path, *, tolerance: float = TOLERANCE
) -> tuple[Agreement, ...]:
    """Compares what `module` computes with what was recorded elsewhere.

    Args:
        module: A vision transformer, or a learner.
        reference: An `.npz` file with `inputs`, normalised and channels last or first; `outputs`
            (or `logits`, `tokens`); and, where wanted, `maps/0`, `maps/1`, ... (or `maps`) of
            shape `[batch, token, position]`, where every time step of a clip counts as an example.
        tolerance: Largest relative error that is accepted.

    Raises:
        ConversionError: If the file cannot be used or the results differ.
    """
    wanted = _read(reference)
    inputs = torch.from_numpy(wanted.pop("inputs").astype(np.float32))
    try:
        with torch.inference_mode():
            found = _compute(module, inputs)
    except ShapeError as error:
        raise ConversionError(f"{reference}: the inputs do not fit the model: {error}") from error
    agreements = []
    for name, array in wanted.items():
        if name not in found:
            raise ConversionError(
                f"{reference}: the model has no {name}; it has {', '.join(found)}"
            )
        ours = found[name].double().numpy()
        theirs = array.astype(np.float64).reshape(array.shape[:2] + (-1,) * (array.ndim > 2))
        ours = ours.reshape(ours.shape[:2] + (-1,) * (ours.ndim > 2))
        if ours.shape != theirs.shape:
            raise ConversionError(
                f"{reference}: {name}: got shape {theirs.shape}, expected {ours.shape}"
            )
        difference = np.abs(ours - theirs)
        relative = float(np.linalg.norm(difference) / max(np.linalg.norm(theirs), 1e-30))
        agreements.append(Agreement(name, float(difference.max(initial=0)), relative))
    for agreement in agreements:
        if not agreement.relative <= tolerance:
            raise ConversionError(
                f"{agreement.name} differs from {reference}: got a relative error of "
                f"{agreement.relative:.1e}, expected at most {tolerance:.0e}; the configuration "
                "may describe another model, or the inputs may not be what the reference saw"
            )
    return tuple(agreements)


def _read(reference: Path) -> dict[str, np.ndarray]:
    try:
        with reference.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {
                str(_SYNONYMS.get(name, name)): file[name]
                for name in file.files
                if name in ("inputs", _OUTPUTS, *_SYNONYMS) or name.startswith("maps/")
            }
    except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise ConversionError(f"{reference} is not a readable .npz file: {error}") from error
    if missing := {"inputs", _OUTPUTS} - set(arrays):
        raise ConversionError(f"{reference} lacks {', '.join(sorted(missing))}")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or array.ndim < 2:
            raise ConversionError(
                f"{reference}: {name}: got {array.dtype} {array.shape}, expected numbers in at "
                "least two axes"
            )
    return arrays


def _compute(module: nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    if isinstance(module, VisionTransformer | VideoVisionTransformer):
        media = inputs.movedim(-1, 1) if inputs.shape[-1] == 3 else inputs
        if module.head is None:
            tokens, grid, *steps = module.embed(media)
            trace = module.encoder.trace(tokens, grid=grid, steps=steps[0] if steps else None)
            outputs, learners = trace.encoded, trace.learners
        else:
            full = module.trace(media)
            outputs, learners = full.logits, full.learners
        every_step = (learner.maps.flatten(0, -4) for learner in learners)
        maps = {f"maps/{order}": step_maps for order, step_maps in enumerate(every_step)}
        return {_OUTPUTS: outputs, **maps}
    tokens, maps = module(inputs, return_maps=True)
    return {_OUTPUTS: tokens, "maps/0": maps}
