"""Which models `tokenlearner bench` puts side by side."""

from collections.abc import Mapping
from typing import Any

from tokenlearner import zoo
from tokenlearner.cli.networks import OF_THE_PAPER, WITH_LEARNER
from tokenlearner.efficiency.bare import without_learner
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import Version
from tokenlearner.models.presets import vit
from tokenlearner.models.timm_vit import TimmVisionTransformer
from tokenlearner.models.vit import VisionTransformer

NONE = "none"
RANDOM = "random weights: speed does not depend on them"

_THINGS = {"image": "photos", "video": "clips"}

Named = tuple[str, Any]
"""A model and what to call it."""


def shipped_pair(model: str | None, against: str | None) -> tuple[list[Named], str]:
    """Returns the models to compare, the baseline first, and a remark, which may be empty.

    Without `against`, a shipped model is compared with its counterpart, any other model that has a
    learner with itself without it; a model without learner is measured alone.

    Args:
        model: Shipped model, folder or repository on the Hub; by default the first shipped one.
        against: The same, or `none`.

    Raises:
        CheckpointError: If one cannot be loaded.
        ConfigError: If one takes photos and the other clips.
    """
    name = model or zoo.names()[0]
    network = zoo.load(name)
    if against == NONE:
        return [(_name(network, name), network)], ""
    if against is not None:
        baseline = zoo.load(against)
        if baseline.takes != network.takes:
            raise ConfigError(
                f"{name} takes {_THINGS[network.takes]} and {against} {_THINGS[baseline.takes]}, "
                "so they cannot be compared; give --against another model, or none"
            )
        labels = _name(baseline, against), _name(network, name)
        if labels[0] == labels[1]:  # trained anew, another revision: as they were asked for
            labels = against, name if name != against else f"{name} again"
        return [(labels[0], baseline), (labels[1], network)], ""
    if name in zoo.names():
        other, is_fast = zoo.counterpart(name), zoo.entry(name).baseline is not None
        both = (other, name) if is_fast else (name, other)
        return [(each, zoo.load(each)) for each in both if each is not None], ""
    if network.config.token_learner is not None:
        alone = f"{_name(network, name)} without learner"
        pair = [(alone, without_learner(network)), (_name(network, name), network)]
        is_timms = isinstance(network, TimmVisionTransformer)
        return pair, "" if is_timms else f"{alone} has {RANDOM}"
    return [(_name(network, name), network)], ""


def preset_pair(
    variant: str,
    *,
    image_size: int,
    num_tokens: int,
    at: int | None,
    version: Version,
    fuser: bool,
) -> tuple[list[Named], str]:
    """Returns a model from the papers without and with a learner, and a remark.

    Args:
        variant: As in `presets.vit`, like the other arguments.
        image_size: Height and width in pixels.
        num_tokens: Number of learned tokens.
        at: Blocks before the learner; by default half of them.
        version: Learner version.
        fuser: With a TokenFuser after every block from there on.

    Raises:
        ConfigError: If there is no such model.
    """
    base = vit(variant, image_size=image_size)
    fast = vit(
        variant, image_size=image_size, num_tokens=num_tokens, at=at, version=version, fuser=fuser
    )
    learner = fast.token_learner
    assert learner is not None
    tail = f", {num_tokens} tokens at {learner.at}" + (", fuser" if fuser else "")
    pair: list[Named] = [
        (variant, VisionTransformer(base).eval()),
        (variant + tail, VisionTransformer(fast).eval()),
    ]
    return pair, f"both have {RANDOM}"


def paper_pair(name: str) -> tuple[list[Named], str]:
    """Returns a model from the paper's tables without and with its learner, and a remark.

    Args:
        name: One of `WITH_LEARNER`.
    """
    kind, config = OF_THE_PAPER[name]
    fast = kind(config).eval()
    pair = [(f"{name} without learner", without_learner(fast)), (name, fast)]
    return pair, f"both have {RANDOM}"


def check_choice(
    variant: str | None, named: Mapping[str, object], of_variant: Mapping[str, object]
) -> None:
    """Refuses options that contradict each other.

    Args:
        variant: Value of --variant.
        named: Other options that name a model, by option; None where not given.
        of_variant: Options that describe the variant, likewise.

    Raises:
        ConfigError: If options contradict each other.
    """
    too_many = named if variant is not None else of_variant
    given = [name for name, value in too_many.items() if value is not None]
    if given and variant is not None:
        raise ConfigError(
            f"--variant creates both models; leave out {' and '.join(given)}, or --variant"
        )
    described = [name for name, value in of_variant.items() if value is not None]
    if described and variant in WITH_LEARNER:
        raise ConfigError(
            f"{variant!r} is fully specified; leave out {' and '.join(described)}, or give a size "
            "alone, as in --variant B/16"
        )
    if given:
        raise ConfigError(f"{', '.join(given)} needs --variant, as in --variant B/16")


def _name(network: Any, fallback: str) -> str:
    return network.info.name if network.info is not None else fallback
