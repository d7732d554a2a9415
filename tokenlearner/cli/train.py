"""`tokenlearner train`: carries a recipe out, or goes on where it stopped."""

import os
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tokenlearner import zoo
from tokenlearner.cli.dry_run import say_plan
from tokenlearner.cli.evaluate import check_folder
from tokenlearner.cli.photos import (
    MAX_UNUSABLE,
    reading_options,
    refuse_options_of_photos,
    say_unusable,
)
from tokenlearner.cli.train_job import UNUSABLE_FILE, find_recipe, prepare, say, takes_clips
from tokenlearner.efficiency.machine import choose_device, describe_hardware, has_bfloat16
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import Version
from tokenlearner.modules.tubelets import Inflation
from tokenlearner.training.changes import Changes
from tokenlearner.training.checkpoint import alone_in
from tokenlearner.training.data import (
    LabelledClips,
    LabelledImages,
    find_test_split,
    read_clips,
    read_images,
)
from tokenlearner.training.distributed import joined_processes, num_processes, rank, wait_for_all
from tokenlearner.training.fine_tune import FINE_TUNE
from tokenlearner.training.fit import check_fit
from tokenlearner.training.loop import Trainer
from tokenlearner.training.recipes import RECIPES, Recipe
from tokenlearner.training.recipes.own import reference
from tokenlearner.training.run import export, run


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(RECIPES)}, {FINE_TUNE}; or your own as path/to/mine.py:mine."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Folder with SPLIT/CLASS/photos or parquet files, or a Hub id: "
            "owner/name[@REVISION][:CONFIGURATION]."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    init: Annotated[
        str | None,
        typer.Option(help="Model to start from: shipped, a folder or hf-hub:owner/name."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Model to learn from as well as from the labels; none for none. A learner put "
            "into a trained model learns from that model unless told otherwise."
        ),
    ] = None,
    teacher_weight: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the loss that compares with the teacher; 0.5 unless given."
        ),
    ] = None,
    teacher_temperature: Annotated[
        float | None,
        typer.Option(help="Divides its logits and the model's own; 1 unless given."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Of the paper, in place of the recipe's: 'L/16 (24+11), 16 tokens at 12', ..."
        ),
    ] = None,
    inflation: Annotated[
        Inflation,
        typer.Option(help="How a model of clips takes over the patches of one of images."),
    ] = "central",
    split: Annotated[str, typer.Option(help="Photos to train on.")] = "train",
    image_column: Annotated[str | None, typer.Option(help="Of parquet files.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Of parquet files.")] = None,
    max_unusable: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the photos that may be unusable.")
    ] = MAX_UNUSABLE,
    holdout: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Photos held out to watch the run; by default as the recipe says, and of your own "
            "one in twenty.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of the recipe's; stages and warm-up keep their shares."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Photos in a step, instead of the recipe's.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="At its peak, instead of the recipe's.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Side in pixels, instead of the recipe's or the model's own."),
    ] = None,
    num_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Tokens to learn; puts a learner into a recipe or model without one."
        ),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(min=0, help="First block that sees them; of a new learner the middle one."),
    ] = None,
    version: Annotated[
        Version | None, typer.Option(help="Of the learner; a new one has 1.1 by default.")
    ] = None,
    fuser: Annotated[
        bool | None, typer.Option(help="Write results back onto the grid, or no more.")
    ] = None,
    diversity: Annotated[
        float | None,
        typer.Option(
            min=0, help="Weight of what two maps share in the loss: 0.1 keeps maps apart."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Instead of the recipe's own.")
    ] = None,
    mixed_precision: Annotated[
        bool | None,
        typer.Option(help="Compute in bfloat16; by default where the hardware can."),
    ] = None,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts of a step, where it does not fit in memory at once.")
    ] = 1,
    num_workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that read photos, if they do not fit in memory."),
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the model; pays on long runs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the run would take.")
    ] = False,
) -> None:
    """Train a model by a recipe and write it to OUT/model.

    A run that was stopped goes on from its last checkpoint when the same command is given again;
    one that is finished writes its model anew. Several GPUs: torchrun --nproc-per-node 8
    --no-python tokenlearner train ...
    """
    wanted = find_recipe(recipe)
    check_folder(out)
    with joined_processes(choose_device(device)) as computer:
        source = None if init is None else zoo.load(init)
        if wanted is None and source is None:
            raise ConfigError(f"{FINE_TUNE} needs a model to start from; give --init MODEL")
        say(f"reading {data}")
        if takes_clips(wanted, source):
            refuse_options_of_photos(recipe, image_column=image_column, label_column=label_column)
            photos = read_clips(data, split, max_unusable=max_unusable)
        else:
            photos = read_images(
                data,
                split,
                image_column=image_column,
                label_column=label_column,
                max_unusable=max_unusable,
            )
        also = [] if split == "train" else ["--split", split]  # what repeats the run
        also += reading_options(image_column, label_column, max_unusable)
        # Parts are not quite the whole: batch norm sees each alone.
        also += [] if accumulate == 1 else ["--accumulate", str(accumulate)]
        if mixed_precision is None:
            mixed_precision = has_bfloat16(computer)
        job = prepare(
            wanted,
            photos,
            source=source,
            teacher=teacher,
            seed=seed,
            changes=Changes(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                image_size=image_size,
                num_tokens=num_tokens,
                at=at,
                version=version,
                fuser=fuser,
                diversity=diversity,
                teacher_weight=teacher_weight,
                teacher_temperature=teacher_temperature,
            ),
            network=network,
            inflation=inflation,
            holdout=holdout,
        )
        check_fit(job.recipe, photos, model=job.model, teacher=job.teacher)
        if num_workers is None:
            num_workers = _default_workers(job.recipe)
        if dry_run:
            return say_plan(
                job,
                photos,
                out,
                computer,
                mixed_precision=mixed_precision,
                accumulate=accumulate,
                num_workers=num_workers,
                compile=compile,
            )
        if job.recipe.canvas is not None:
            say(f"preparing {len(photos):,} {photos.things}")
            photos = _scan(photos, out)
        if rank() == 0:
            say_unusable(photos.unusable, split, things=photos.things)
        trainer = Trainer(
            job.recipe,
            photos,
            out,
            device=computer,
            mixed_precision=mixed_precision,
            accumulate=accumulate,
            model=job.model,
            teacher=job.teacher,
            num_workers=num_workers,
            compile=compile,
        )
        out.mkdir(parents=True, exist_ok=True)  # to fail now, if it does, and not after an epoch
        with alone_in(out) if rank() == 0 else nullcontext():
            _carry_out(trainer, out)
        if rank() == 0:
            left_out = (*trainer.heldout_unusable, *trainer.unusable.values())
            say_unusable(left_out, split, things=photos.things)
            folder = export(
                trainer,
                data=photos.source_name,
                name=job.name,
                recipe_name=reference(recipe),
                started_from=job.started_from,
                teacher=None if job.teacher is None else job.teacher.info,
                options=(*job.options, *also),
            )
            _say_done(folder, data, reading_options(image_column, label_column))


