"""What the player's JavaScript receives, unpacked here as it unpacks it there."""

import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from app.components import attention_player, attention_viewer
from app.components.attention_player import ClipMedia, pack_maps, pack_payload
from app.components.attention_player.payload import filmstrip, step_times
from app.components.drawing import bundle_modules
from tests.app.test_viewer_payload import block, unpack
from tokenlearner.answers import LearnerMaps
from tokenlearner.clips import ClipExplanation
from tokenlearner.geometry import Geometry
from tokenlearner.media import ClipFacts
from tokenlearner.rendering import ViewSettings

MAPS = np.random.default_rng(0).random((3, 2, 4, 5), dtype=np.float32)
TOKENS = np.ones((3, 2, 2), np.float32)
TOKENS[1, 0] = np.cos(np.pi / 12), np.sin(-np.pi / 12)  # 45° before and after, -15° here
FACTS = ClipFacts(
    duration_s=6.0,
    fps=10.0,
    width_px=100,
    height_px=60,
    codec="h264",
    container="MP4 video",
    has_audio=False,
    num_frames=60,
)
MEDIA = ClipMedia(
    content=b"any bytes will do",
    type="video/mp4",
    start_s=1.0,
    duration_s=4.0,
    frames_s=np.arange(40) / 10,
    has_sound=False,
)


def explanation(**changes: Any) -> ClipExplanation:
    """Three frames in plain colours, seen one by one by a model with two tokens."""
    frames = np.zeros((3, 60, 100, 3), np.uint8)
    frames[0, ..., 0] = frames[1, ..., 1] = frames[2, ..., 2] = 200
    found = ClipExplanation(
        model_name="by hand",
        weights_sha256="",
        frames=frames,
        times_s=np.array([1.5, 2.5, 4.5]),
        facts=FACTS,
        geometry=Geometry(source_size=(60, 100), model_size=(48, 64), box=(20.0, 0.0, 80.0, 60.0)),
        class_names=("yes", "no"),
        probabilities=np.array([0.75, 0.25], np.float32),
        learners=(LearnerMaps(block=2, version="1.0", maps=MAPS, tokens=TOKENS),),
        stages=(),
        num_parameters=0,
        trained=True,
        step_frames=((0, 1), (1, 2), (2, 3)),
    )
    return replace(found, **changes)


def packed(found: ClipExplanation | None = None, media: ClipMedia = MEDIA, **options: Any) -> bytes:
    packed_maps = pack_maps(found or explanation(), media)
    return pack_payload(packed_maps, media, ViewSettings(), **options)


