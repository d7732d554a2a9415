"""How a training run is told of while it goes on."""

from functools import partial
from statistics import harmonic_mean, mean

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tokenlearner.training.distributed import rank
from tokenlearner.training.loop import Trainer
from tokenlearner.training.run import run


def follow(trainer: Trainer) -> None:
    """Trains to the end under a progress bar, with a line for every epoch: means over all of it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    things = "photos" if trainer.recipe.clips is None else "clips"
    with Progress(*columns, disable=rank() > 0) as progress:
        bar = progress.add_task("", total=trainer.num_steps, completed=trainer.step)
        losses, rates = [], []  # since the last epoch ended
        # Names of files may look like markup, and break where nobody could copy them.
        warn = partial(progress.console.print, markup=False, highlight=False, soft_wrap=True)
        for report in run(trainer, warn=warn):
            losses.append(report["loss"])
            rates.append(report["images_per_second"])
            step = int(report["step"])
            epoch = -(-step // trainer.steps_per_epoch)
            is_end = step % trainer.steps_per_epoch == 0
            last = 0 if is_end else -1
            words = [
                f"epoch {epoch}/{trainer.recipe.epochs}",
                f"loss {mean(losses[last:]):.3f}",
                f"{harmonic_mean(rates[last:]):.0f} {things}/s",
            ]
            progress.update(bar, completed=step, description=", ".join(words))
            if is_end:
                losses, rates = [], []
                if "heldout_accuracy" in report:
                    words.append(f"held-out accuracy {100 * report['heldout_accuracy']:.1f} %")
                progress.console.print(", ".join(words), highlight=False)
