"""What ImageNet's classes are called: one name for each, whoever asks."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timm.data.imagenet_info import ImageNetInfo

NUM_CLASSES = 1000

_MOST_RENAMED = 10  # of 1,000: names that a copy may spell in its own way, as those of the cranes


def imagenet_names() -> tuple[str, ...]:
    """Returns the names of the 1,000 classes of ImageNet-1k, in the order of their WordNet ids."""
    return wordnet_names(_imagenet().label_names())


def wordnet_names(wnids: Sequence[str]) -> tuple[str, ...]:
    """Returns the first word that WordNet gives for each id, as timm knows them.

    Where two classes share it, their id is added; ImageNet-1k has two kinds of crane and two of
    maillot. A class of ImageNet-1k has the same name in any part of it. If WordNet does not know
    one of the ids, all stay ids.

    Examples:
        >>> wordnet_names(["n01440764", "n02012849"])
        ('tench', 'crane (n02012849)')
    """
    info = _imagenet()
    try:
        words = {wnid: _first_word(info.label_name_to_description(wnid)) for wnid in wnids}
    except KeyError:
        return tuple(wnids)
    of_imagenet = info.label_names()
    if set(wnids) <= set(of_imagenet):
        words = {wnid: _first_word(info.label_name_to_description(wnid)) for wnid in of_imagenet}
    count = Counter(words.values())
    return tuple(
        words[wnid] if count[words[wnid]] == 1 else f"{words[wnid]} ({wnid})" for wnid in wnids
    )


def shorten_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns `imagenet_names` for ImageNet-1k under WordNet's full names; others as they are.

    The Hub's copy says `tench, Tinca tinca`. It is known by nearly all first words in this order.
    """
    if len(names) != NUM_CLASSES:
        return names
    info = _imagenet()
    full = [info.label_name_to_description(wnid) for wnid in info.label_names()]
    renamed = sum(
        _first_word(ours) != _first_word(theirs) for ours, theirs in zip(full, names, strict=True)
    )
    return imagenet_names() if renamed <= _MOST_RENAMED else names


def _first_word(lemmas: str) -> str:
    return lemmas.partition(",")[0]


@cache
def _imagenet() -> "ImageNetInfo":
    from timm.data.imagenet_info import ImageNetInfo  # here, because it takes over a second

    return ImageNetInfo()