def test_payload_holds_clip_maps_and_curves() -> None:
    header, body = unpack(packed())
    assert block(body, header["media"]) == MEDIA.content
    maps = np.frombuffer(block(body, header["maps"]), "<f4").reshape(header["shape"])
    assert np.array_equal(maps, MAPS)
    frames = np.frombuffer(block(body, header["frames"]), "<f4")
    np.testing.assert_allclose(frames, MEDIA.frames_s, rtol=1e-6)
    names = [kind["name"] for kind in header["tracks"]["kinds"]]
    assert names == ["strength", "width", "movement", "jitter", "change"]
    tracks = np.frombuffer(block(body, header["tracks"]), "<f4").reshape(5, 3, 2)
    strength, width, movement, jitter, change = tracks
    np.testing.assert_allclose(strength, 100 * MAPS.mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(width, 100 * explanation().tracks().effective_area, rtol=1e-5)
    assert np.isnan(movement[0]).all()
    wanted = explanation().tracks().movement_ratio[1:]
    np.testing.assert_allclose(movement[1:], 100 * wanted, rtol=1e-5)
    assert (wanted > 0).all()
    assert np.isnan(jitter[[0, -1]]).all()
    wanted = explanation().tracks().jitter_px[1] / np.hypot(60, 100)
    np.testing.assert_allclose(jitter[1], 100 * wanted, rtol=1e-5)
    # Token 1 turns by 60° and back; token 2 stays what it is.
    np.testing.assert_allclose(change[1:], [[50, 0], [50, 0]], atol=1e-5)
    assert (header["source"], header["box"]) == ([60, 100], [20, 0, 80, 60])


def test_the_strength_of_maps_that_sum_to_1_is_their_peak() -> None:
    """As the legend says it: the share of the strongest patch, not in percent."""
    maps = MAPS / MAPS.sum(axis=(2, 3), keepdims=True)
    learner = replace(explanation().learners[0], version="1.1", maps=maps)
    header, body = unpack(packed(explanation(learners=(learner,))))
    kind = header["tracks"]["kinds"][0]
    assert (kind["name"], kind["unit"]) == ("strength", "")
    strength = np.frombuffer(block(body, header["tracks"]), "<f4").reshape(5, 3, 2)[0]
    np.testing.assert_allclose(strength, maps.max(axis=(2, 3)), rtol=1e-5)


def test_a_step_waits_until_the_frame_that_a_section_begins_within_is_over() -> None:
    # On the screen from 0.4 s of the clip on; others follow at 2, 3 and 4 s.
    media = replace(MEDIA, start_s=1.5, frames_s=np.array([-1.1, 0.5, 1.5, 2.5]))
    early = explanation(times_s=np.array([0.4, 2.0, 3.0]))
    starts, marks = step_times(early, media)
    assert (starts.tolist(), marks.tolist()) == ([0, 0.5, 1], [0, 0.5, 1.5])
    header, body = unpack(packed(early, media))
    assert np.frombuffer(block(body, header["frames"]), "<f4").tolist() == [0, 0.5, 1.5, 2.5]


def test_a_step_is_in_force_around_its_frames() -> None:
    starts, marks = step_times(explanation(), MEDIA)
    # Seconds of the stretch, which begins at 1 s of the clip.
    np.testing.assert_allclose(marks, [0.5, 1.5, 3.5])
    np.testing.assert_allclose(starts, [0.0, 1.0, 2.5])


def test_a_step_of_several_frames_begins_with_its_first() -> None:
    pairs = explanation(
        frames=np.zeros((4, 60, 100, 3), np.uint8),
        times_s=np.array([1.0, 2.0, 3.0, 4.0]),
        step_frames=((0, 2), (2, 4)),
    )
    starts, marks = step_times(pairs, MEDIA)
    np.testing.assert_allclose(marks, [0.0, 2.0])
    np.testing.assert_allclose(starts, [0.0, 1.5])


def test_the_filmstrip_shows_what_the_model_saw_step_by_step() -> None:
    data, facts = filmstrip(explanation())
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    assert (facts["width"], facts["height"], facts["columns"]) == (96, 96, 3)  # the box is square
    assert picture.shape == (96, 288, 3)
    middles = picture[48, [48, 144, 240]].astype(int)
    assert middles.argmax(axis=1).tolist() == [0, 1, 2]


def test_a_long_filmstrip_goes_on_in_the_next_line() -> None:
    count = 40
    long = explanation(
        frames=np.repeat(explanation().frames[:1], count, axis=0),
        step_frames=tuple((frame, frame + 1) for frame in range(count)),
    )
    data, facts = filmstrip(long)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    assert facts["columns"] == 32
    assert picture.shape == (2 * 96, 32 * 96, 3)


def test_identity_follows_clip_and_maps_and_nothing_else() -> None:
    known, _ = unpack(packed())
    same, _ = unpack(packed(stage=True, download=("a.png", b"x")))
    assert same["id"] == known["id"]
    other_maps, _ = unpack(
        packed(explanation(learners=(replace(explanation().learners[0], maps=MAPS / 2),)))
    )
    assert other_maps["id"] != known["id"]
    assert other_maps["media"]["id"] == known["media"]["id"]  # it plays on
    other_clip, _ = unpack(packed(media=replace(MEDIA, content=b"another")))
    assert other_clip["media"]["id"] != known["media"]["id"]


@pytest.mark.parametrize("widget", [attention_viewer, attention_player])
def test_each_bundle_is_one_module_that_defines_every_name_once(widget: Any) -> None:
    code = bundle_modules(widget.FOLDER, widget.MODULES)
    assert not re.search(r"^import\b", code, flags=re.MULTILINE)
    assert re.findall(r"^export.*$", code, flags=re.MULTILINE) == [
        "export default function mount(component) {"
    ]
    names = re.findall(r"^(?:async )?(?:function|const|let) (\w+)", code, re.MULTILINE)
    assert len(names) == len(set(names))
