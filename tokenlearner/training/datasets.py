"""Facts about the data sets that the recipes train on: origin, licence, what to know of them."""

from dataclasses import dataclass

from tokenlearner.models.imagenet import imagenet_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """What a model card must say about a data set.

    Attributes:
        name: What a recipe calls it; empty for a set that is not known here.
        title: For people.
        hub_id: Its id on the Hugging Face Hub; empty if it has none.
        url: Its home; empty if unknown.
        num_classes: How many classes it has; 0 if unknown.
        class_names: Their names; empty where they are too many to list here.
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
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    about: str
    licence: str
    citation: str
    weights_note: str
    if_jpeg: str = ""
    if_one_size: str = ""

    def has_classes(self, class_names: tuple[str, ...]) -> bool:
        """Whether photos with these classes, in any order, may be a copy of it.

        Where its classes are not known, their number decides.
        """
        known = imagenet_names() if self.name == "imagenet" else self.class_names
        if known:
            return sorted(class_names) == sorted(known)
        return len(class_names) == self.num_classes


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="cifar10",
            title="CIFAR-10",
            hub_id="uoft-cs/cifar10",
            url="https://www.cs.toronto.edu/~kriz/cifar.html",
            num_classes=10,
            class_names=(
                *("airplane", "automobile", "bird", "cat", "deer"),
                *("dog", "frog", "horse", "ship", "truck"),
            ),
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
            num_classes=10,
            class_names=(
                *("tench", "English springer", "cassette player", "chain saw", "church"),
                *("French horn", "garbage truck", "gas pump", "golf ball", "parachute"),
            ),
            about="Photos of ten easily distinguished classes of ImageNet; the test split is the "
            "official validation split.",
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
                "aspect ratio; the model was trained on such photos."
            ),
        ),
        Dataset(
            name="pointing-gestures",
            title="Pointing gestures (EgoGestAR)",
            hub_id="",
            url="https://ilab-ar.github.io/DrawInAir/",
            num_classes=11,
            class_names=(
                *("caret", "circle", "cross", "other", "square", "star", "tick"),
                *("swipe_down", "swipe_left", "swipe_right", "swipe_up"),
            ),
            about="237 short first-person clips of a hand that draws one of ten shapes or swipes "
            "in the air, or does something else; 171 to train and 66 to test. Scenes were kept "
            "apart by the likeness of their backgrounds, so one under another light may be in "
            "both; people may be, too.",
            licence="none stated; its repository calls itself a public data set",
            citation=(
                "“DrawInAir: A Lightweight Gestural Interface Based on Fingertip Regression”, 2018"
            ),
            weights_note=(
                "The clips state no licence; whether that restricts weights trained on them is for "
                "you to judge."
            ),
        ),
        Dataset(
            name="charades",
            title="Charades",
            hub_id="",
            url="https://prior.allenai.org/projects/charades",
            num_classes=157,
            about="9,848 clips, 30 seconds long on average, of people who act out everyday scenes "
            "in their homes, with any number of 157 actions each; 7,985 to train and 1,863 to "
            "test.",
            licence="the Allen Institute's own, for non-commercial use",
            citation=(
                "Gunnar A. Sigurdsson et al., “Hollywood in Homes: Crowdsourcing Data Collection "
                "for Activity Understanding”, ECCV 2016"
            ),
            weights_note=(
                "The clips come under a licence for non-commercial use; whether that extends to "
                "weights trained on them is for you to judge."
            ),
        ),
        Dataset(
            name="avid",
            title="AViD",
            hub_id="",
            url="https://github.com/piergiaj/AViD",
            num_classes=887,
            about="Some 467,000 clips of 887 actions from many countries, with all faces blurred.",
            licence="MIT; each clip under a Creative Commons licence",
            citation=(
                "AJ Piergiovanni and Michael S. Ryoo, “AViD Dataset: Anonymized Videos from "
                "Diverse Countries”, NeurIPS 2020"
            ),
            weights_note=(
                "The clips' Creative Commons licences differ; what they mean for weights trained "
                "on them is for you to judge."
            ),
        ),
        Dataset(
            name="imagenet",
            title="ImageNet-1k",
            hub_id="ILSVRC/imagenet-1k",
            url="https://www.image-net.org",
            num_classes=1_000,
            about="1.28 million photos in 1,000 classes; the test split used is the official "
            "validation split of 50,000.",
            licence="ImageNet's terms: non-commercial research and education",
            citation=(
                "Olga Russakovsky et al., “ImageNet Large Scale Visual Recognition Challenge”, "
                "IJCV 2015"
            ),
            weights_note=(
                "The photos come under ImageNet's terms, non-commercial research and education; "
                "whether these extend to weights trained on them is for you to judge."
            ),
        ),
    )
}


def dataset_titled(title: str) -> Dataset:
    """Returns what is known about a data set, from its title or from the name of someone's own."""
    for dataset in DATASETS.values():
        if dataset.title == title:
            return dataset
    return Dataset(
        name="",
        title=title,
        hub_id="",
        url="",
        about="A data set of whoever trained the model.",
        licence="not stated",
        citation="",
        weights_note="Whether the terms of the data restrict the weights is for you to judge.",
    )
