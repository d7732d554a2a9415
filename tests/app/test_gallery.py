"""The gallery: what ships is usable and credited, and a broken manifest says what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from app.clip_state import ClipState
from app.components.clips.gallery import step_clip
from app.components.gallery import in_order, step_sample
from app.gallery import CLIPS_FOLDER, SAMPLES_FOLDER, Sample, load_clips, load_samples
from app.state import PageState
from tokenlearner import zoo
from tokenlearner.errors import ConfigError
from tokenlearner.media import probe, read_clip, read_image

CLASSES = {
    "imagenette": [
        *("tench", "English springer", "cassette player", "chain saw", "church"),
        *("French horn", "garbage truck", "gas pump", "golf ball", "parachute"),
    ],
    "cifar10": [
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ],
}
SAMPLES = load_samples()
CLIPS = load_clips()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_a_sample_can_be_read_and_names_known_classes(sample: Sample) -> None:
    image = read_image(sample.path)
    assert max(image.width_px, image.height_px) <= 1200
    assert set(sample.subjects) == set(CLASSES)
    for dataset, names in CLASSES.items():
        assert sample.subject(dataset) in (None, *names)


def test_the_first_sample_shows_a_class_of_the_imagenette_models() -> None:
    assert SAMPLES[0].subject("imagenette") == "parachute"
    assert SAMPLES[0].subject("cifar10") is None
    assert SAMPLES[0].subject("another data set") is None


def test_every_step_starts_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the page was not drawn between them."""
    first = in_order("imagenette")[0]
    state = PageState(model=zoo.names()[0], sample=first.id)
    clip_state = ClipState(clip=CLIPS[0].id)
    found = {"page_state": state, "clip_state": clip_state, "upload to Clips": ("mine", b"")}
    monkeypatch.setattr(st, "session_state", found)
    for step in (step_sample, step_clip):
        step(1)
        step(1)
    assert st.session_state["page_state"].sample == in_order("imagenette")[2].id
    assert st.session_state["clip_state"].clip == CLIPS[2].id
    assert "upload to Clips" not in st.session_state  # something else was chosen


def test_samples_exercise_the_reader() -> None:
    images = {sample.id: read_image(sample.path) for sample in SAMPLES}
    assert images["abyssinian"].notes == ("turned upright by its EXIF tag",)
    assert images["abyssinian"].height_px > images["abyssinian"].width_px
    assert images["hot-air-balloon"].original_mode == "RGBA"
    assert images["larches"].original_mode == "CMYK"
    assert images["cameraman"].original_mode == "L"
    assert images["coffee"].format == "WebP"
    assert images["leopard"].width_px > 2.9 * images["leopard"].height_px


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.id)
def test_of_a_clip_is_known_what_it_shows(clip: Sample) -> None:
    assert set(clip.subjects) == set(CLASSES)
    for dataset, names in CLASSES.items():
        assert clip.subject(dataset) in (None, *names)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.id)
def test_a_clip_is_short_small_and_plays_in_browsers(clip: Sample) -> None:
    facts = probe(clip.path)
    assert (facts.codec, facts.container) == ("h264", "MP4 video")
    assert max(facts.width_px, facts.height_px) <= 640
    assert 2.9 <= facts.duration_s <= 6


def test_clips_exercise_the_reader() -> None:
    clips = {clip.id: read_clip(clip.path, num_frames=1) for clip in CLIPS}
    assert clips["flower"].facts.has_audio
    assert clips["flower-upright"].notes == ("turned upright by its rotation tag",)
    assert clips["flower-upright"].facts.height_px == 540
    assert clips["stream"].facts.fps < 20  # where frames are left out; 30 elsewhere


def test_the_credits_name_every_photo_and_clip_and_nothing_else_is_shipped() -> None:
    rows = {
        cells[1]: cells
        for line in (SAMPLES_FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
        if len(cells := [cell.strip() for cell in line.split("|")]) == 8
    }
    for sample in (*SAMPLES, *CLIPS):
        _, _, title, author, licence, source, changes, _ = rows[sample.file]
        assert (title, author, source, changes) == (
            sample.title,
            sample.author,
            sample.source,
            sample.changes,
        )
        assert licence.startswith(sample.licence)
    photos = {path.name: path for path in SAMPLES_FOLDER.iterdir() if path != CLIPS_FOLDER}
    assert set(photos) == {sample.file for sample in SAMPLES} | {"README.md", "samples.json"}
    assert sum(path.stat().st_size for path in photos.values()) <= 3.5e6
    clips = {path.name: path for path in CLIPS_FOLDER.iterdir()}
    assert set(clips) == {clip.file for clip in CLIPS} | {"clips.json"}
    assert sum(path.stat().st_size for path in clips.values()) <= 2.5e6


def _entry(**changes: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("title", "licence", "author", "source", "changes"), "something")
    return {"id": "a-1", "file": "a.jpg", "subjects": {"cifar10": None}, **texts, **changes}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    folder = tmp_path / "samples"

    def write_manifest(manifest: Any) -> Path:
        folder.mkdir()
        for file in (folder / "a.jpg", tmp_path / "outside.jpg"):
            file.write_bytes(b"")
        (folder / "samples.json").write_text(json.dumps(manifest))
        return folder

    return write_manifest


def test_a_manifest_is_read_from_any_folder(write: Callable[[Any], Path]) -> None:
    folder = write({"samples": [_entry(), _entry(id="b", subjects={"cifar10": "cat"})]})
    first, second = load_samples(folder)
    assert first.path == folder / "a.jpg"
    assert (first.id, second.id, second.subject("cifar10")) == ("a-1", "b", "cat")
    assert len({first, second}) == 2  # Hashable, so usable as a key.


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "lists no samples"),
        ("many", "lists no samples"),
        (["a.jpg"], "A sample has 'a.jpg'; wanted exactly author, changes"),
        ([{"id": "a"}], "A sample has id; wanted exactly"),
        ([_entry(colour="red")], "A sample has author, changes, colour"),
        ([_entry(licence="")], "The licence of sample 'a-1' is ''; wanted a text"),
        ([_entry(author=None)], "The author of sample 'a-1' is None"),
        ([_entry(subjects={"cifar10": 3})], "wanted a class name or null per data set"),
        ([_entry(subjects=["cat"])], "wanted a class name or null per data set"),
        ([_entry(id="A 1")], "'A 1' will not do in a link"),
        ([_entry(file="b.jpg")], "'b.jpg' of sample 'a-1' is not in"),
        ([_entry(file="../outside.jpg")], "'../outside.jpg' of sample 'a-1' is not in"),
        ([_entry(), _entry()], "The sample ids a-1 appear twice"),
    ],
)
def test_a_broken_manifest_says_what_is_wrong(
    write: Callable[[Any], Path], samples: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_samples(write({"samples": samples}))
    assert message in str(caught.value)


def test_a_missing_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"samples\.json cannot be read .*No such file"):
        load_samples(tmp_path)


def test_a_manifest_that_is_a_list_says_so(write: Callable[[Any], Path]) -> None:
    with pytest.raises(ConfigError, match="wanted a JSON object with a list 'samples'"):
        load_samples(write([_entry()]))
