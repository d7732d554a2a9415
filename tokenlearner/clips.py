"""A clip through a model, and everything worth knowing about it in one object."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tokenlearner.answers import Answer, LearnerMaps, facts_of, info_of
from tokenlearner.attention.tracks import Tracks, follow
from tokenlearner.checkpoints import AnyModel, ClipConfig, ClipModel, ImageModel, require_model
from tokenlearner.efficiency.flops import Stage
from tokenlearner.efficiency.model_flops import count_model
from tokenlearner.efficiency.operations import repeat
from tokenlearner.errors import ConfigError, ShapeError, UnsupportedMediaError
from tokenlearner.geometry import Geometry
from tokenlearner.inference import Look, look
from tokenlearner.media.images import PHOTO_KINDS
from tokenlearner.media.videos import Clip, ClipFacts, check_frames, read_clip
from tokenlearner.models.conv_video_config import ConvVideoConfig
from tokenlearner.models.video_config import VideoVisionTransformerConfig
from tokenlearner.modules.tubelets import sample_frames

DEFAULT_NUM_FRAMES = 16
"""How many frames an image model is shown of a file."""

MAX_SIDE_PX = 1920
"""Longest side at which the frames of a file are kept."""

_FRAMES_AT_ONCE = 4  # so that a stop takes effect soon


@dataclass(frozen=True, eq=False, repr=False, kw_only=True, slots=True)
class ClipExplanation(Answer):
    """A clip, a model's predictions for it, and how the model came to them.

    Image models, which see one frame at a time, and video models, which see all frames together,
    give the same kind of explanation, so the two can be compared. `stages` is the cost of the
    whole clip.

    Attributes:
        frames: The frames that the model saw, RGB, uint8 `[time, height, width, 3]`.
        times_s: When each is shown, in seconds from the file's first frame, float64 `[time]`.
        facts: The file that they come from.
        notes: What was done to the clip, and what is missing, in plain words.
        learners: One entry per TokenLearner in order of use; empty for a baseline.
        step_frames: Which of the frames each step of the maps covers, as half-open ranges: for an
            image model `(0, 1), (1, 2), ...`, for tubelets of two frames `(0, 2), (2, 4), ...`.
        frame_probabilities: Probability of each class in each frame, float32 `[time, classes]`;
            `probabilities` is their mean; None for a video model, which gives one prediction.
    """

    _FORMAT: ClassVar[str] = "tokenlearner-clip-explanation/1"
    _RECORDS: ClassVar[dict[str, type]] = {"geometry": Geometry, "facts": ClipFacts}

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    facts: ClipFacts
    step_frames: tuple[tuple[int, int], ...]
    frame_probabilities: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()

    @property
    def step_times_s(self) -> NDArray[np.float64]:
        """When each step is shown: the mean over its frames, seconds, float64 `[step]`."""
        return np.array([self.times_s[start:stop].mean() for start, stop in self.step_frames])

    def tracks(self, learner: int = 0) -> Tracks:
        """Follows the tokens of one TokenLearner through the clip.

        Positions are in pixels of the clip as it is in its file, upright, even where the frames
        here were reduced.

        Args:
            learner: Which of the model's TokenLearners, counted from 0.

        Raises:
            ConfigError: If the model has no such learner.
        """
        chosen = self.learner(learner)
        return follow(
            chosen.maps,
            chosen.tokens,
            times_s=self.step_times_s,
            geometry=self.geometry.scale((self.facts.height_px, self.facts.width_px)),
            version=chosen.version,
        )


def explain_clip(
    model: AnyModel,
    clip: Clip | bytes | str | Path,
    *,
    num_frames: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_side_px: int | None = MAX_SIDE_PX,
    progress: Callable[[int, int], bool | None] | None = None,
) -> ClipExplanation:
    """Runs a clip through a model, on the model's device, and returns what the model looked at.

    An image model sees the frames one by one, in small batches; its prediction is the mean over
    the frames. A clip model sees all frames at once.

    Args:
        model: From `tokenlearner.load`, or made by hand with its `info` set.
        clip: From `read_clip` or `Clip.of_frames`, or a file's path or bytes.
        num_frames: How many frames to sample evenly from a file; by default what a clip model was
            made for, and 16 for an image model. A `Clip` is taken as it is. What fills no tubelet
            of a clip model is left out, with a note.
        start_s: Start of the section of a file to explain, in seconds since its first frame.
        end_s: End of that section; None is the end of the file.
        max_side_px: Larger frames of a file are downscaled until neither side exceeds this. Models
            see far fewer pixels anyway, but many 4K frames fill the memory. None keeps them.
        progress: Called with the number of frames done and of all frames, after every few frames.
            If it returns False, the explanation covers only the frames done; a clip model has
            processed all of them by then.

    Raises:
        ConfigError: If the model is not of this library, has no info (preprocessing and classes),
            is in training mode, or has patches that straddle frames; or if `num_frames` is below
            1, or differs from what a `Clip` has; or if the section is impossible, or a `Clip` is
            given one.
        MediaError: If a file cannot be used.
        ShapeError: If a `Clip` has no frames, too few for the model, or frames that are not RGB;
            or if `clip` is something else.
    """
    model = require_model(model)
    info_of(model)
    if isinstance(clip, bytes | str | Path):
        offered = default_num_frames(model) if num_frames is None else num_frames
        kept = _whole_tubelets(model, offered)
        try:
            clip = read_clip(
                clip, num_frames=kept, start_s=start_s, end_s=end_s, max_side_px=max_side_px
            )
        except UnsupportedMediaError as error:
            if error.kind not in PHOTO_KINDS:
                raise
            raise UnsupportedMediaError(
                f"{error} As a photo, tokenlearner.explain takes it.", kind=error.kind
            ) from error
    elif not isinstance(clip, Clip):
        raise ShapeError(
            f"Got a {type(clip).__name__}; wanted a clip: a file's path or bytes, or, of uint8 RGB "
            "frames [time, height, width, 3], tokenlearner.Clip.of_frames(frames, fps=...)."
        )
    elif num_frames not in (None, len(clip.frames)):
        raise ConfigError(
            f"num_frames is {num_frames}, but this clip has {len(clip.frames)} frames; leave "
            "num_frames out, or read the file again with read_clip"
        )
    elif (start_s, end_s) != (0.0, None):
        raise ConfigError(
            f"start_s is {start_s} and end_s is {end_s}, but a Clip is taken as it is; read that "
            "section of the file with read_clip"
        )
    else:
        offered = len(clip.frames)
        kept = _whole_tubelets(model, offered)
    _check(clip)
    if kept < offered:
        note = f"the model takes frames by tubelets, so it sees {kept} of {offered}"
        clip = replace(
            clip,
            frames=clip.frames[:kept],
            times_s=clip.times_s[:kept],
            notes=(*clip.notes, note),
        )
    if isinstance(model, ClipModel):
        seen = _see_at_once(model, clip.frames)
        if progress is not None:
            progress(len(clip.frames), len(clip.frames))
    else:
        seen = _see_one_by_one(model, clip.frames, progress)
    return ClipExplanation(
        **facts_of(model),
        frames=clip.frames[: seen.num_frames],
        times_s=clip.times_s[: seen.num_frames],
        facts=clip.facts,
        notes=clip.notes,
        geometry=seen.geometry,
        probabilities=seen.probabilities.mean(axis=0),
        frame_probabilities=None if isinstance(model, ClipModel) else seen.probabilities,
        learners=seen.learners,
        step_frames=seen.step_frames,
        stages=seen.stages,
    )


def _whole_tubelets(model: AnyModel, num_frames: int) -> int:
    """Returns how many of so many frames fill tubelets; a model drops the others.

    Fewer frames than one tubelet are returned unchanged; the model rejects them.
    """
    config = model.config
    if not isinstance(config, VideoVisionTransformerConfig) or config.sampled_frames:
        return num_frames
    length = config.tubelet_frames
    return num_frames if num_frames < length else num_frames - num_frames % length


def default_num_frames(model: AnyModel) -> int:
    """Returns how many frames a model is shown: as many as a video model takes, else a few."""
    return model.config.num_frames if isinstance(model, ClipModel) else DEFAULT_NUM_FRAMES


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Seen:
    """What a model made of frames; `probabilities` are `[answer, classes]`."""

    num_frames: int
    geometry: Geometry
    probabilities: NDArray[np.float32]
    learners: tuple[LearnerMaps, ...]
    step_frames: tuple[tuple[int, int], ...]
    stages: tuple[Stage, ...]


def _see_one_by_one(
    model: ImageModel,
    frames: NDArray[np.uint8],
    progress: Callable[[int, int], bool | None] | None,
) -> _Seen:
    """Shows frames to a model for images, all or until told to stop."""
    looks: list[Look] = []
    done = 0
    while done < len(frames):
        looks.append(look(model, list(frames[done : done + _FRAMES_AT_ONCE])))
        done += len(looks[-1].probabilities)
        if progress is not None and progress(done, len(frames)) is False:
            break
    each = count_model(model, image_size=info_of(model).preprocessing.image_size)
    return _Seen(
        num_frames=done,
        geometry=looks[0].geometries[0],
        probabilities=np.concatenate([one.probabilities for one in looks]),
        learners=tuple(
            LearnerMaps(
                block=parts[0].block,
                version=parts[0].version,
                maps=np.concatenate([part.maps for part in parts]),
                tokens=np.concatenate([part.tokens for part in parts]),
            )
            for parts in zip(*(one.learners for one in looks), strict=True)
        ),
        step_frames=tuple((frame, frame + 1) for frame in range(done)),
        stages=tuple(
            replace(s, tokens=s.tokens * done, operations=repeat(s.operations, done))
            for s in each.stages
        ),
    )


def _see_at_once(model: ClipModel, frames: NDArray[np.uint8]) -> _Seen:
    """Shows frames to a model for clips."""
    info, config = info_of(model), model.config
    image_size = info.preprocessing.image_size
    stacked = isinstance(config, VideoVisionTransformerConfig) and config.stack_frames
    if stacked and image_size[0] % config.patch_size[0]:
        raise ConfigError(
            f"{info.name} cuts {image_size[0]} px high frames, stacked, into patches of "
            f"{config.patch_size[0]} px, which straddle them; so its maps have no place on a frame"
        )
    seen = look(model, list(frames))
    return _Seen(
        num_frames=len(frames),
        geometry=seen.geometries[0],
        probabilities=seen.probabilities,
        learners=tuple(learner.of_one(0) for learner in seen.learners),
        step_frames=_step_frames(config, len(frames)),
        stages=count_model(model, image_size=image_size, num_frames=len(frames)).stages,
    )


def _step_frames(config: ClipConfig, num_frames: int) -> tuple[tuple[int, int], ...]:
    """Returns the frame range of each step; frames skipped by sampling are included."""
    if isinstance(config, ConvVideoConfig):
        return tuple((frame, frame + 1) for frame in range(num_frames))
    used = sample_frames(num_frames, config.sampled_frames or num_frames)
    length = config.tubelet_frames
    starts = range(0, len(used) - length + 1, length)
    return tuple((used[start], used[start + length - 1] + 1) for start in starts)


def _check(clip: Clip) -> None:
    check_frames(clip.frames)
    if clip.times_s.shape != (len(clip.frames),):
        raise ShapeError(
            f"Got {len(clip.frames)} frames, but times of shape {list(clip.times_s.shape)}; wanted "
            "one time for each frame."
        )
