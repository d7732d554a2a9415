"""What of clips is computed once and kept, and who may see it: as `photo_resources` for photos.

The work is done in the background while the page reports how far it is, which is also when
Streamlit ends the run if somebody pressed Stop. A function that is cached by Streamlit must not do
that, so results stand on shelves of our own: one for all sessions, for what comes from the shipped
clips, and one in each session, for what comes from its own. What is done to the end is kept even if
nobody waited for it.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import memory, photo_resources, resources, turns
from app.background import Progress, Report, wait_for
from app.clip_state import OwnClip
from app.components.attention_player import ClipMedia, PackedMaps, pack_maps
from app.gallery import Sample, load_clips
from app.shelf import Shelf
from tokenlearner.checkpoints import ClipModel
from tokenlearner.clips import ClipExplanation, explain_clip
from tokenlearner.media import (
    DEFAULT_CLIP_LIMITS,
    ClipFacts,
    ClipLimits,
    display_clip,
    probe,
    read_clip,
    read_stretch,
)

FRAME_SIDE_PX = 1280
"""Long side at which frames are kept: what 720p has."""

MOST_BYTES_SENT = 150 * 2**20
"""What a clip and the film made of it may take: they go to the browser in one message, and
Streamlit sends none of more than 200 MB."""

LONGEST_SOUND_S = 120.0
"""The longest stretch that plays with sound: a player without it is better than a long wait."""

OWN_CLIP_LIMITS = ClipLimits(max_bytes=100 * 2**20, max_wait_s=20.0)
"""For a clip that was just brought: who brings the next one may have to wait for it."""

_WEBM = b"\x1a\x45\xdf\xa3"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ClipOnPage:
    """A clip and what is known about it.

    Attributes:
        source: The file: where it is, or its bytes.
        sha256: Of its content.
        facts: What it is.
        title: What it shows, or its file's name.
        sample: Where it comes from; None for one that the user brought.
    """

    source: Path | bytes
    sha256: str
    facts: ClipFacts
    title: str
    sample: Sample | None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ClipResult:
    """A stretch of a clip through one model or two.

    Attributes:
        chosen: By the model that the user chose.
        other: By the one to compare it with; None if there is none.
        media: The stretch for the player.
        keys: What the two are kept by.
    """

    chosen: ClipExplanation
    other: ClipExplanation | None
    media: ClipMedia
    keys: tuple[object, ...]


@st.cache_resource(max_entries=1, show_spinner=False)
def clips() -> dict[str, Sample]:
    """The clips of the gallery by id, the one to open with first."""
    return {clip.id: clip for clip in load_clips()}


@st.cache_resource(max_entries=64, show_spinner=False)
def sample_clip(clip_id: str) -> ClipOnPage:
    """A clip of the gallery."""
    sample = clips()[clip_id]
    return ClipOnPage(
        source=sample.path,
        sha256=hashlib.sha256(sample.path.read_bytes()).hexdigest(),
        facts=probe(sample.path),
        title=sample.title,
        sample=sample,
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def clip_thumbnails() -> dict[str, str]:
    """Small pictures of all clips of the gallery by id, as data URIs."""
    return {clip_id: _thumbnail(clip.path) for clip_id, clip in clips().items()}


def _thumbnail(source: Path | bytes, limits: ClipLimits = DEFAULT_CLIP_LIMITS) -> str:
    """The middle of a clip, small, as a data URI."""
    read = read_clip(source, num_frames=1, max_side_px=FRAME_SIDE_PX, limits=limits)
    return photo_resources.thumbnail(read.frames[0])


def read_own_clip(content: bytes, name: str, progress: Progress) -> OwnClip:
    """Reads what someone brought, as far as it takes to know that it can be used.

    Args:
        content: The file.
        name: Its name.
        progress: Says whether somebody still waits.

    Raises:
        MediaError: If it cannot be used.
    """
    with turns.place(turns.READING_CLIPS, _waiting(progress)), turns.working_beside():
        return OwnClip(
            name=name,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            facts=probe(content, limits=OWN_CLIP_LIMITS),
            thumbnail=_thumbnail(content, OWN_CLIP_LIMITS),
        )


def own_clip_on_page(clip: OwnClip) -> ClipOnPage:
    """A clip that this session brought, as the page shows it."""
    return ClipOnPage(
        source=clip.content, sha256=clip.sha256, facts=clip.facts, title=clip.name, sample=None
    )


def look_at(
    clip: ClipOnPage,
    *,
    stretch: tuple[float, float],
    num_frames: int,
    models: tuple[str, ...],
    device: str,
    report: Report,
) -> ClipResult:
    """A stretch of a clip through one model or two; what was computed before is taken as it is.

    Args:
        clip: The clip.
        stretch: Start and end, in seconds.
        num_frames: How many frames an image model sees, if the stretch has as many.
        models: Names: the chosen one, and the one to compare it with if there is one.
        device: Where the models are.
        report: Called between the steps. It may raise, to stop.

    Raises:
        MediaError: If the clip cannot be read.
        TokenLearnerError: If a model cannot be asked.
    """
    shelf = _shelf_for(clip)
    media = _media(clip, stretch, shelf, report)
    seen, keys = [], []
    for index, name in enumerate(models):
        # More than there are would be some of them again.
        count = frames_of(name, device) or min(num_frames, len(media.frames_s))
        key = (clip.sha256, stretch, count, name, resources.version_of(name, device), device)
        shares = (index / len(models), 1 / len(models))
        seen.append(_seen(clip, stretch, count, name, device, shelf, key, report, shares))
        keys.append(key)
    return ClipResult(
        chosen=seen[0],
        other=seen[1] if len(seen) > 1 else None,
        media=media,
        keys=tuple(keys),
    )


def packed_maps(
    clip: ClipOnPage, result: ClipResult, shown: ClipExplanation, learner: int
) -> PackedMaps:
    """What the player gets of one of a result's explanations, made once for each learner."""
    shelf = _shelf_for(clip)
    key = ("packed", result.keys[shown is result.other], learner)
    if (packed := shelf.get(key)) is None:
        packed = pack_maps(shown, result.media, learner=learner)
        shelf.put(key, packed, packed.num_bytes)
    return packed


