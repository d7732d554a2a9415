"""`tokenlearner train`: runs a recipe, or resumes it where it stopped."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from tokenlearner import zoo
from tokenlearner.cli.dry_run import say_plan
from tokenlearner.cli.photos import (
    MAX_UNUSABLE,
    ImageColumn,
    LabelColumn,
    MaxUnusable,
    reading_options,
    refuse_options_of_photos,
    say_passed_over,
    say_unusable,
)
from tokenlearner.cli.results import check_folder, make_room_for
from tokenlearner.cli.train_job import UNUSABLE_FILE, find_recipe, prepare, say, takes_clips
from tokenlearner.cli.train_progress import follow
from tokenlearner.efficiency.machine import choose_device, describe_hardware, has_bfloat16
from tokenlearner.errors import ConfigError
from tokenlearner.models.config import Version
from tokenlearner.modules.tubelets import Inflation
from tokenlearner.training.batches import default_workers
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
from tokenlearner.training.loop import CHECKPOINT, Trainer
from tokenlearner.training.recipes import RECIPES
from tokenlearner.training.recipes.own import reference
from tokenlearner.training.run import export


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(RECIPES)}, {FINE_TUNE}; or your own, as path/to/mine.py:mine."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Folder with SPLIT/CLASS/photos or Parquet files, or a data set id on the Hub: "
            "owner/name[@REVISION][:CONFIGURATION]."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the run, for checkpoints and the trained model.")
    ],
    init: Annotated[
        str | None,
        typer.Option(help="Model to start from: shipped model, model folder or hf-hub:owner/name."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Teacher model for distillation, or none (default: as in the recipe; for a "
            "learner newly inserted into a trained model, that model)."
        ),
    ] = None,
    teacher_weight: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the loss from the teacher (default: 0.5)."),
    ] = None,
    teacher_temperature: Annotated[
        float | None,
        typer.Option(help="Divisor of the teacher's and the model's logits (default: 1)."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Network from the paper instead of the recipe's, such as "
            "'L/16 (24+11), 16 tokens at 12'."
        ),
    ] = None,
    inflation: Annotated[
        Inflation,
        typer.Option(
            help="How a clip model takes over the patch embedding of an image model: into the "
            "middle frame, or averaged over all frames."
        ),
    ] = "central",
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    max_unusable: MaxUnusable = MAX_UNUSABLE,
    holdout: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Photos held out to monitor the run (default: as in the recipe; one in twenty "
            "of your own photos).",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of epochs (default: the recipe's). Stages and warm-up keep their shares.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Photos per step (default: the recipe's).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate (default: the recipe's).")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Side length of the input in pixels (default: the recipe's or the model's own).",
        ),
    ] = None,
    num_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of learned tokens; inserts a learner into a recipe or model without one.",
        ),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Index of the first block that sees the learned tokens, from 0 (default for a "
            "new learner: the middle block).",
        ),
    ] = None,
    version: Annotated[
        Version | None, typer.Option(help="Learner version (default for a new learner: 1.1).")
    ] = None,
    fuser: Annotated[
        bool | None,
        typer.Option(help="Add or remove the TokenFuser, which writes results onto the grid."),
    ] = None,
    diversity: Annotated[
        float | None,
        typer.Option(min=0, help="Loss weight of the overlap between maps; 0.1 keeps maps apart."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Random seed (default: the recipe's).")
    ] = None,
    mixed_precision: Annotated[
        bool | None,
        typer.Option(help="Compute in bfloat16 (default: if the hardware supports it)."),
    ] = None,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts to split each step into, to save memory.")
    ] = 1,
    num_workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that read photos from files during training."),
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the model; worthwhile for long runs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report what the run would take.")
    ] = False,
) -> None:
    """Train a model with a recipe and write it to OUT/model.

    A run that was stopped resumes from its last checkpoint when the same command is given again;
    a finished run writes its model again. Several GPUs: torchrun --nproc-per-node 8
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
        # Accumulated parts do not equal one large step exactly: batch norm sees each part alone.
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
            num_workers = default_workers(job.recipe)
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
        make_room_for(out / CHECKPOINT)  # to fail now, if it does, and not after an epoch
        with alone_in(out) if rank() == 0 else nullcontext():
            if job.recipe.canvas is not None:
                say(f"preparing {len(photos):,} {photos.things}")
                photos = _scan(photos, out)
            if rank() == 0:
                say_passed_over(photos, split)
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
    """Says where the model is and, if the data has a test split, how to measure it."""
    split = find_test_split(data)
    if split is None:
        return say(f"wrote {folder}")
    words = ["tokenlearner", "evaluate", str(folder), "--data", data, *columns]
    words += [] if split == "test" else ["--split", split]
    say(f"wrote {folder}; to measure it: `{shlex.join(words)} --save`")


D = TypeVar("D", bound=LabelledImages | LabelledClips)


def _scan(photos: D, out: Path) -> D:
    """Leaves out unusable photos; the first process finds them for all."""
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
        say(f"resuming after step {trainer.step:,} of {trainer.num_steps:,}")
    try:
        follow(trainer)
    except KeyboardInterrupt:
        state = "there is no checkpoint yet. The same command starts again."
        if trainer.saved_step:
            state = (
                f"{out} has a checkpoint of step {trainer.saved_step:,}. The same command resumes "
                "from there."
            )
        typer.echo(f"stopped after step {trainer.step:,}; {state}", err=True)
        raise typer.Exit(130) from None
