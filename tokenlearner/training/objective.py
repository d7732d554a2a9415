"""From photos to what is minimised: augmentation, the model's answers, the loss."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from tokenlearner.attention import overlap
from tokenlearner.checkpoints import ClipConfig
from tokenlearner.modules.shapes import Float, Tensor
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.augment import augment, erase, mix
from tokenlearner.training.batches import Loaded
from tokenlearner.training.clip_frames import draw_frames
from tokenlearner.training.data import targets
from tokenlearner.training.losses import measure_losses
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.seeds import generator, seed


class Objective:
    """What the recipe minimises.

    Args:
        recipe: Decides augmentation and loss.
        labels: Labels of all training photos, as `LabelledImages.labels`.
        device: Where to compute.
        mixed_precision: Compute in bfloat16 where it is safe.
        teacher: What the recipe's distillation learns from.
    """

    def __init__(
        self,
        recipe: Recipe,
        labels: Tensor,
        *,
        device: torch.device,
        mixed_precision: bool,
        teacher: nn.Module | None,
    ) -> None:
        self._recipe = recipe
        self._labels = labels
        self._device = device
        self._mixed_precision = mixed_precision
        self._normalise = Normaliser(recipe.preprocessing, device)
        self._teacher = None
        if teacher is not None:
            self._teacher = Teacher(teacher, recipe.preprocessing, device)
        self._options = recipe.augmentation
        if recipe.canvas is None:  # photos from files come cropped
            self._options = replace(recipe.augmentation, area=(1.0, 1.0), aspect=1.0)

    def measure(self, network: nn.Module, loaded: Loaded) -> Tensor:
        """Returns what these photos add to the mean loss of their step.

        `network` returns logits; if the recipe asks for diversity, also the maps of each learner,
        as `learner.WithMaps` does.

        Every random number is a function of the seed, the step and the photo's place in it; only
        dropout's also depend on how the step is divided.
        """
        recipe, part = self._recipe, loaded.part
        chance = generator(recipe.seed, 2, part.step)
        images, wanted = self._vary(loaded, chance)
        torch.manual_seed(seed(recipe.seed, 3, part.step, part.index))  # dropout's numbers
        with self._autocast():
            answer = network(self._normalise(images))
            logits, maps = answer if recipe.diversity else (answer, [])
            taught = None if self._teacher is None else self._teacher(images)
        losses = measure_losses(
            logits.float(), wanted, recipe, taught, multi_label=self._labels.ndim == 2
        )
        if recipe.diversity:
            # Of each photo, or of each step of a clip.
            shared = [overlap(of_learner).reshape(len(losses), -1) for of_learner in maps]
            losses = losses + recipe.diversity * torch.cat(shared, dim=1).mean(dim=1)
        return losses.sum() * (part.weight / part.count)

    def count_hits(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Returns how many of a model's answers are right: the most probable class is a label.

        Args:
            model: In eval mode.
            images: uint8 photos of its size.
            labels: As `LabelledImages.labels`.
        """
        with self._autocast():
            logits = model(self._normalise(images.to(self._device).float() / 255))
        wanted = targets(labels, self._recipe.model.num_classes).to(self._device)
        return wanted.gather(1, logits.argmax(dim=1, keepdim=True)).sum()

    def _vary(self, loaded: Loaded, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        recipe, part, options = self._recipe, loaded.part, self._options
        side = recipe.image_side_px(part.epoch)
        images = loaded.images.to(self._device, non_blocking=True)
        if recipe.clips is not None and recipe.canvas is not None:  # those from files come sampled
            assert isinstance(recipe.model, ClipConfig)
            images = draw_frames(
                images,
                recipe.model.num_frames,
                recipe.clips,
                chance,
                places=part.places,
                count=part.count,
            )
        images = augment(
            images, (side, side), options, chance, places=part.places, count=part.count
        )
        if options.erase:
            colour = recipe.preprocessing.mean
            images = erase(
                images, options.erase, colour, chance, places=part.places, count=part.count
            )
        wanted = targets(self._labels[loaded.rows], recipe.model.num_classes)
        return mix(images, wanted.to(self._device, non_blocking=True), options, chance)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed_precision)


class Normaliser:
    """Brings photos or clips in 0..1 to the scale and layout that a model was made for.

    Args:
        preprocessing: The model's.
        device: Where the photos are.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self._mean, self._std = (
            torch.tensor(values, device=device)[:, None, None]
            for values in (preprocessing.mean, preprocessing.std)
        )

    def __call__(self, images: Float[Tensor, "batch *time 3 height width"]) -> Tensor:
        """Returns photos as they are laid out, clips as `[batch, 3, time, height, width]`."""
        normal = (images - self._mean) / self._std
        if normal.ndim == 5:
            return normal.transpose(1, 2)
        return normal.contiguous(memory_format=torch.channels_last)


class Teacher:
    """A trained model that sees the student's photos as it knows them, and never changes.

    Args:
        model: If it has an `info`, photos are normalised and resized as that says; otherwise it
            gets what the student gets.
        preprocessing: The student's.
        device: Where to compute.
    """

    def __init__(
        self, model: nn.Module, preprocessing: Preprocessing, device: torch.device
    ) -> None:
        info = getattr(model, "info", None)
        self._size = None if info is None else info.preprocessing.image_size
        own = preprocessing if info is None else info.preprocessing
        self._normalise = Normaliser(own, device)
        self._model = model.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "batch *time 3 height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Returns its answers to photos or clips in 0..1."""
        if self._size is not None and images.shape[-2:] != self._size:
            frames = F.interpolate(
                images.flatten(0, -4),
                self._size,
                mode="bilinear",
                antialias=True,
                align_corners=False,
            )
            images = frames.unflatten(0, images.shape[:-3])
        return self._model(self._normalise(images)).float()
