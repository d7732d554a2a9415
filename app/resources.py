"""What of models is computed once and kept, for all sessions."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import streamlit as st
import torch

from app import catalogue
from app.catalogue import Offer, Origin
from app.gallery import Sample, load_samples
from app.options import Options, read_options
from app.problems import tell
from app.recorded import PlacementSweep, Recorded, read_placement, read_recorded
from tokenlearner import zoo
from tokenlearner.checkpoints import AnyModel, ClipModel
from tokenlearner.efficiency import Cost, count_model
from tokenlearner.efficiency.bare import without_learner
from tokenlearner.efficiency.machine import available_devices
from tokenlearner.efficiency.memory import activation_bytes
from tokenlearner.efficiency.placement import Curve, curve
from tokenlearner.efficiency.throughput import input_shape
from tokenlearner.errors import CheckpointError, TokenLearnerError, is_out_of_memory
from tokenlearner.models import TokenLearnerConfig, VisionTransformerConfig
from tokenlearner.models.info import ModelInfo
from tokenlearner.training.datasets import DATASETS

_BARE = " without learner"

# Every run of a page has a thread to itself, and with it a value of its own.
_listed: ContextVar[dict[str, Offer] | None] = ContextVar("listed", default=None)


def devices() -> dict[str, str]:
    """Names of the devices of this machine, by what PyTorch calls them; `auto` first."""
    names = {"cuda": "NVIDIA GPU", "mps": "Apple GPU", "cpu": "CPU"}
    if torch.cuda.is_available():
        names["cuda"] = torch.cuda.get_device_name()
    found = {kind: names[kind] for kind in available_devices()}
    return {"auto": f"Automatic: {next(iter(found.values()))}", **found}


def pick_device(wish: str) -> str:
    """The fastest device for `auto` or for one that is not here; otherwise the one asked for."""
    available = list(devices())
    return wish if wish in available[1:] else available[1]


def options() -> Options:
    """What the operator allows."""
    return read_options(sys.argv[1:], os.environ)


def models() -> dict[str, Offer]:
    """The models to choose from by name, the one to open with first."""
    listed = _listed.get()
    return catalogue.offers(options()) if listed is None else listed


@contextmanager
def models_listed_once() -> Iterator[None]:
    """Looks into the operator's folder now, and no more until the end of this run of the page."""
    token = _listed.set(catalogue.offers(options()))
    try:
        yield
    finally:
        _listed.reset(token)


def offer(model: str) -> Offer:
    """What a model is offered as.

    Raises:
        CheckpointError: If it is not offered, or not any more.
    """
    if found := models().get(model):
        return found
    raise CheckpointError(f"there is no model {model!r} here; choose another one")


def state_of(name: str) -> str:
    """What a model's files are like; empty if nobody knows, or if it is not offered any more.

    Args:
        name: Of a model on offer, or what `bare_name` makes of it.
    """
    found = models().get(name.removesuffix(_BARE))
    return found.state if found else ""


def version_of(name: str, device: str) -> str:
    """What a model's answers are kept by: another one when its weights change or its classes do."""
    info = model_info(name, device)
    return f"{state_of(name)} {info.source} {info.sha256}"


@st.cache_resource(max_entries=1, show_spinner=False)
def samples() -> dict[str, Sample]:
    """The gallery by id, the sample to open with first."""
    return {sample.id: sample for sample in load_samples()}


def load_model(name: str, device: str) -> AnyModel:
    """A model on a device. Sessions share it: it is never moved or changed.

    Args:
        name: Of a model on offer, or what `bare_name` makes of it.
        device: Where to.

    Raises:
        CheckpointError: If it is not offered or cannot be opened.
    """
    found = offer(name.removesuffix(_BARE))
    load = _load_bare if name.endswith(_BARE) else _load_model
    return load(found.place, found.state, device, found.origin)


