"""The photos to choose from, those that the model knows first, and the ways to bring another."""

import streamlit as st

from app import photo_resources, resources
from app.components.own_photo import own_photo_input
from app.components.photo_picker import Choice, photo_picker
from app.gallery import Sample
from app.state import PageState, change_state, current_state, own_photo
from app.uploads import drop_upload

_OWN = "own"
_KNOWN, _UNKNOWN = "In the model’s classes", "Other subjects"
_OTHERS, _NOBODY_KNOWS = "Others", "Samples"


def in_order(dataset: str) -> list[Sample]:
    """All samples, those that show a class of this data set first."""
    return sorted(resources.samples().values(), key=lambda s: s.subject(dataset) is None)


def gallery(state: PageState, dataset: str, device: str) -> None:
    """Shows the samples, the drop zone and the camera.

    Args:
        state: What is on the page.
        dataset: Of the model, which decides what it knows; empty if nobody knows.
        device: Where the model runs.
    """
    others = _NOBODY_KNOWS
    if dataset:
        knows_no_more = resources.knows_no_more(dataset, state.model, device)
        others = _UNKNOWN if knows_no_more else _OTHERS
    photos, own = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    with photos:
        selected = state.sample or _OWN
        photo_picker(_choices(dataset, others), selected=selected, key="photos", on_pick=_pick)
    with own:
        own_photo_input()


def step_sample(step: int) -> None:
    """Goes to the next photo of the gallery or the one before, and round at the ends.

    A second press may come before the page has shown what the first one chose.
    """
    state = current_state(resources.models(), resources.samples())
    dataset = resources.dataset_of(state.model, resources.pick_device(state.device))
    ids: list[str | None] = [sample.id for sample in in_order(dataset)]
    if own_photo() is not None:
        ids.insert(0, None)
    at = ids.index(state.sample) if state.sample in ids else 0
    drop_upload("Explore")
    change_state(sample=ids[(at + step) % len(ids)])


def _pick(choice: str) -> None:
    drop_upload("Explore")
    if choice == _OWN:
        change_state(sample=None)
    elif choice in resources.samples():
        change_state(sample=choice)


def _choices(dataset: str, others: str) -> list[Choice]:
    choices = []
    if own := own_photo():
        choices.append(Choice(id=_OWN, title=own.name, thumbnail=own.thumbnail, group="Yours"))
    pictures = photo_resources.thumbnails()
    for sample in in_order(dataset):
        subject = sample.subject(dataset)
        choices.append(
            Choice(
                id=sample.id,
                title=sample.title,
                thumbnail=pictures[sample.id],
                group=_KNOWN if subject else others,
                label=subject or "",
            )
        )
    return choices
