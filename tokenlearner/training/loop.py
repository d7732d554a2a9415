"""The training loop.

Every step is a function of the recipe and its number, so a killed run resumes to the same weights;
on a GPU but for the order in which its kernels add up.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tokenlearner.checkpoints import AnyModel
from tokenlearner.efficiency.machine import describe_hardware
from tokenlearner.errors import ConfigError, TrainingError, is_out_of_memory
from tokenlearner.modules.precision import float32_precision
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.batches import Loaded, load, schedule
from tokenlearner.training.checkpoint import read_state, write_state
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.distributed import add_up, gather, num_processes, rank
from tokenlearner.training.fit import check_fit, fingerprint, in_order
from tokenlearner.training.objective import Objective
from tokenlearner.training.optimizers import rate_factor
from tokenlearner.training.recipes import Recipe
from tokenlearner.training.samples import open_photos, stack
from tokenlearner.training.train_state import TrainState
from tokenlearner.training.unusable import Unusable

CHECKPOINT = "checkpoint.pt"

NUM_SHOWN = 4
"""Photos whose attention can be watched during the run."""


class Trainer:
    """One training run, from its last checkpoint if there is one in `out`.

    In processes that `torchrun` started (see `joined_processes`) each computes its part of every
    step. Random numbers are drawn for whole steps, so losses are those of one process but for
    rounding, dropout and, on a CPU, batch norm, whose statistics are then each process' own. The
    same holds for `accumulate`; there batch norm sees the parts on CUDA too.

    Args:
        recipe: What to do.
        data: Training photos or clips, as the recipe takes; it holds some of them out.
        out: Folder of the run: `checkpoint.pt` and TensorBoard's event files.
        device: Where to train.
        mixed_precision: Compute in bfloat16 where it is safe, and the rest in TF32 on CUDA; weights
            stay float32.
        accumulate: Parts in which a process computes its photos, to save memory.
        model: Trained further, in place; by default one with random weights.
        teacher: What the recipe's distillation learns from; a classifier with the same answers, in
            whatever order if its `info` names them.
        num_workers: Processes that decode photos and vary them, if that is done one by one.
        compile: Compile the model with `torch.compile`.

    Attributes:
        step: Steps taken.
        saved_step: Steps that the last checkpoint holds.
        seconds: Time the steps took, over all sessions.
        hardware: The machines that took them.
        heldout_unusable: Why held-out photos were left out.
        shown_images: A few photos to watch the model by, as it gets them in use: held out or, where
            nothing is, trained on.

    Raises:
        DataError: If the recipe does not fit the data, or a photo cannot be used.
        ConfigError: If the recipe does not fit `model` or `teacher`, or `accumulate` is no count.
        TrainingError: If `out` holds a checkpoint that is broken or of another recipe.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: LabelledImages | LabelledClips,
        out: Path,
        *,
        device: torch.device,
        mixed_precision: bool = True,
        accumulate: int = 1,
        model: AnyModel | None = None,
        teacher: nn.Module | None = None,
        num_workers: int = 0,
        compile: bool = False,
    ) -> None:
        check_fit(recipe, data, model=model, teacher=teacher)
        if accumulate < 1:
            raise ConfigError(f"accumulate is {accumulate}; it must be at least 1")
        self.recipe = recipe
        self.out = out
        self.device = device
        self.mixed_precision = mixed_precision
        self.class_names = data.class_names
        self._things = data.things
        self._accumulate = accumulate
        self._num_workers = num_workers
        self._fingerprint = fingerprint(
            recipe, data, mixed_precision=mixed_precision, model=model, teacher=teacher
        )
        training, heldout = data.split(recipe.holdout, seed=recipe.seed)
        self.photos = open_photos(training, recipe, device)
        self.labels = torch.from_numpy(training.labels)
        if recipe.canvas is None:  # nobody has looked at all photos yet
            heldout = replace(heldout, max_unusable=1.0).scan()  # the limit is one for all photos
        self.heldout_unusable = heldout.unusable
        self.heldout_images = stack(heldout, recipe)
        self.heldout_labels = torch.from_numpy(heldout.labels)
        self.shown_images = self.heldout_images[:NUM_SHOWN]
        if not len(heldout):
            first = training.take(range(min(2 * NUM_SHOWN, len(training))))
            first = replace(first, max_unusable=1.0).scan()  # counted where they are trained on
            self.shown_images = stack(first.take(range(min(NUM_SHOWN, len(first)))), recipe)
        self.steps_per_epoch = math.ceil(len(training) / recipe.batch_size)
        self.step = 0
        self.saved_step = 0
        self.seconds = 0.0
        self.hardware: tuple[str, ...] = ()
        self.best = (-1.0, {})
        self._unusable = Unusable(data, heldout.unusable)
        self._mixed_precision = mixed_precision

        torch.manual_seed(recipe.seed)
        if model is None:
            model = recipe.build()
        self.train_state = TrainState(model, recipe, device)
        if (out / CHECKPOINT).exists():
            self._restore()
        self._objective = Objective(
            recipe,
            self.labels,
            device=device,
            mixed_precision=mixed_precision,
            teacher=in_order(teacher, data.class_names),
        )
        # The last, because it waits for the other processes: nobody saves before all have restored.
        steps = gather(self.step)
        if len(set(steps)) > 1:
            raise TrainingError(
                f"the processes would go on after the steps {', '.join(map(str, steps))}; wanted "
                f"one folder {out} for all, on a disk that they share"
            )
        self.train_state.connect(compile=compile)

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def unusable(self) -> dict[int, str]:
        """Why a photo was replaced by another one, by its row; see `Unusable.reasons`."""
        return self._unusable.reasons

    def run(
        self,
        *,
        checkpoint_every: int = 200,
        report_every: int | None = None,
        warn: Callable[[str], None] = warnings.warn,
    ) -> Iterator[dict[str, float]]:
        """Trains to the end, yielding `step`, `loss`, `learning_rate` and `images_per_second`.

        `loss` is the mean since the last report, `learning_rate` that of the step. The last step of
        an epoch has `heldout_accuracy` as well, if photos are held out.

        Args:
            checkpoint_every: Steps between checkpoints; the end of an epoch has one as well.
            report_every: Steps between reports; by default 1 on a CPU and 10 elsewhere, where a
                report waits for the device.
            warn: Told at an epoch's end how many photos could not be used, if more than before.

        Raises:
            DataError: If too many photos cannot be used.
            TrainingError: If the loss is not a number, memory runs out or a checkpoint cannot be
                written; the last checkpoint is left as it was.
        """
        if report_every is None:
            report_every = 1 if self.device.type == "cpu" else 10
        hardware = describe_hardware(self.device)
        if self.device.type == "cuda" and num_processes() > 1:
            hardware = f"{num_processes()} x {hardware}"
        if self.step < self.num_steps and hardware not in self.hardware:
            self.hardware = (*self.hardware, hardware)
        loaded = self.load()
        started, count, losses = time.perf_counter(), 0, []
        while self.step < self.num_steps:
            loss, step_count = self.take_step(loaded)
            losses.append(loss)
            count += step_count
            ends_epoch = self.step % self.steps_per_epoch == 0
            saves = ends_epoch or self.step % checkpoint_every == 0
            if not saves and self.step % report_every != 0:
                continue
            report = {
                "step": self.step,
                "loss": self._mean_loss(losses),
                "learning_rate": self.learning_rate(self.step - 1),
                "images_per_second": count / (time.perf_counter() - started),
            }
            if ends_epoch and len(self.heldout_labels):
                report["heldout_accuracy"] = self._validate()
            self.seconds += time.perf_counter() - started
            if saves:
                self._unusable.share()
                if ends_epoch and rank() == 0 and (news := self._unusable.news()):
                    warn(news)
                self.save()
            yield report
            started, count, losses = time.perf_counter(), 0, []

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a zero-based step, that of the head's AdamW."""
        return self.recipe.learning_rate * rate_factor(self.recipe, step, self.steps_per_epoch)

    def load(self) -> Iterator[Loaded]:
        """Yields this process' photos from the next step to the end of the run."""
        parts = schedule(
            self.recipe,
            len(self.labels),
            first_step=self.step,
            own=range(rank() * self._accumulate, (rank() + 1) * self._accumulate),
            num_parts=num_processes() * self._accumulate,
        )
        return load(parts, self.photos, num_workers=self._num_workers, device=self.device)

    def take_step(self, loaded: Iterator[Loaded]) -> tuple[Tensor, int]:
        """Takes the next step.

        Args:
            loaded: What `load` returned.

        Returns:
            loss: This process' share of the step's mean loss, on the device.
            count: Photos in the step, of all processes.

        Raises:
            TrainingError: If memory runs out.
        """
        parts = [next(loaded) for _ in range(self._accumulate)]
        for part in parts:
            self._unusable.note(part.unusable)
        rate = rate_factor(self.recipe, self.step, self.steps_per_epoch)
        try:
            with float32_precision(self.device, tf32=self._mixed_precision):
                loss = self.train_state.take_step(parts, self._objective, rate=rate)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            count = len(parts[0].rows)
            what, advice = f"one {self._things[:-1]} does", "take a smaller model or size in pixels"
            if count > 1:
                what = f"{count} {self._things} at once do"
                advice = (
                    f"raise accumulate (--accumulate in the shell), which is {self._accumulate}"
                )
            raise TrainingError(
                f"{what} not fit in the memory of {self.device}; {advice}"
            ) from error
        self.step += 1
        return loss, parts[0].part.count

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all. Only between steps; only process 0 writes.

        Raises:
            TrainingError: If the weights are no numbers or it cannot be written; the one before is
                left as it was.
        """
        if not self.train_state.is_finite():
            raise TrainingError(
                f"the weights are not finite after step {self.step}; {self._advice}"
            )
        state = {
            "fingerprint": self._fingerprint,
            "step": self.step,
            "seconds": self.seconds,
            "hardware": list(self.hardware),
            "unusable": self._unusable.state_dict(),
            "train_state": self.train_state.state_dict(),
            "best_accuracy": self.best[0],
            "best_model": self.best[1] if self.recipe.keep == "best" else {},
        }
        if rank() == 0:
            write_state(state, self.out / CHECKPOINT)
        self.saved_step = self.step

    def result(self) -> AnyModel:
        """Returns the trained model on the CPU, in eval mode: average, best or last weights."""
        model = (
            copy.deepcopy(self.train_state.model).cpu().to(memory_format=torch.contiguous_format)
        )
        if self.recipe.keep == "best":
            model.load_state_dict(self.best[1])
        else:
            model.load_state_dict(self.train_state.final_model().state_dict())
        return model.eval()

    def _mean_loss(self, losses: list[Tensor]) -> float:
        values = add_up(torch.stack(losses)).tolist()
        for value, step in zip(values, range(self.step - len(values), self.step), strict=True):
            if not math.isfinite(value):
                raise TrainingError(f"the loss is {value} at step {step}; {self._advice}")
        return sum(values) / len(values)

    @property
    def _advice(self) -> str:
        kept = f"the last good state is in {self.out / CHECKPOINT}"
        if not self.saved_step:
            kept = "there is no checkpoint yet"
        clip = "" if self.recipe.gradient_clip else ", or take a recipe with a gradient_clip"
        return (
            f"{kept}. Lower the learning rate (--learning-rate in the shell), which is "
            f"{self.recipe.learning_rate:g}{clip}, and start in another folder"
        )

    @torch.inference_mode()
    def _validate(self) -> float:
        model = self.train_state.final_model().eval()
        hits = torch.zeros((), device=self.device)
        # No more at once than a step takes, which is known to fit in memory.
        processes = num_processes()
        at_once = math.ceil(self.recipe.batch_size / (processes * self._accumulate))
        batches = torch.arange(len(self.heldout_labels)).split(min(256, at_once))
        for rows in batches[rank() :: processes]:
            images, labels = self.heldout_images[rows], self.heldout_labels[rows]
            hits += self._objective.count_hits(model, images, labels)
        labelled = len(self.heldout_labels)
        if self.heldout_labels.ndim == 2:  # one without any label cannot be answered rightly
            labelled = max(1, int(self.heldout_labels.any(dim=1).sum()))
        accuracy = add_up(hits).item() / labelled
        if accuracy > self.best[0]:
            state = {name: value.cpu().clone() for name, value in model.state_dict().items()}
            self.best = (accuracy, state)
        return accuracy

    def _restore(self) -> None:
        state = read_state(self.out / CHECKPOINT, fingerprint=self._fingerprint)
        self.step = self.saved_step = state["step"]
        self.seconds = state["seconds"]
        self.hardware = tuple(state["hardware"])
        self._unusable.load_state_dict(state["unusable"])
        self.train_state.load_state_dict(state["train_state"])
        self.best = (state["best_accuracy"], state["best_model"])
