"""A recipe's settings in words, for model cards."""

from tokenlearner.training.augment import Augmentation
from tokenlearner.training.recipes.recipe import Recipe


def settings_of(recipe: Recipe) -> dict[str, str]:
    """Returns what a recipe decides besides the model and the number of epochs, in words.

    What it leaves out, such as distillation, has no entry.
    """
    sides = ", ".join(
        f"{epochs} epoch{'s' * (epochs > 1)} at {side} px" for epochs, side in recipe.stages
    )
    things = "photos" if recipe.clips is None else "clips"
    kept = {"last": "of the last epoch", "best": f"of the best epoch on the held-out {things}"}
    weights = kept[recipe.keep]
    if recipe.ema_decay is not None:
        weights = f"running average (decay {recipe.ema_decay}), {weights}"
    settings = {
        f"{things[:-1]} sizes": sides,
        "augmentation": _augmentation(recipe.augmentation),
        "loss": _loss(recipe),
        "optimiser": f"{_optimizer(recipe)}, {recipe.schedule} schedule, weight decay "
        f"{recipe.weight_decay:g}, batch {recipe.batch_size:,}",
        "random weights": "as Keras draws them" if recipe.fresh_weights == "keras" else "",
        "gradient clip": f"{recipe.gradient_clip:g}" if recipe.gradient_clip is not None else "",
        "held out": f"{recipe.holdout:,} training {things}",
        "weights": f"{weights}, stored as {recipe.weights_dtype}",
        "distillation": _distillation(recipe),
        "diversity of maps": f"{recipe.diversity:g} in the loss" if recipe.diversity else "",
    }
    return {name: text for name, text in settings.items() if text}


def _optimizer(recipe: Recipe) -> str:
    text = f"AdamW, learning rate {recipe.learning_rate:g}"
    if recipe.optimizer == "muon":
        text = (
            f"Muon (learning rate {recipe.muon_learning_rate:g}) for the layers' matrices, AdamW "
            f"({recipe.learning_rate:g}) for the rest"
        )
    if recipe.layer_decay not in (None, 1):
        text += f", {recipe.layer_decay:g} times as much in each block before the last"
    return text


def _loss(recipe: Recipe) -> str:
    parts = ["a sigmoid per class"] if recipe.loss == "sigmoid" else []
    if recipe.label_smoothing:
        parts.append(f"labels smoothed by {recipe.label_smoothing:g}")
    return ", ".join(parts)


def _distillation(recipe: Recipe) -> str:
    teacher = recipe.distillation
    return f"weight {teacher.weight:g}, temperature {teacher.temperature:g}" if teacher else ""


def _augmentation(options: Augmentation) -> str:
    smallest, largest = (f"{100 * share:.3g}" for share in options.area)
    parts = []
    if options.area != (1, 1):
        shares = smallest if smallest == largest else f"{smallest} to {largest}"
        parts.append(f"crops of {shares} % of the area")
    if options.aspect != 1:
        parts.append(f"sides up to {options.aspect:.3g}:1")
    if options.flip:
        parts.append("mirrored")
    if options.colour:
        parts.append(f"colours ± {100 * options.colour:.3g} %")
    if options.rand_augment is not None:
        drawn = options.rand_augment
        parts.append(f"RandAugment ({drawn.num_layers} of magnitude {drawn.magnitude:g})")
    for name, value in (
        ("erasing", options.erase),
        ("mixup", options.mixup),
        ("CutMix", options.cutmix),
    ):
        if value:
            parts.append(f"{name} {value:g}")
    return ", ".join(parts)
