"""Random crops, flips and colours for a whole batch at once, on any device."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tokenlearner.modules.shapes import Float, Tensor, UInt8


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How training photos are varied.

    Attributes:
        area: Smallest and largest share of the photo's area that a crop keeps.
        aspect: Largest ratio of a crop's sides, either way.
        flip: Mirror half of the photos.
        colour: Brightness, contrast and saturation change by up to this share.
        mixup: Alpha of the Beta distribution that blends pairs of photos; 0 for none.
    """

    area: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    flip: bool = True
    colour: float = 0.0
    mixup: float = 0.0


def augment(
    images: UInt8[Tensor, "batch 3 height width"],
    size: tuple[int, int],
    options: Augmentation,
    generator: torch.Generator,
) -> Float[Tensor, "batch 3 new_height new_width"]:
    """Returns varied photos in 0..1.

    Args:
        images: RGB.
        size: Height and width of the result in pixels.
        options: What is varied, and how much (mixup is not done here: it needs the labels).
        generator: Source of every random number, on the CPU.
    """
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(count, *shape).uniform_(low, high, generator=generator)

    side = uniform(*options.area).sqrt()
    stretch = (uniform(-1.0, 1.0) * math.log(options.aspect) / 2).exp()
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    shift_x, shift_y = uniform(-1.0, 1.0) * (1 - width), uniform(-1.0, 1.0) * (1 - height)
    if options.flip:
        width = width * torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0)
    zero = torch.zeros(count)
    affine = torch.stack([width, zero, shift_x, zero, height, shift_y], dim=1).unflatten(1, (2, 3))
    positions = F.affine_grid(affine, [count, 3, *size], align_corners=False).to(images.device)
    out = F.grid_sample(images.float() / 255, positions, padding_mode="border", align_corners=False)
    if options.colour:
        low, high = 1.0 - options.colour, 1.0 + options.colour
        brightness, contrast, saturation = (
            uniform(low, high, 1, 1, 1).to(images.device) for _ in range(3)
        )
        out = out * brightness
        out = torch.lerp(out.mean(dim=(1, 2, 3), keepdim=True), out, contrast)
        out = torch.lerp(out.mean(dim=1, keepdim=True), out, saturation).clamp(0, 1)
    return out


def mixup(
    images: Float[Tensor, "batch 3 height width"],
    targets: Float[Tensor, "batch classes"],
    alpha: float,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch classes"]]:
    """Blends every photo and its target with those of another one in the batch.

    Source: "mixup: Beyond Empirical Risk Minimization" (Zhang et al., 2018).
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    weight = torch.distributions.Beta(alpha, alpha)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        share = float(weight.sample())
    share = max(share, 1 - share)
    return (
        torch.lerp(images.flip(0), images, share),
        torch.lerp(targets.flip(0), targets, share),
    )
