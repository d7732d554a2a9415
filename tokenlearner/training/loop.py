"""The training loop.

Every step is a function of the recipe and its number, so a killed run resumes to the same weights.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tokenlearner.efficiency.machine import describe_hardware
from tokenlearner.errors import DataError, TrainingError
from tokenlearner.models.vit import VisionTransformer
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.augment import augment, mixup
from tokenlearner.training.data import LabelledImages
from tokenlearner.training.recipes import Recipe

CHECKPOINT = "checkpoint.pt"


class Trainer:
    """One training run, from its last checkpoint if there is one in `out`.

    Args:
        recipe: What to do.
        data: Training photos; the recipe holds some of them out.
        out: Folder of the run: `checkpoint.pt` and TensorBoard's event files.
        device: Where to train.
        mixed_precision: Compute in bfloat16 where it is safe; weights stay float32.

    Attributes:
        step: Steps taken.
        saved_step: Steps that the last checkpoint holds.
        seconds: Time the steps took, over all sessions.
        hardware: The machines that took them.

    Raises:
        DataError: If the recipe does not fit the data.
        TrainingError: If `out` holds a checkpoint that is broken or of another recipe.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: LabelledImages,
        out: Path,
        *,
        device: torch.device,
        mixed_precision: bool = True,
    ) -> None:
        self.recipe = recipe
        self.out = out
        self.device = device
        self.mixed_precision = mixed_precision
        self.class_names = data.class_names
        self._data_sha256 = data.sha256
        if len(data.class_names) != recipe.model.num_classes:
            raise DataError(
                f"{data.source} has {len(data.class_names)} classes, but the recipe {recipe.name} "
                f"is for {recipe.model.num_classes}; give it the data set it was written for"
            )
        if len(data) <= recipe.holdout:
            raise DataError(
                f"{data.source} has {len(data):,} photos, but the recipe {recipe.name} holds "
                f"{recipe.holdout:,} out; give it more photos"
            )
        training, heldout = data.split(recipe.holdout, seed=recipe.seed)
        self.images = training.stack(
            replace(recipe.preprocessing, image_size=recipe.canvas, crop_ratio=1.0)
        )
        self.labels = torch.from_numpy(training.labels)
        self.heldout_images = heldout.stack(recipe.preprocessing)
        self.heldout_labels = torch.from_numpy(heldout.labels)
        self.steps_per_epoch = math.ceil(len(self.images) / recipe.batch_size)
        self.step = 0
        self.saved_step = 0
        self.seconds = 0.0
        self.hardware: tuple[str, ...] = ()
        self.best = (-1.0, {})

        torch.manual_seed(recipe.seed)
        model = VisionTransformer(recipe.model).to(device)
        self.model = model.to(memory_format=torch.channels_last)
        self.optimizer = _make_optimizer(self.model, recipe)
        self.average = None
        if recipe.ema_decay is not None:
            average = get_ema_multi_avg_fn(recipe.ema_decay)
            self.average = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        if (out / CHECKPOINT).exists():
            self._restore()

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch

    def run(self, *, checkpoint_every: int = 200) -> Iterator[dict[str, float]]:
        """Trains to the end, yielding `step`, `loss`, `learning_rate` and `images_per_second`.

        The last step of an epoch has `heldout_accuracy` as well, if photos are held out.

        Raises:
            TrainingError: If the loss is no number or a checkpoint cannot be written; the last
                checkpoint is left as it was.
        """
        hardware = describe_hardware(self.device)
        if self.step < self.num_steps and hardware not in self.hardware:
            self.hardware = (*self.hardware, hardware)
        while self.step < self.num_steps:
            started = time.perf_counter()
            loss, count = self._train_step()
            report = {
                "step": self.step + 1,
                "loss": loss,
                "learning_rate": self.learning_rate(self.step),
                "images_per_second": count / (time.perf_counter() - started),
            }
            self.step += 1
            if self.step % self.steps_per_epoch == 0 and len(self.heldout_labels):
                report["heldout_accuracy"] = self._validate()
            self.seconds += time.perf_counter() - started
            if self.step % checkpoint_every == 0 or self.step % self.steps_per_epoch == 0:
                self.save()
            yield report

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step."""
        recipe = self.recipe
        warmup = recipe.warmup_epochs * self.steps_per_epoch
        if step < warmup:
            return recipe.learning_rate * (step + 1) / warmup
        if recipe.schedule == "constant":
            return recipe.learning_rate
        progress = (step - warmup) / max(1, self.num_steps - warmup)
        return recipe.learning_rate * (1 + math.cos(math.pi * progress)) / 2

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all. Only between steps.

        Raises:
            TrainingError: If it cannot be written; the one before is left as it was.
        """
        state = {
            "fingerprint": self._fingerprint(),
            "step": self.step,
            "seconds": self.seconds,
            "hardware": list(self.hardware),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "best_accuracy": self.best[0],
            "best_model": self.best[1] if self.recipe.keep == "best" else {},
        }
        temporary = self.out / f"{CHECKPOINT}.new"
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            torch.save(state, temporary)
            os.replace(temporary, self.out / CHECKPOINT)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise TrainingError(
                f"cannot write {self.out / CHECKPOINT}: {error}; the one before is intact. "
                "Free some space and start the same command again"
            ) from error
        self.saved_step = self.step

    def result(self) -> VisionTransformer:
        """Returns the trained model on the CPU, in eval mode: average, best or last weights."""
        model = VisionTransformer(self.recipe.model)
        if self.recipe.keep == "best":
            model.load_state_dict(self.best[1])
        else:
            model.load_state_dict(self._final_model().state_dict())
        return model.eval()

    def _train_step(self) -> tuple[float, int]:
        recipe = self.recipe
        epoch, position = divmod(self.step, self.steps_per_epoch)
        order = torch.randperm(len(self.images), generator=_generator(recipe.seed, 1, epoch))
        rows = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
        generator = _generator(recipe.seed, 2, self.step)
        side = recipe.image_side_px(epoch)
        images = augment(
            self.images[rows].to(self.device), (side, side), recipe.augmentation, generator
        )
        targets = F.one_hot(self.labels[rows], recipe.model.num_classes).float().to(self.device)
        if recipe.augmentation.mixup:
            images, targets = mixup(images, targets, recipe.augmentation.mixup, generator)

        self.model.train()
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))  # dropout's numbers
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision):
            logits = self.model(self._normalise(images))
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.step}; the last good state is in "
                f"{self.out / CHECKPOINT}. Lower the learning rate or set gradient_clip"
            )
        self.optimizer.zero_grad()
        loss.backward()
        if recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.gradient_clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss.item(), len(rows)

    def _normalise(self, images: Tensor) -> Tensor:
        mean, std = (
            torch.tensor(values, device=self.device)[:, None, None]
            for values in (self.recipe.preprocessing.mean, self.recipe.preprocessing.std)
        )
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)

    def _final_model(self) -> nn.Module:
        return self.model if self.average is None else self.average.module

    @torch.inference_mode()
    def _validate(self) -> float:
        model = self._final_model().eval()
        correct = 0
        for images, labels in zip(
            self.heldout_images.split(256), self.heldout_labels.split(256), strict=True
        ):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision):
                logits = model(self._normalise(images.to(self.device).float() / 255))
            correct += int((logits.argmax(1).cpu() == labels).sum())
        accuracy = correct / len(self.heldout_labels)
        if accuracy > self.best[0]:
            state = {name: value.cpu().clone() for name, value in model.state_dict().items()}
            self.best = (accuracy, state)
        return accuracy

    def _fingerprint(self) -> str:
        settings = asdict(self.recipe) | {
            "data": self._data_sha256,
            "mixed_precision": self.mixed_precision,
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def _restore(self) -> None:
        path = self.out / CHECKPOINT
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            fingerprint = state["fingerprint"]
        except (OSError, EOFError, KeyError, RuntimeError, TypeError, UnpicklingError) as error:
            raise TrainingError(
                f"{path} is no readable checkpoint of this trainer; delete it to start again"
            ) from error
        if fingerprint != self._fingerprint():
            raise TrainingError(
                f"{path} belongs to another recipe, other data or another precision; choose "
                "another folder, or delete it to start again"
            )
        self.step = self.saved_step = state["step"]
        self.seconds = state["seconds"]
        self.hardware = tuple(state["hardware"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.best = (state["best_accuracy"], state["best_model"])


def _make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": recipe.weight_decay * recipe.decay_vectors},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _generator(*numbers: int) -> torch.Generator:
    """Returns a generator whose state depends on `numbers` alone."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
