"""Why a model is less fast than its multiply-accumulates promise, from two profiles.

If every multiply-accumulate took as long as the baseline's do on average, the promise would be
kept. What a part takes longer than that is lost there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenlearner.efficiency.profile import Profile, StageTime

Reason = Literal["launches", "memory", "small products", "other work", "same work"]

KEPT = 0.97
"""A realised fraction from which on the promise counts as kept: timing is no more exact."""

_OTHER_WORK = {"head": "positions, last norm, pooling and answers, little of which is counted"}
_AFTER = "blocks after the learner"
_DOMINATES = 0.5
_SMALL_ROWS = 512
_SLOW = 0.8
_LEAST = 0.01  # a share of the time that is worth a word
_INEXACT = 0.05  # a profile of a few passes is no more exact


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
    def traffic_bytes(self) -> int:
        """What they have to read and write at least."""
        return sum(stage.traffic_bytes for stage in self.stages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """Time that a part takes beyond what its multiply-accumulates account for.

    Attributes:
        part: Where.
        ratio: Share of the whole pass that is lost; below 0 where time is won.
        reason: `launches`: calling the operations takes the time; `memory`: reading weights and
            tokens does; `small products`: matrices of so few rows that the kernels do not come up
            to speed; `other work`: norms, softmax and activations, which nobody counts; `same
            work`: the baseline does it, too, so that it is never named as a loss.
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
        base: Profile of the model to compare with, on the same device, in the same batches.
        fast: Profile of the model in question.
    """
    price = base.seconds / base.macs  # seconds for one multiply-accumulate
    own = {stage.name: stage.macs for stage in base.stages}
    losses = []
    for part in group(fast):
        lost = part.seconds - part.macs * price
        # The head's norm and pooling, which nobody counts, work on other tokens.
        is_shared = part.name != "head" and all(own.get(s.name) == s.macs for s in part.stages)
        reason = _reason(part, fast, usual=1 / price, is_shared=is_shared)
        words = _words(part, fast, reason, usual=1 / price)
        losses.append(Loss(part=part, ratio=lost / fast.seconds, reason=reason, words=words))
    return tuple(sorted(losses, key=lambda loss: -loss.ratio))


def explain_losses(
    realised_ratio: float, losses: Sequence[Loss], *, without_stages: str = ""
) -> str:
    """Says in a few sentences what became of the promise.

    Args:
        realised_ratio: As measured, by whole passes.
        losses: Result of `find_losses`.
        without_stages: What was measured, such as `bf16 compile`, if it has no stages that could be
            timed and the losses are those of the same models run eagerly in the same number format.
    """
    told = f"{100 * realised_ratio:.0f} % of what the multiply-accumulates promise"
    if realised_ratio >= KEPT:
        return f"{told}: kept."
    own = [loss for loss in losses if loss.reason != "same work"]
    main = [loss for loss in own if loss.ratio >= _LEAST][:2]
    if without_stages:
        told += (
            f". {without_stages} has no stages that could be timed, so what follows is about eager "
            "passes in the same number format"
        )
    if not main and without_stages:
        told += ": no part of the model stands out there."
    elif not main:
        told += (
            "; no part of the model stands out in the profile, so suspect the measurement or the "
            "machine."
        )
    else:
        lost = [f"{100 * loss.ratio:.0f} % of the time in the {loss.words}" for loss in main]
        rest = sum(loss.ratio for loss in own if loss not in main)
        if rest >= _LEAST:
            lost.append(f"{100 * rest:.0f} % elsewhere")
        told += f". Lost: {'; '.join(lost)}."
    if without_stages and any(loss.reason == "launches" for loss in main):
        told += (
            " Compiled code makes fewer calls and a CUDA graph none, so they need not lose that."
        )
    profile = "eager profile" if without_stages else "profile"
    return told + _what_is_left(realised_ratio, losses, profile)


def _what_is_left(realised_ratio: float, losses: Sequence[Loss], profile: str) -> str:
    """Says why the losses that are named do not add up to what is missing; nothing if they do."""
    profiled_ratio = 1 - sum(loss.ratio for loss in losses)
    shared_ratio = sum(loss.ratio for loss in losses if loss.reason == "same work")
    if losses and abs(profiled_ratio - realised_ratio) > _INEXACT:
        return (
            f" The {profile} realised another share than the measurement, "
            f"{100 * profiled_ratio:.0f} %, so its losses do not add up to what is missing."
        )
    if abs(shared_ratio) > _INEXACT:
        more_or_less = "more" if shared_ratio > 0 else "less"
        return (
            f" What both models do alike took {100 * abs(shared_ratio):.0f} % of the time "
            f"{more_or_less} than its multiply-accumulates account for."
        )
    return ""


def _reason(part: Part, profile: Profile, usual: float, *, is_shared: bool) -> Reason:
    seconds = part.seconds
    if is_shared:
        return "same work"
    if sum(stage.launch_seconds for stage in part.stages) >= _DOMINATES * seconds:
        return "launches"
    if _moving_ratio(part, profile) >= _DOMINATES:
        return "memory"
    is_small = part.name == _AFTER and _rows(part, profile) < _SMALL_ROWS
    if is_small and part.macs_per_second < _SLOW * usual:
        return "small products"
    return "other work"


def _words(part: Part, profile: Profile, reason: Reason, usual: float) -> str:
    because = {
        "launches": "calling the operations takes longer than computing them",
        "memory": "moving their weights and tokens takes "
        f"{100 * _moving_ratio(part, profile):.0f} % of their time even at the speed of a large "
        "copy",
        "small products": f"matrices of {_rows(part, profile):,} rows are too small for the "
        "kernels",
        "same work": "the same work as in the baseline",
        "other work": _OTHER_WORK.get(
            part.name, "norms, softmax, activations and copies, which the count leaves out"
        ),
    }
    reached = f"{part.macs_per_second / 1e9:,.3g} GMAC/s, the baseline {usual / 1e9:,.3g}"
    return f"{part.name}: {because[reason]} ({reached})"


def _moving_ratio(part: Part, profile: Profile) -> float:
    """Share of a part's time that moving its weights and tokens takes, if as fast as a copy."""
    if not part.seconds:
        return 0.0
    return part.traffic_bytes / profile.limits.bytes_per_second / part.seconds


def _rows(part: Part, profile: Profile) -> int:
    return profile.batch_size * part.stages[-1].tokens
