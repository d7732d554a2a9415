"""`tokenlearner few-shot`: how well frozen features classify, from a few photos per class."""

import math
import shlex
from typing import Annotated

import torch
import typer

from tokenlearner import zoo
from tokenlearner.checkpoints import for_images
from tokenlearner.cli.photos import (
    MAX_UNUSABLE,
    ImageColumn,
    LabelColumn,
    MaxUnusable,
    checked,
    reading_options,
    say_passed_over,
    say_unusable,
    watch,
)
from tokenlearner.cli.results import JsonFile, make_room_for, write_json
from tokenlearner.efficiency.machine import choose_device
from tokenlearner.errors import ConfigError
from tokenlearner.training.data import read_images
from tokenlearner.training.few_shot import Accuracy, FewShot, draw, iter_features, report, score


def few_shot(
    model: Annotated[str, typer.Argument(help="Shipped model, model folder or hf-hub:owner/name.")],
    data: Annotated[
        str, typer.Option(help="Folder of photos or Parquet files, or a data set id on the Hub.")
    ],
    shots: Annotated[int, typer.Option(min=1, help="Training photos per class.")] = 5,
    draws: Annotated[int, typer.Option(min=1, help="Random draws of training photos.")] = 5,
    train_split: Annotated[str, typer.Option(help="Split to draw from.")] = "train",
    test_split: Annotated[str, typer.Option(help="Split to measure on.")] = "test",
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    max_unusable: MaxUnusable = MAX_UNUSABLE,
    json_file: JsonFile = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Photos per batch.")] = 64,
) -> None:
    """Measure a model's frozen features with a linear classifier, from a few photos per class.

    The classes need not be the model's. The classifier is least squares with L2 regularisation of
    strength 2^10, as in big_vision; the accuracy with other strengths is shown beside it.
    """
    if train_split == test_split:
        raise ConfigError(
            f"--train-split and --test-split are both {test_split}, so it would be tested on its "
            "training photos; name two different splits"
        )
    make_room_for(json_file)
    computer = choose_device(device)
    network = for_images(zoo.load(model))
    assert network.info is not None
    test = read_images(
        data,
        test_split,
        image_column=image_column,
        label_column=label_column,
        max_unusable=max_unusable,
    )
    train = read_images(
        data,
        train_split,
        image_column=image_column,
        label_column=label_column,
        max_unusable=max_unusable,
    )
    test = checked(test, test_split)
    say_passed_over(train, train_split)
    drawn = draw(train, test, shots=shots, seeds=range(draws))
    say_unusable(drawn.unusable, train_split)
    train_features, test_features = (
        torch.cat(
            list(
                watch(
                    iter_features(network, photos, device=computer, batch_size=batch_size),
                    len(photos),
                    batch_size,
                    title,
                )
            )
        )
        for photos, title in ((drawn.photos, train_split), (test, test_split))
    )
    result = score(drawn, train_features, test, test_features)
    _print(result, f"{network.info.name} on {test.source_name}")
    if set(network.info.class_names) == set(drawn.photos.class_names):
        typer.echo("The model was trained on these same classes: this does not measure transfer.")
    if json_file is not None:
        words = ["tokenlearner", "few-shot", zoo.reference(network.info)]
        words += ["--data", test.source_name]
        words += ["--shots", str(shots), "--draws", str(draws)]
        words += ["--train-split", train_split, "--test-split", test_split]
        words += reading_options(image_column, label_column, max_unusable)
        content = report(
            result,
            network,
            drawn,
            test,
            splits=(train_split, test_split),
            command=shlex.join(words),
            device=computer,
        )
        write_json(json_file, content)


def _print(result: FewShot, title: str) -> None:
    shots = "1 photo" if result.shots == 1 else f"{result.shots} photos"
    draws = "1 draw" if len(result.seeds) == 1 else f"{len(result.seeds)} draws"
    typer.echo(
        f"{title}: {shots} of each of {result.num_classes:,} classes, {draws}, "
        f"{result.num_images:,} test photos"
    )
    typer.echo(f"{shots} per class  {_percent(result.reported)}")
    typer.echo("by regularisation strength:")
    for accuracy in result.sweep:
        power = f"2^{math.log2(accuracy.strength):g}"
        mark = "  reported, chosen in advance" if accuracy == result.reported else ""
        typer.echo(f"{power:>6}  {_percent(accuracy)}{mark}")


def _percent(accuracy: Accuracy) -> str:
    spread = "" if accuracy.spread_percent is None else f" ± {accuracy.spread_percent:.2f}"
    return f"{accuracy.mean_percent:6.2f}{spread} %"
