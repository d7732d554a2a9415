"""What `tokenlearner explain` writes and prints for a clip."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from tokenlearner.answers import Answer
from tokenlearner.attention.tracks import Tracks
from tokenlearner.checkpoints import AnyModel
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.errors import ConfigError, MediaError
from tokenlearner.media.images import encode_png
from tokenlearner.media.recognition import HEAD_BYTES, recognise
from tokenlearner.media.video_files import VIDEO_KINDS
from tokenlearner.rendering import ViewSettings
from tokenlearner.rendering.filmstrip import render_filmstrip, render_token_tube
from tokenlearner.rendering.video import render_overlay_video
from tokenlearner.training.data.folder import CLIP_EXTENSIONS

MOSAIC = "mosaic"
"""An overlay style for clips only; photos have a contact sheet instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipOptions:
    """Which part of a clip is used, and what is made from it.

    Attributes:
        num_frames: Number of frames, sampled evenly; None leaves it to the model.
        start_s: Start of the section, in seconds since the first frame.
        end_s: End of the section, in seconds; None is the end of the clip.
        is_mosaic: Whether the overlay shows all tokens side by side.
        has_sound: Whether the overlay has the clip's sound.
        kind: File type of the overlay, one of `VIDEO_KINDS`.

    Raises:
        ConfigError: If the file type is unknown, or cannot carry the sound asked for.
    """

    num_frames: int | None
    start_s: float
    end_s: float | None
    is_mosaic: bool
    has_sound: bool
    kind: str

    def __post_init__(self) -> None:
        if self.kind not in VIDEO_KINDS:
            raise ConfigError(f"--film is {self.kind!r}; choose one of {', '.join(VIDEO_KINDS)}")
        if self.kind == "gif" and self.has_sound:
            raise ConfigError(
                "--sound: a GIF has no sound; leave it out, or choose --film mp4 or webm"
            )


def is_clip(path: Path) -> bool:
    """Whether a file's content looks like a clip; it may still be unreadable.

    A file that is missing, empty or plain text is neither clip nor photo; then its extension tells
    which was meant, so that the error can say what to give instead.
    """
    kind = None
    with suppress(OSError):
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as file:
                kind = recognise(file.read(HEAD_BYTES))
    if kind in (None, "plain text"):
        return path.suffix.lower() in CLIP_EXTENSIONS
    return kind.endswith("video") or kind == "GIF"


def explain_file(model: AnyModel, path: Path, options: ClipOptions) -> ClipExplanation:
    """Runs a clip through a model."""
    with _bar(f"looking at {path.name}") as progress:
        return explain_clip(
            model,
            path,
            num_frames=options.num_frames,
            start_s=options.start_s,
            end_s=options.end_s,
            progress=progress,
        )


@contextmanager
def _bar(words: str) -> Iterator[Callable[[int, int], bool]]:
    """Yields a progress callback for a bar, which shows in a terminal only."""
    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=not console.is_interactive) as bar:
        task = bar.add_task(words)

        def progress(done: int, total: int) -> bool:
            bar.update(task, completed=done, total=total)
            return True

        yield progress


def mark_learner(explanation: Answer, learner: int) -> str:
    """Returns what files' names say of the learner, counted from 1, where there are several."""
    return f"-learner{learner + 1}" if len(explanation.learners) > 1 else ""


def clip_results(
    path: Path,
    explanation: ClipExplanation,
    settings: ViewSettings,
    options: ClipOptions,
    *,
    learner: int,
) -> tuple[dict[str, bytes], str]:
    """Returns the files to write by the end of their names, and why the video is missing, if so."""
    problem = ""
    files = {".npz": explanation.to_npz()}
    if explanation.learners:
        of = mark_learner(explanation, learner)
        files[f"{of}-tracks.csv"] = explanation.tracks(learner).to_csv().encode()
        strip = render_filmstrip(explanation, settings, learner=learner)
        tube = render_token_tube(explanation, settings, learner=learner)
        files[f"{of}-filmstrip.png"] = encode_png(strip)
        files[f"{of}-tokens.png"] = encode_png(tube)
        try:
            with _bar(f"drawing {path.name}") as progress:
                files[f"{of}-overlay.{options.kind}"] = render_overlay_video(
                    explanation,
                    path,
                    settings,
                    learner=learner,
                    mosaic=options.is_mosaic,
                    start_s=options.start_s,
                    end_s=options.end_s,
                    kind=options.kind,
                    with_sound=options.has_sound,
                    progress=progress,
                )
        except (MediaError, ConfigError) as error:  # the video needs every frame, the rest a few
            problem = f"no video: {error}"
    return files, problem


def summarise(explanation: ClipExplanation, *, learner: int) -> list[str]:
    """Returns printable lines: which frames were used, and what the tokens follow."""
    facts, times_s = explanation.facts, explanation.times_s
    lines = [
        f"{len(times_s)} of {facts.num_frames} frames, {times_s[0]:.2f} to {times_s[-1]:.2f} s "
        f"of {facts.duration_s:.2f} s",
        *explanation.notes,
    ]
    return [*lines, *_table(explanation.tracks(learner))] if explanation.learners else lines


def _table(tracks: Tracks) -> list[str]:
    """Lists each token's means over the clip."""
    strength = "strength" if tracks.strength_kind == "mass" else "peak"
    lines = [f"token  {strength:>8}  looks at      moves  stays itself"]
    columns = (tracks.strength, 100 * tracks.effective_area, tracks.speed_px_s, tracks.similarity)
    for token, means in enumerate(zip(*map(_means, columns), strict=True)):
        strong, share, speed, same = map(_number, means, (".3f", ".0f", ".0f", ".3f"))
        lines.append(f"{token + 1:>5}  {strong:>8}  {share:>6} %  {speed:>4} px/s  {same:>12}")
    return lines


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def _means(values: np.ndarray) -> list[float]:
    """Returns each token's mean over the steps with a value; NaN if there are none."""
    known = ~np.isnan(values)
    count, total = known.sum(axis=0), np.where(known, values, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).tolist()