def _say_done(folder: Path, data: str, columns: list[str]) -> None:
    """Says where the model is, and how to measure it where there is something to measure it on."""
    split = find_test_split(data)
    if split is None:
        return say(f"wrote {folder}")
    words = ["tokenlearner", "evaluate", str(folder), "--data", data, *columns]
    words += [] if split == "test" else ["--split", split]
    say(f"wrote {folder}; `{shlex.join(words)} --save` measures it")


def _default_workers(recipe: Recipe) -> int:
    """Photos in memory need no processes to read them, unless each is varied by itself."""
    may_use = getattr(os, "sched_getaffinity", None)  # Linux knows what this process may use
    cores = len(may_use(0)) if may_use else os.cpu_count() or 1
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes share them
    one_by_one = recipe.canvas is None or recipe.augmentation.rand_augment is not None
    return min(8, cores) if one_by_one and cores > 1 else 0


D = TypeVar("D", bound=LabelledImages | LabelledClips)


def _scan(photos: D, out: Path) -> D:
    """Leaves out photos that cannot be used; the first process looks for all."""
    found = out / UNUSABLE_FILE
    usable = photos.scan(remember=found) if rank() == 0 else None
    wait_for_all()
    return photos.scan(remember=found) if usable is None else usable


def _carry_out(trainer: Trainer, out: Path) -> None:
    if trainer.step == trainer.num_steps:
        say("the run is finished")
        return
    processes = num_processes()
    shared = f" in {processes} processes" if processes > 1 else ""
    say(f"training on {describe_hardware(trainer.device)}{shared}")
    if trainer.step:
        say(f"going on after step {trainer.step:,} of {trainer.num_steps:,}")
    try:
        _train(trainer)
    except KeyboardInterrupt:
        state = "there is no checkpoint yet. The same command starts again."
        if trainer.saved_step:
            state = (
                f"{out} has a checkpoint of step {trainer.saved_step:,}. The same command goes on "
                "from there."
            )
        typer.echo(f"stopped after step {trainer.step:,}; {state}", err=True)
        raise typer.Exit(130) from None


def _train(trainer: Trainer) -> None:
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
        for report in run(trainer, warn=progress.console.print):
            step = int(report["step"])
            epoch = -(-step // trainer.steps_per_epoch)
            words = [
                f"epoch {epoch}/{trainer.recipe.epochs}",
                f"loss {report['loss']:.3f}",
                f"{report['images_per_second']:.0f} {things}/s",
            ]
            progress.update(bar, completed=step, description=", ".join(words))
            if step % trainer.steps_per_epoch == 0:
                if "heldout_accuracy" in report:
                    words.append(f"held-out accuracy {100 * report['heldout_accuracy']:.1f} %")
                progress.console.print(", ".join(words), highlight=False)
