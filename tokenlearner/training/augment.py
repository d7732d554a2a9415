"""Random crops, flips, colours and blends for a whole batch at once, on any device.

All frames of a clip, `[batch, time, 3, height, width]`, are varied alike.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from tokenlearner.errors import ConfigError
from tokenlearner.modules.shapes import Float, Tensor, UInt8
from tokenlearner.training.seeds import draw_uniform


@dataclass(frozen=True, kw_only=True, slots=True)
class RandAugment:
    """A few changes per photo, drawn from fifteen: turns, shears, shifts, colours, contrasts.

    Attributes:
        num_layers: Changes drawn for a photo; each is carried out with probability 1/2.
        magnitude: Their strength, 0..10.
        magnitude_std: Standard deviation of the strength.

    Source: "RandAugment: Practical automated data augmentation" (Cubuk et al., 2020), as timm
    carries it out for `rand-m9-n2-mstd0.5-inc1`.
    """

    num_layers: int = 2
    magnitude: float = 9.0
    magnitude_std: float = 0.5

    def __post_init__(self) -> None:
        if self.num_layers < 1 or not 0 <= self.magnitude <= 10 or self.magnitude_std < 0:
            raise ConfigError(
                f"RandAugment with num_layers={self.num_layers}, magnitude={self.magnitude}, "
                f"magnitude_std={self.magnitude_std}; wanted a layer or more, a magnitude of 0 to "
                "10 and a deviation of 0 or more"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How training photos are varied.

    Attributes:
        area: Smallest and largest share of the photo's area that a crop keeps.
        aspect: Largest ratio of a crop's sides, either way.
        flip: Mirror half of the photos.
        colour: Brightness, contrast and saturation change by up to this share.
        rand_augment: Changes drawn anew for each photo; they take time on the CPU. None for none.
        erase: Probability that a rectangle of a photo is filled with the mean colour.
        mixup: Alpha of the Beta distribution that blends pairs of photos; 0 for none.
        cutmix: Alpha of the Beta distribution of the share of a photo that is kept when a part of
            another one is pasted into it; 0 for none. With `mixup` too, a batch gets one of them.
    """

    area: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    flip: bool = True
    colour: float = 0.0
    rand_augment: RandAugment | None = None
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        # Written so that NaN is refused, too.
        if not (0 < self.area[0] <= self.area[1] <= 1 and self.aspect >= 1):
            raise ConfigError(
                f"area is {self.area} and aspect {self.aspect}; wanted shares above 0 and up to 1, "
                "the smaller first, and a ratio of at least 1"
            )
        if not 0 <= self.colour <= 1 or not 0 <= self.erase <= 1:
            raise ConfigError(f"colour is {self.colour} and erase {self.erase}; wanted 0 to 1")
        if not (self.mixup >= 0 and self.cutmix >= 0):
            raise ConfigError(f"mixup is {self.mixup} and cutmix {self.cutmix}; wanted 0 or more")


def augment(
    images: UInt8[Tensor, "batch *time 3 height width"],
    size: tuple[int, int],
    options: Augmentation,
    generator: torch.Generator,
    *,
    places: Tensor | None = None,
    count: int | None = None,
) -> Float[Tensor, "batch *time 3 new_height new_width"]:
    """Returns varied photos in 0..1: cropped, mirrored, in other colours.

    Args:
        images: RGB.
        size: Height and width of the result in pixels.
        options: What is varied, and how much; `erase` and `mix` do the rest.
        generator: Source of every random number, on the CPU.
        places: Places of `images` in a batch of which they are a part, int64 `[batch]`.
        count: Photos in that batch. A photo is varied alike in the whole batch and in any part.
    """
    count = len(images) if count is None else count

    def uniform(low: float, high: float) -> Tensor:
        return draw_uniform(low, high, count, places, generator)

    side = uniform(*options.area).sqrt()
    stretch = (uniform(-1.0, 1.0) * math.log(options.aspect) / 2).exp()
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    shift_x, shift_y = uniform(-1.0, 1.0) * (1 - width), uniform(-1.0, 1.0) * (1 - height)
    if options.flip:
        width = width * torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0)
    zero = torch.zeros(len(images))
    affine = torch.stack([width, zero, shift_x, zero, height, shift_y], dim=1).unflatten(1, (2, 3))
    affine = affine.to(images.device)
    planes = images.flatten(1, -3).float() / 255
    positions = F.affine_grid(affine, [*planes.shape[:2], *size], align_corners=False)
    out = F.grid_sample(planes, positions, padding_mode="border", align_corners=False)
    out = out.unflatten(1, images.shape[1:-2])
    if options.colour:
        low, high = 1.0 - options.colour, 1.0 + options.colour
        factors = torch.stack([uniform(low, high) for _ in range(3)]).to(images.device)
        brightness, contrast, saturation = factors.view(3, -1, *[1] * (out.ndim - 1))
        out = out * brightness
        gray = out.mean(dim=tuple(range(1, out.ndim)), keepdim=True)
        out = torch.lerp(gray, out, contrast)
        out = torch.lerp(out.mean(dim=-3, keepdim=True), out, saturation).clamp(0, 1)
    return out


