"""Why a model is less fast than its multiply-accumulates promise, from two profiles.

If every multiply-accumulate took as long as the baseline's do on average, the promise would be
kept. What a part takes longer than that is lost there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tokenlearner.efficiency.profile import Profile, StageTime

Reason = Literal["launches", "memory", "small products", "other work", "same work"]

KEPT = 0.97
"""A realised fraction from which on the promise counts as kept: timing is no more exact."""

_OTHER_WORK = {"head": "positions, last norm, pooling and answers, little of which is counted"}
_BEFORE = "blocks before the learner"
_AFTER = "blocks after the learner"
_DOMINATES = 0.5
_SMALL_ROWS = 512
_SLOW = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Stages of one kind, together.

    Attributes:
        name: `embedding`, `learner`, `fuser`, `head`, `blocks before the learner`, `blocks after
            the learner`, or `blocks` where there is none.
        stages: At least one.
    """

    name: str
    stages: tuple[StageTime, ...]

    @property
    def seconds(self) -> float:
        """Time that they take."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def macs(self) -> int:
        """What they compute."""
        return sum(stage.macs for stage in self.stages)

    @property
    def macs_per_second(self) -> float:
        """Speed that they reach."""
        return self.macs / self.seconds if self.seconds else 0.0

    @property
    def intensity(self) -> float:
        """Multiply-accumulates for each byte that has to be moved."""
        traffic = sum(stage.traffic_bytes for stage in self.stages)
        return self.macs / traffic if traffic else float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """Time that a part takes beyond what its multiply-accumulates account for.

    Attributes:
        part: Where.
        ratio: Share of the whole pass that is lost; below 0 where time is won.
        reason: `launches`: calling the operations takes the time; `memory`: reading weights and
            tokens does; `small products`: matrices of so few rows that the kernels do not come up
            to speed; `other work`: norms, softmax and activations, which nobody counts; `same
            work`: the baseline's own, so that only the measurement can differ.
        words: The same for people.
    """

    part: Part
    ratio: float
    reason: Reason
    words: str


def group(profile: Profile) -> tuple[Part, ...]:
    """Puts the stages of one kind together; blocks are apart before and after the learner."""
    first = next((i for i, s in enumerate(profile.stages) if s.kind == "learner"), None)
    groups: dict[str, list[StageTime]] = {}
    for index, stage in enumerate(profile.stages):
        name = stage.kind
        if name == "block":
            name = "blocks"
            if first is not None:
                name += f" {'before' if index < first else 'after'} the learner"
        groups.setdefault(name, []).append(stage)
    return tuple(Part(name=name, stages=tuple(stages)) for name, stages in groups.items())


def find_losses(base: Profile, fast: Profile) -> tuple[Loss, ...]:
    """Says where a model loses time against its promise, the largest loss first.

    The ratios of all parts add up to what is lost of the whole: 1 - realised fraction, by these
    profiles.

    Args:
        base: Of the model that it is compared with, on the same device, in the same batches.
        fast: Of the model in question.
    """
    price = base.seconds / base.macs  # seconds for one multiply-accumulate
    own = {stage.name: stage.macs for stage in base.stages}
    losses = []
    for part in group(fast):
        lost = part.seconds - part.macs * price
        is_shared = all(own.get(stage.name) == stage.macs for stage in part.stages)
        reason = _reason(part, fast, usual=1 / price, is_shared=is_shared)
        words = _words(part, fast, reason, usual=1 / price)
        losses.append(Loss(part=part, ratio=lost / fast.seconds, reason=reason, words=words))
    return tuple(sorted(losses, key=lambda loss: -loss.ratio))


def explain_losses(realised_ratio: float, losses: Iterable[Loss]) -> str:
    """Says in a sentence or two what became of the promise.

    Args:
        realised_ratio: As measured, by whole passes.
        losses: Of `find_losses`.
    """
    told = f"{100 * realised_ratio:.0f} % of what the multiply-accumulates promise"
    if realised_ratio >= KEPT:
        return f"{told}: kept."
    main = [loss for loss in losses if loss.ratio >= 0.01][:2]
    if not main:
        return (
            f"{told}; no part of the model stands out in the profile, so suspect the measurement "
            "or the machine."
        )
    lost = "; ".join(f"{100 * loss.ratio:.0f} % of the time in the {loss.words}" for loss in main)
    return f"{told}. Lost: {lost}."


def _reason(part: Part, profile: Profile, usual: float, *, is_shared: bool) -> Reason:
    seconds = part.seconds
    if part.name == _BEFORE and is_shared:
        return "same work"
    if sum(stage.launch_seconds for stage in part.stages) >= _DOMINATES * seconds:
        return "launches"
    moving = sum(stage.traffic_bytes for stage in part.stages) / profile.limits.bytes_per_second
    if moving >= _DOMINATES * seconds:
        return "memory"
    is_small = part.name == _AFTER and _rows(part, profile) < _SMALL_ROWS
    if is_small and part.macs_per_second < _SLOW * usual:
        return "small products"
    return "other work"


def _words(part: Part, profile: Profile, reason: Reason, usual: float) -> str:
    because = {
        "launches": "calling the operations takes longer than computing them",
        "memory": f"they wait for memory, with {part.intensity:.2g} multiply-accumulates for each "
        f"byte where this device can do {profile.limits.balance:.2g}",
        "small products": f"matrices of {_rows(part, profile):,} rows are too small for the "
        "kernels",
        "same work": "the same as in the baseline, so this is how exactly was measured",
        "other work": _OTHER_WORK.get(
            part.name, "norms, softmax, activations and copies, which the count leaves out"
        ),
    }
    reached = f"{part.macs_per_second / 1e9:,.3g} GMAC/s, the baseline {usual / 1e9:,.3g}"
    return f"{part.name}: {because[reason]} ({reached})"


def _rows(part: Part, profile: Profile) -> int:
    return profile.batch_size * part.stages[-1].tokens
