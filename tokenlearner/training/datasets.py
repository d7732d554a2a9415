"""Facts about the data sets that the recipes train on: origin, licence, what to know of them."""

from dataclasses import dataclass

from tokenlearner.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """What a model card must say about a data set.

    Attributes:
        name: First part of the names of its recipes.
        title: For people.
        hub_id: Its id on the Hugging Face Hub.
        url: Its home.
        about: What it holds, in a sentence.
        licence: Terms of the data, in a sentence.
        citation: What its authors ask to cite.
        weights_note: What the terms of the data mean for weights trained on it.
        if_jpeg: What to know when the copy used holds JPEG files.
        if_one_size: What to know when all photos of the copy used have the same size.
    """

    name: str
    title: str
    hub_id: str
    url: str
    about: str
    licence: str
    citation: str
    weights_note: str
    if_jpeg: str = ""
    if_one_size: str = ""


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="cifar10",
            title="CIFAR-10",
            hub_id="uoft-cs/cifar10",
            url="https://www.cs.toronto.edu/~kriz/cifar.html",
            about="Tiny photos of 32 × 32 px in ten classes, 50,000 to train and 10,000 to test.",
            licence="no explicit licence; its authors ask to be cited",
            citation=(
                "Alex Krizhevsky, “Learning Multiple Layers of Features from Tiny Images”, "
                "technical report, University of Toronto, 2009"
            ),
            weights_note=(
                "CIFAR-10 states no licence; whether that restricts weights trained on it is for "
                "you to judge."
            ),
            if_jpeg=(
                "The copy used holds the photos as JPEG, a lossy re-encoding of the original "
                "pixels, so the figures are not exactly comparable with published ones."
            ),
        ),
        Dataset(
            name="imagenette",
            title="Imagenette",
            hub_id="frgfm/imagenette",
            url="https://github.com/fastai/imagenette",
            about="Photos of ten easily told classes of ImageNet; the test split is the official "
            "validation split.",
            licence=(
                "repository Apache-2.0; the photos under ImageNet's terms: non-commercial "
                "research and education"
            ),
            citation=(
                "Jeremy Howard, “Imagenette”, fast.ai, and Olga Russakovsky et al., “ImageNet "
                "Large Scale Visual Recognition Challenge”, IJCV 2015"
            ),
            weights_note=(
                "The photos come under ImageNet's terms, non-commercial research and education; "
                "whether these extend to weights trained on them is for you to judge."
            ),
            if_one_size=(
                "The copy used holds every photo squashed to one square size, without keeping its "
                "aspect ratio; the model learned from such photos."
            ),
        ),
    )
}


def dataset_of(recipe_name: str) -> Dataset:
    """Returns the data set that a recipe trains on.

    Raises:
        DataError: If it is unknown.
    """
    name = recipe_name.partition("-")[0]
    if name not in DATASETS:
        raise DataError(
            f"the recipe {recipe_name!r} names no known data set; its name must begin with one of "
            f"{', '.join(DATASETS)}, followed by a hyphen"
        )
    return DATASETS[name]