def erase(
    images: Float[Tensor, "batch *time 3 height width"],
    probability: float,
    colour: tuple[float, float, float],
    generator: torch.Generator,
    *,
    places: Tensor | None = None,
    count: int | None = None,
) -> Float[Tensor, "batch *time 3 height width"]:
    """Fills a rectangle of some photos: 1/50 to 1/3 of the area, 0.3 to 3.3 times as wide as high.

    Args:
        images: In 0..1.
        probability: Share of the photos that lose a part.
        colour: What is put there, in 0..1.
        generator: Source of every random number, on the CPU.
        places: As in `augment`.
        count: As in `augment`.

    Source: "Random Erasing Data Augmentation" (Zhong et al., 2020), with timm's sizes. timm's own
    erases one photo after the other, which is slow on a GPU.
    """
    count = len(images) if count is None else count

    def uniform(low: float, high: float) -> Tensor:
        return draw_uniform(low, high, count, places, generator)

    area, aspect = uniform(0.02, 1 / 3), uniform(math.log(0.3), -math.log(0.3)).exp()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    left, top = uniform(0.0, 1.0) * (1 - width), uniform(0.0, 1.0) * (1 - height)
    width = torch.where(uniform(0.0, 1.0) < probability, width, 0.0)
    box = torch.stack([left, left + width, top, top + height]).to(images.device)[:, :, None]
    across = _covered(box[0], box[1], images.shape[-1])
    down = _covered(box[2], box[3], images.shape[-2])
    inside = down[:, :, None] & across[:, None, :]
    inside = inside.view(-1, *[1] * (images.ndim - 3), *images.shape[-2:])
    return torch.where(inside, images.new_tensor(colour)[:, None, None], images)


def mix(
    images: Float[Tensor, "batch *time 3 height width"],
    targets: Float[Tensor, "batch classes"],
    options: Augmentation,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch *time 3 height width"], Float[Tensor, "batch classes"]]:
    """Applies mixup or cutmix, whichever is asked for; of both, one at random.

    Both pair the first photo with the last and draw one share for all, so a part of a batch that
    holds whole pairs is mixed as the batch is.
    """
    if options.mixup and options.cutmix:
        chosen = cutmix if float(torch.rand((), generator=generator)) < 0.5 else mixup
    else:
        chosen = cutmix if options.cutmix else mixup
    alpha = options.cutmix if chosen is cutmix else options.mixup
    return chosen(images, targets, alpha, generator) if alpha else (images, targets)


def mixup(
    images: Float[Tensor, "batch *time 3 height width"],
    targets: Float[Tensor, "batch classes"],
    alpha: float,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch *time 3 height width"], Float[Tensor, "batch classes"]]:
    """Blends every photo and its target with those of another one in the batch.

    Source: "mixup: Beyond Empirical Risk Minimization" (Zhang et al., 2018). timm's own refuses
    odd batches and wants class indices.
    """
    share = _beta(alpha, generator)
    share = max(share, 1 - share)
    return (
        torch.lerp(images.flip(0), images, share),
        torch.lerp(targets.flip(0), targets, share),
    )


def cutmix(
    images: Float[Tensor, "batch *time 3 height width"],
    targets: Float[Tensor, "batch classes"],
    alpha: float,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch *time 3 height width"], Float[Tensor, "batch classes"]]:
    """Pastes a rectangle of another photo in the batch into every photo; targets mix by area.

    Source: "CutMix" (Yun et al., 2019).
    """
    height, width = images.shape[-2:]
    side = math.sqrt(1 - _beta(alpha, generator))
    centre = torch.rand(2, generator=generator).tolist()
    top, bottom = (round(height * (centre[0] + s * side / 2)) for s in (-1, 1))
    left, right = (round(width * (centre[1] + s * side / 2)) for s in (-1, 1))
    box = (..., slice(max(0, top), bottom), slice(max(0, left), right))
    pasted = images.clone()
    pasted[box] = images.flip(0)[box]
    share = 1 - pasted.flatten(0, -3)[0][box].numel() / (height * width)
    return pasted, torch.lerp(targets.flip(0), targets, share)


def _covered(start: Tensor, stop: Tensor, pixels: int) -> Tensor:
    """Returns which pixels of an axis have their centre in start..stop, shares of the axis."""
    centres = (torch.arange(pixels, device=start.device) + 0.5) / pixels
    return (centres >= start) & (centres < stop)


def _beta(alpha: float, generator: torch.Generator) -> float:
    seed = int(torch.randint(2**31, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))