def counterpart(model: str, device: str) -> tuple[str | None, str]:
    """The same model with or without TokenLearner.

    Returns:
        name: None if there is none, or none that can be opened beside it.
        problem: What to say about one that cannot; empty otherwise.
    """
    name = offer(model).counterpart
    if name is None:
        return None, ""
    try:
        load_model(name, device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        title = offer(name).title
        return None, f"There is not enough memory to open {title} as well, to compare with."
    except TokenLearnerError as error:
        title = offer(name).title
        why = tell(error, {catalogue.folder_of(offer(name)): title})
        return None, f"{title} cannot be opened, so there is nothing to compare with: {why}"
    return name, ""


def bare_name(name: str) -> str:
    """What to call a model without its TokenLearners; `load_model` makes it, to be measured."""
    return name + _BARE


def title_of(name: str) -> str:
    """What a model, or what `bare_name` makes of it, is called on the page."""
    whole = name.removesuffix(_BARE)
    found = models().get(whole)
    title = found.title if found else catalogue.title_of(whole)
    return f"{title} without TokenLearner" if name.endswith(_BARE) else title


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_bare(place: str, state: str, device: str, origin: Origin) -> AnyModel:
    return without_learner(_load_model(place, state, device, origin))


def _load_model(place: str, state: str, device: str, origin: Origin) -> AnyModel:
    load = _load_shipped if origin == "shipped" else _load_other
    return load(place, state, device)


# Small, and all of them compared on the Efficiency page. The state is part of the cache's key, so
# files that were replaced are read again.
@st.cache_resource(max_entries=16, show_spinner=False)
def _load_shipped(place: str, state: str, device: str) -> AnyModel:
    return zoo.load(place).to(device)


# Some of them large.
@st.cache_resource(max_entries=4, show_spinner=False)
def _load_other(place: str, state: str, device: str) -> AnyModel:
    return zoo.load(place).to(device)


def takes_clips(name: str, device: str) -> bool:
    """Whether a model is for clips and cannot be shown a photo."""
    return isinstance(load_model(name, device), ClipModel)


def model_info(name: str, device: str) -> ModelInfo:
    """What is known about a model."""
    info = load_model(name, device).info
    assert info is not None, "models from files have it"
    return info


def model_cost(name: str, device: str) -> Cost:
    """What one input through a model costs."""
    return _model_cost(name, state_of(name), device)


@st.cache_resource(max_entries=32, show_spinner=False)
def _model_cost(name: str, state: str, device: str) -> Cost:
    return count_model(load_model(name, device))


def activations(name: str, device: str, batch_size: int, dtype: torch.dtype) -> int:
    """Bytes that the tensors of a batch take at most at the same time.

    The same as a measurement says of it, without one.
    """
    return _activations(name, state_of(name), device, batch_size, dtype)


# It takes a tenth of a second, and a table with it is drawn after every round.
@st.cache_resource(max_entries=64, show_spinner=False)
def _activations(name: str, state: str, device: str, batch_size: int, dtype: torch.dtype) -> int:
    model = load_model(name, device)
    return activation_bytes(model, input_shape(model, batch_size), dtype, torch.device(device))


@st.cache_resource(max_entries=1, show_spinner=False)
def recorded() -> tuple[Recorded, ...]:
    """What was measured on other machines."""
    return read_recorded()


@st.cache_resource(max_entries=64, show_spinner=False)
def placement_curves(
    plain: VisionTransformerConfig,
    learner: TokenLearnerConfig,
    counts: tuple[int, ...],
    extra_layers: int,
) -> tuple[Curve, ...]:
    """What a model costs with a learner anywhere in it, for numbers of tokens."""
    return tuple(
        curve(plain, replace(learner, num_tokens=count), extra_layers=extra_layers)
        for count in counts
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def placement_sweep() -> PlacementSweep | None:
    """Accuracy against the learner's place; None if it is not shipped."""
    return read_placement()


def model_card(name: str, device: str) -> str | None:
    """A model's card in Markdown; None if it has none."""
    folder = load_model(name, device).folder
    assert folder is not None, "every model here was read from files"
    try:
        card = zoo.card(folder)  # not of its place, for which the Hub would be asked again
    except CheckpointError:
        return None
    # Whoever wrote it, no picture of theirs is fetched from elsewhere by the visitors.
    return card if offer(name).origin == "shipped" else re.sub(r"!+\[", "[", card)


def dataset_of(name: str, device: str) -> str:
    """The data set of the samples whose classes a model knows; empty if it is none of them."""
    if (stated := offer(name).dataset) is not None:
        return stated
    known = set(model_info(name, device).class_names)
    for dataset in dict.fromkeys(key for s in samples().values() for key in s.subjects):
        if {s.subject(dataset) for s in samples().values()} - {None} <= known:
            return dataset
    return ""


def is_subject_known(file: Sample | None, dataset: str, model: str, device: str) -> bool:
    """Whether it is known what a photo or clip shows, of all that a model can answer with.

    Where a sample shows none of a data set's classes, it may yet show one of the others that a
    model knows besides, such as ImageNet's.

    Args:
        file: A sample; None for a file of the user's own.
        dataset: As `dataset_of` says.
        model: Its name.
        device: Where it runs.
    """
    if file is None or dataset not in file.subjects:
        return False
    return file.subject(dataset) is not None or knows_no_more(dataset, model, device)


def knows_no_more(dataset: str, model: str, device: str) -> bool:
    """Whether a model that knows a data set's classes has no others."""
    return offer(model).dataset == dataset or DATASETS[dataset].has_classes(
        model_info(model, device).class_names
    )
