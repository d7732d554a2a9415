"""Losses by hand, and what a teacher sees."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests import tiny
from tokenlearner.preprocess import Preprocessing
from tokenlearner.training.losses import measure_losses
from tokenlearner.training.objective import Teacher
from tokenlearner.training.recipes import Distillation, Recipe

LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 3.0]])
TARGETS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.3, 0.7]])


def recipe(**changes: object) -> Recipe:
    return tiny.recipe(**({"label_smoothing": 0.0} | changes))


class TestSoftmax:
    def test_by_hand(self) -> None:
        found = measure_losses(LOGITS, TARGETS, recipe())
        chances = LOGITS.exp() / LOGITS.exp().sum(dim=1, keepdim=True)
        torch.testing.assert_close(found, -(TARGETS * chances.log()).sum(dim=1))

    def test_smoothing(self) -> None:
        found = measure_losses(LOGITS, TARGETS, recipe(label_smoothing=0.3))
        wanted = measure_losses(LOGITS, 0.7 * TARGETS + 0.1, recipe())
        torch.testing.assert_close(found, wanted)


class TestSigmoid:
    def test_scenic_s_sums_over_the_classes(self) -> None:
        """`weighted_sigmoid_cross_entropy`: log_sigmoid of both signs, the mean over the batch."""
        found = measure_losses(LOGITS, TARGETS, recipe(loss="sigmoid"))
        wanted = [
            -sum(
                float(target) * -math.log1p(math.exp(-float(logit)))
                + (1 - float(target)) * -math.log1p(math.exp(float(logit)))
                for logit, target in zip(logits, targets, strict=True)
            )
            for logits, targets in zip(LOGITS, TARGETS, strict=True)
        ]
        assert found.tolist() == pytest.approx(wanted)

    def test_at_the_start_of_the_official_training(self) -> None:
        """All logits are the head's bias of -10: the right class costs 10, the others nothing."""
        logits, targets = torch.full((1, 1000), -10.0), torch.eye(1000)[:1]
        found = measure_losses(logits, targets, recipe(loss="sigmoid"))
        assert float(found) == pytest.approx(10 + 1000 * math.log1p(math.exp(-10)), abs=1e-4)

    def test_smoothing(self) -> None:
        found = measure_losses(LOGITS, TARGETS, recipe(loss="sigmoid", label_smoothing=0.3))
        wanted = measure_losses(LOGITS, 0.7 * TARGETS + 0.1, recipe(loss="sigmoid"))
        torch.testing.assert_close(found, wanted)


class TestDistillation:
    TAUGHT = torch.tensor([[0.0, 2.0, 1.0], [1.0, 1.0, -1.0]])

    def test_by_hand(self) -> None:
        options = recipe(distillation=Distillation(weight=0.25, temperature=2.0))
        found = measure_losses(LOGITS, TARGETS, options, self.TAUGHT)
        own, taught = (LOGITS / 2).softmax(dim=1), (self.TAUGHT / 2).softmax(dim=1)
        divergence = (taught * (taught / own).log()).sum(dim=1) * 4
        labels = measure_losses(LOGITS, TARGETS, recipe())
        torch.testing.assert_close(found, 0.75 * labels + 0.25 * divergence)

    def test_the_teacher_s_own_answers_cost_nothing(self) -> None:
        options = recipe(distillation=Distillation(weight=1.0, temperature=3.0))
        found = measure_losses(self.TAUGHT, TARGETS, options, self.TAUGHT)
        torch.testing.assert_close(found, torch.zeros(2), atol=1e-6, rtol=0)

    def test_a_constant_between_a_sigmoid_s_logits_and_a_softmax_s_costs_nothing(self) -> None:
        options = recipe(loss="sigmoid", distillation=Distillation(weight=1.0))
        found = measure_losses(self.TAUGHT - 10, TARGETS, options, self.TAUGHT)
        torch.testing.assert_close(found, torch.zeros(2), atol=1e-5, rtol=0)

    def test_of_a_class_on_its_own_by_hand(self) -> None:
        options = recipe(loss="sigmoid", distillation=Distillation(weight=0.25, temperature=2.0))
        found = measure_losses(LOGITS, TARGETS, options, self.TAUGHT, multi_label=True)
        own, taught = (LOGITS / 2).sigmoid(), (self.TAUGHT / 2).sigmoid()
        yes, no = taught * (taught / own).log(), (1 - taught) * ((1 - taught) / (1 - own)).log()
        labels = measure_losses(LOGITS, TARGETS, recipe(loss="sigmoid"))
        torch.testing.assert_close(found, 0.75 * labels + 0.25 * (yes + no).sum(dim=1) * 4)


class Echo(nn.Module):
    """Answers with what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.9)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.scale * images.flatten(1))


class TestTeacher:
    IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    OWN = Preprocessing(image_size=(8, 8), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

    def test_without_info_it_gets_what_the_student_gets(self) -> None:
        teacher = Echo()
        answers = Teacher(teacher, self.OWN, torch.device("cpu"))(self.IMAGES)
        torch.testing.assert_close(answers, ((self.IMAGES - 0.5) / 0.25).flatten(1))
        assert not answers.requires_grad
        assert not any(p.requires_grad for p in teacher.parameters())

    def test_with_info_it_gets_its_own_scale_and_size(self) -> None:
        teacher = Echo()
        info = tiny.model().info
        assert info is not None
        other = Preprocessing(image_size=(4, 6), mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
        teacher.info = replace(info, preprocessing=other)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        found = Teacher(teacher, self.OWN, torch.device("cpu"))(self.IMAGES).view(2, 3, 4, 6)
        small = F.interpolate(
            self.IMAGES, (4, 6), mode="bilinear", antialias=True, align_corners=False
        )
        mean, std = (torch.tensor(v)[:, None, None] for v in (other.mean, other.std))
        torch.testing.assert_close(found, (small - mean) / std)
