"""What a run changes, and how one step changes it: weights, optimisers' states, their average."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tokenlearner.checkpoints import AnyModel
from tokenlearner.modules.shapes import Tensor
from tokenlearner.training.batches import Loaded
from tokenlearner.training.distributed import distribute, num_processes, share_statistics
from tokenlearner.training.objective import Objective
from tokenlearner.training.optimizers import make_optimizers, set_rates
from tokenlearner.training.recipes import Recipe


class WithMaps(nn.Module):
    """A model that answers with the maps of its learners beside the logits."""

    def __init__(self, model: AnyModel) -> None:
        super().__init__()
        self._model = model

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns logits and, of each learner, `[batch, (step,) token, height, width]`."""
        trace = self._model.trace(images)
        return trace.logits, [learner.maps for learner in trace.learners]


class TrainState:
    """What a run changes, as Scenic calls it: a model in training.

    Args:
        model: Trained in place.
        recipe: Decides the optimisers, the average and the clipping of gradients.
        device: Where to compute.

    Attributes:
        model: The current weights.
        optimizers: AdamW, and Muon before it if there is one.
        average: The running average of the weights; None for none.
    """

    def __init__(self, model: AnyModel, recipe: Recipe, device: torch.device) -> None:
        self.model: AnyModel = model.to(device)
        if all(weight.ndim <= 4 for weight in model.parameters()):  # not for 3-D convolutions
            self.model.to(memory_format=torch.channels_last)
        share_statistics(self.model, device)
        self.optimizers = make_optimizers(self.model, recipe)
        self.average = None
        if recipe.ema_decay is not None:
            self.average = AveragedModel(self.model, use_buffers=True)
        self._ema_decay = recipe.ema_decay
        self._gradient_clip = recipe.gradient_clip
        self._asked = WithMaps(self.model) if recipe.diversity else self.model
        self._device = device
        self._parallel = None
        self._network: Any = self._asked

    def connect(self, *, compile: bool) -> None:
        """Takes the other processes' gradients into account from here on; waits for all of them.

        Args:
            compile: Compile the model.
        """
        self._parallel = distribute(self._asked, self._device)
        network = self._parallel or self._asked
        self._network = torch.compile(network) if compile else network

    def take_step(self, parts: Sequence[Loaded], objective: Objective, *, rate: float) -> Tensor:
        """Changes the weights once.

        Args:
            parts: This process' photos of the step.
            objective: What is minimised.
            rate: Share of the peak learning rates.

        Returns:
            This process' share of the step's mean loss, on the device.
        """
        self.model.train()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        total = torch.zeros((), device=self._device)
        for photos in parts:
            with self._synchronised(photos is parts[-1]):
                loss = objective.measure(self._network, photos)
                # DistributedDataParallel takes the mean over the processes.
                (loss * num_processes()).backward()
            total = total + loss.detach()
        if self._gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._gradient_clip)
        set_rates(self.optimizers, rate)
        for optimizer in self.optimizers:
            optimizer.step()
        self._update_average()
        return total

    def final_model(self) -> nn.Module:
        """Returns the average if there is one, else the model."""
        return self.model if self.average is None else self.average.module

    def is_finite(self) -> bool:
        """Whether all weights are numbers; waits for the device."""
        weights = self.model.state_dict().values()
        return bool(torch.stack([value.isfinite().all() for value in weights]).all())

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that the next step depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _update_average(self) -> None:
        if self.average is None or self._ema_decay is None:
            return
        # Over few steps at first, so that a short run does not keep its random start. The count
        # lies on the CPU, so reading it waits for no GPU.
        steps = int(self.average.n_averaged)
        decay = min(self._ema_decay, (1 + steps) / (10 + steps))
        self.average.multi_avg_fn = get_ema_multi_avg_fn(decay)
        self.average.update_parameters(self.model)

    def _synchronised(self, last: bool) -> AbstractContextManager[None]:
        """Gradients go from process to process once per step, with its last part."""
        if last or self._parallel is None:
            return nullcontext()
        return self._parallel.no_sync()
