"""The photo on the page: one of the samples or one that the user brought."""

from dataclasses import dataclass

import streamlit as st

from app import photo_resources, resources
from app.components.plain_text import plain
from app.gallery import Sample
from app.state import PageState, own_photo
from app.uploads import stem_of
from tokenlearner.media import Image


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Photo:
    """A photo and what is known about it.

    Attributes:
        image: The photo itself.
        title: What it shows, or its file's name.
        sample: Where it comes from; None for one that the user brought.
    """

    image: Image
    title: str
    sample: Sample | None

    def subject(self, dataset: str) -> str | None:
        """The class of this data set that it is known to show."""
        return None if self.sample is None else self.sample.subject(dataset)

    @property
    def file_stem(self) -> str:
        """How the names of files made of it begin."""
        return stem_of(self.title, "photo") if self.sample is None else self.sample.id


def photo_of(state: PageState) -> Photo:
    """The photo that the state asks for."""
    own = own_photo()
    if state.sample is None and own is not None:
        return Photo(image=own.image, title=own.name, sample=None)
    samples = resources.samples()
    sample = samples[state.sample or next(iter(samples))]
    return Photo(image=photo_resources.read_sample(sample.id), title=sample.title, sample=sample)


def result_of(photo: Photo, state: PageState, device: str) -> photo_resources.Result:
    """What the state's model sees in the photo."""
    is_own = photo.sample is None
    return photo_resources.look_at(photo.image, state.model, device, is_own=is_own)


def photo_line(photo: Photo) -> None:
    """Says what the photo shows, whose it is, and what was done to it."""
    st.caption(_facts(photo))


def _facts(photo: Photo) -> str:
    image = photo.image
    facts = [f"{photo.title}, {image.width_px} × {image.height_px} px"]
    facts += image.notes
    if photo.sample is None:
        facts.append("it stays in this session, so a link cannot show it")
    else:
        facts.append(photo.sample.credit)
    return plain(" · ".join(facts))