def _shelf_for(clip: ClipOnPage) -> Shelf:
    return memory.shared_results() if clip.sample else memory.own_results()


def frames_of(model: str, device: str) -> int | None:
    """How many frames a video model sees, no more and no fewer; None for an image model."""
    found = resources.load_model(model, device)
    return found.config.num_frames if isinstance(found, ClipModel) else None


def _media(
    clip: ClipOnPage, stretch: tuple[float, float], shelf: Shelf, report: Report
) -> ClipMedia:
    key = ("media", clip.sha256, stretch)
    if (media := shelf.get(key)) is not None:
        return media
    text = "Preparing the clip for the screen"
    start, end = stretch
    sound = clip.facts.has_audio and end - start <= LONGEST_SOUND_S

    def prepare(progress: Progress) -> ClipMedia:
        with _place(shelf, key, turns.ENCODING, progress):
            if (media := shelf.get(key)) is not None:  # made for somebody else meanwhile
                return media
            with turns.working_beside():
                content = display_clip(
                    clip.source,
                    start_s=start,
                    end_s=end,
                    with_sound=sound,
                    max_bytes=MOST_BYTES_SENT // 2,
                    progress=lambda done, total: progress.say(text, done / total),
                )
                media = ClipMedia(
                    content=content,
                    type="video/webm" if content.startswith(_WEBM) else "video/mp4",
                    start_s=start,
                    duration_s=end - start,
                    frames_s=read_stretch(clip.source, start_s=start, end_s=end).shown_s - start,
                    has_sound=clip.facts.has_audio and probe(content).has_audio,
                )
            shelf.put(key, media, len(media.content))
        return media

    return wait_for(prepare, report, text=text)


def _seen(
    clip: ClipOnPage,
    stretch: tuple[float, float],
    num_frames: int,
    model: str,
    device: str,
    shelf: Shelf,
    key: object,
    report: Report,
    shares: tuple[float, float],
) -> ClipExplanation:
    """One model's part of the work, of whose whole it begins at, and is, these shares."""
    if (explanation := shelf.get(key)) is not None:
        return explanation
    title = resources.offer(model).title
    network = resources.load_model(model, device)

    reading = "Reading the clip"

    def ask(progress: Progress) -> ClipExplanation:
        def tell_read(done: int, total: int) -> None:
            progress.say(f"{reading}: {done} of {total} frames", shares[0])

        with _place(shelf, key, turns.LOOKING, progress):
            if (explanation := shelf.get(key)) is not None:  # made for somebody else meanwhile
                return explanation
            with turns.working_beside():
                read = read_clip(
                    clip.source,
                    num_frames=num_frames,
                    start_s=stretch[0],
                    end_s=stretch[1],
                    max_side_px=FRAME_SIDE_PX,
                    progress=tell_read,
                )
            progress.say(f"{title}: 0 of {num_frames} frames", shares[0])
            with _turn(progress) as give_way:

                def tell(done: int, total: int) -> bool:
                    if progress.is_wanted:
                        if done < total:
                            give_way()
                        share = shares[0] + shares[1] * done / total
                        progress.said = (f"{title}: {done} of {total} frames", share)
                    return progress.is_wanted

                explanation = explain_clip(network, read, progress=tell)
                if len(explanation.frames) == len(read.frames):  # not one that was stopped
                    maps = sum(found.maps.nbytes for found in explanation.learners)
                    shelf.put(key, explanation, explanation.frames.nbytes + maps)
        return explanation

    return wait_for(ask, report, text=reading, share=shares[0])


@contextmanager
def _place(
    shelf: Shelf, key: Any, places: threading.Semaphore, progress: Progress
) -> Iterator[None]:
    """Waits for a place, and until nobody else makes the same, as long as the page waits."""
    before, waiting = progress.said, _waiting(progress)
    with shelf.making(key, waiting), turns.place(places, waiting):
        progress.say(*before)
        yield


@contextmanager
def _turn(progress: Progress) -> Iterator[Callable[[], None]]:
    """Waits for the turn at the device, as long as the page waits for the work."""
    before = progress.said
    with turns.device_turn(_waiting(progress)) as give_way:
        progress.say(*before)
        yield give_way


def _waiting(progress: Progress) -> Callable[[], None]:
    return lambda: progress.say(turns.WAITING, progress.said[1])
