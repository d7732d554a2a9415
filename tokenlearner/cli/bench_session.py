"""What one call of `tokenlearner bench` measures, and why promises are not kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from tokenlearner.cli.bench_pair import Named
from tokenlearner.efficiency.comparison import Comparison
from tokenlearner.efficiency.execution import Execution
from tokenlearner.efficiency.profile import Profile, profile
from tokenlearner.efficiency.reality import KEPT, explain_losses, find_losses
from tokenlearner.efficiency.rounds import Plan
from tokenlearner.efficiency.throughput import Candidate, Progress, Stopped, sweep
from tokenlearner.errors import MeasurementError

Place = tuple[int, int]
"""Index of a comparison, and index of its entry where one way of running begins."""


@dataclass(slots=True)
class Session:
    """What one call measures.

    Attributes:
        pair: One model, or two, the baseline first.
        device: Where to compute.
        plan: Measurement plan for each way of running, at each batch size.
        together: Whether all ways run in the same rounds, so that they can be compared.
        done: Finished comparisons. The entries are the models in the first way, then in the next.
        stops: What was not measured, and why.
        words: Explanation of how much of the promise was realised.
        profiles: Profiles behind these explanations.
        interrupted: Whether Ctrl-C ended the measurement.
    """

    pair: list[Named]
    device: torch.device
    plan: Plan
    together: bool = False
    done: list[Comparison] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    words: dict[Place, str] = field(default_factory=dict)
    profiles: dict[Place, tuple[Profile, ...]] = field(default_factory=dict)
    interrupted: bool = False
    _profiled: dict[tuple[Execution, int], tuple[Profile, ...]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What a batch consists of."""
        return "clips" if getattr(self.pair[0][1], "takes", "") == "video" else "images"

    def measure(self, executions: Sequence[Execution], sizes: tuple[int, ...]) -> None:
        """Measures one execution after the other, or all together, at growing batch sizes."""
        groups = [executions] if self.together else [[each] for each in executions]
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn())
        with Bar(
            *columns, console=console, transient=True, disable=not console.is_interactive
        ) as bar:
            for group in groups:
                title = " with ".join(map(str, group))
                task = bar.add_task("", total=1.0)
                plan = replace(self.plan, seconds=len(group) * self.plan.seconds)
                events = sweep(
                    [Candidate(*named, way) for way in group for named in self.pair],
                    device=self.device,
                    batch_sizes=sizes,
                    plan=plan,
                )
                try:
                    for event in events:
                        self._take(event, title, partial(bar.update, task))
                except MeasurementError as error:
                    self.stops.append(f"{title}: {error}")

    def explain(self) -> None:
        """Explains how much of its promise each way of running realised."""
        if len(self.pair) < 2:
            return
        for index, result in enumerate(self.done):
            for base in self.bases(result):
                realised = result.realised_ratio(base + 1, over=base)
                if realised is not None:
                    self._explain((index, base), realised.median)

    def bases(self, result: Comparison) -> range:
        """Returns the entries with which the ways of running begin."""
        return range(0, len(result.entries), len(self.pair))

    def report(self, command: str) -> dict[str, Any]:
        """Returns what `--json` writes."""
        return {
            "command": command,
            "comparisons": [
                result.to_dict()
                | ({"ways": list(self._ways(index))} if self.together else self._told((index, 0)))
                for index, result in enumerate(self.done)
            ],
            "stopped": self.stops,
            "interrupted": self.interrupted,
        }

    def _explain(self, place: Place, realised_ratio: float) -> None:
        result = self.done[place[0]]
        if result.all_disturbed:
            self.words[place] = "no reason can be given: other programs were busy in every round"
            return
        execution = result.entries[place[1]].execution
        staged = execution.with_stages(self.device)
        try:
            profiles = self._profile(staged, result.batch_size) if realised_ratio < KEPT else ()
        except MeasurementError as error:
            self.words[place] = f"could not find out why less is realised: {error}"
            return
        self.profiles[place] = profiles
        self.words[place] = explain_losses(
            realised_ratio,
            find_losses(*profiles) if profiles else (),
            without_stages="" if staged == execution else str(execution),
        )

    def _profile(self, execution: Execution, batch_size: int) -> tuple[Profile, ...]:
        """Times the stages of both models, once."""
        key = execution, batch_size
        if key not in self._profiled:
            self._profiled[key] = profile(
                dict(self.pair),
                batch_size=batch_size,
                device=self.device,
                dtype=execution.dtype,
                optimised=execution.mode == "optimised",
            )
        return self._profiled[key]

    def _ways(self, index: int) -> Iterator[dict[str, Any]]:
        result = self.done[index]
        for base in self.bases(result):
            fast = base + len(self.pair) - 1
            promised, realised = (
                result.macs_ratio(fast, over=base),
                result.realised_ratio(fast, over=base),
            )
            of_pair = {
                "speedup": result.speedup(fast, over=base).to_dict(),
                "macs_ratio": promised and float(f"{promised:.4g}"),
                "realised_ratio": realised and realised.to_dict(),
            }
            yield {
                "how": str(result.entries[base].execution),
                **(of_pair if fast > base else {}),
                "overall": {
                    result.entries[i].name: result.speedup(i).to_dict()
                    for i in range(base, fast + 1)
                },
                **self._told((index, base)),
            }

    def _told(self, place: Place) -> dict[str, Any]:
        profiles = self.profiles.get(place, ())
        way = self.done[place[0]].entries[place[1]].execution
        return {
            "words": self.words.get(place, ""),
            "profiled": str(way.with_stages(self.device)) if profiles else "",
            "profiles": [one.to_dict() for one in profiles],
        }

    def _take(self, event: Progress | Stopped, title: str, show: Any) -> None:
        if isinstance(event, Stopped):
            self.stops.append(f"{title}, batch {event.batch_size}: {event.reason}")
            return
        result = event.comparison
        activity = f"{title}, batch {result.batch_size}: {event.activity}"
        show(completed=event.done_ratio, description=activity)
        if len(result.rounds) > 1:  # the same comparison, one round ago
            self.done.pop()
        if result.rounds:
            self.done.append(result)
