"""Published values are picked, told and drawn as they were printed."""

import pytest

from app.components.efficiency.our_results import our_point, our_results
from app.components.efficiency.published_rows import (
    OF_MODULES,
    bases_of,
    convention_of,
    datasets,
    find,
    points,
    table_row,
    tables_of,
)
from tokenlearner import zoo
from tokenlearner.efficiency.conventions import MACS
from tokenlearner.efficiency.published import tables
from tokenlearner.training.datasets import DATASETS


def test_every_accuracy_is_under_some_data_set() -> None:
    shown = {
        (one.table.name, one.row.name, one.result.metric, one.result.dataset)
        for name in datasets()
        for one in find(dataset=name)
    }
    published = {
        (table.name, row.name, result.metric, result.dataset)
        for table in tables()
        for row in table.rows
        for result in row.results
        if result.metric != "images per second"
    }
    assert shown == published
    assert {name for dataset in datasets() for name in tables_of(dataset)} == {
        table.name for table in tables()
    }


def test_filters() -> None:
    everything = find(dataset="ImageNet-1k")
    only = find(dataset="ImageNet-1k", table="table-1", bases=["S/32"])
    assert {one.table.name for one in only} == {"table-1"}
    assert {one.row.base for one in only} == {"S/32"}
    assert 0 < len(only) < len(everything)
    assert bases_of(only) == ["S/32"]


def test_a_row_of_the_table() -> None:
    (found,) = (
        one for one in find(dataset="ImageNet-1k", table="table-1") if one.row.method == "ViT B/16"
    )
    row = table_row(found)
    assert (row["accuracy %"], row["GFLOPs"], row["ours"]) == (84.73, 55.6, 55.63)
    assert row["error %"] == pytest.approx(0.05, abs=0.01)
    assert row["by"] == "the authors"
    assert "arXiv" in row["source"]
    assert row["counted as"].startswith("operations / 2")
    assert (row["photo px"], row["GFLOPs of"], row["approximate"]) == (384, None, None)
    (alone, *_) = find(dataset="AViD", table="table-11")
    row = table_row(alone)
    assert (row["counted as"], row["GFLOPs of"]) == ("two per multiply-accumulate", "module alone")
    assert (row["frames"], row["inferred"]) == (64, "image_size_px")


def test_points_cost_what_an_answer_takes() -> None:
    found = [one for one in find(dataset="Kinetics-400") if one.row.gflops is not None]
    (first, *_) = points(found, with_modules=False)
    assert first.gflops == (found[0].row.gflops or 0) * found[0].row.views
    assert f"{found[0].row.views} views" in first.label
    assert first.name == found[0].row.method
    assert {point.kind for point in points(found, with_modules=False)} == {
        "with TokenLearner",
        "without",
        "other work",
    }


def test_one_metric_on_one_axis() -> None:
    found = find(dataset="Kinetics-600")
    drawn = points(found, with_modules=False)
    top1 = {one.result.value for one in found if one.result.metric == "top-1"}
    assert {point.value for point in drawn} <= top1


def test_costs_of_modules_do_not_stand_beside_whole_networks() -> None:
    found = find(dataset="AViD")
    whole, alone = points(found, with_modules=False), points(found, with_modules=True)
    labels = {table.name: table.title for table in tables()}
    assert not any(labels[name] in point.label for name in OF_MODULES for point in whole)
    assert all(labels["table-11"] in point.label for point in alone)


def test_ours_are_counted_as_theirs_were() -> None:
    assert convention_of(find(dataset="CIFAR-10")).name == "tf1_profiler_half"
    assert convention_of(find(dataset="ImageNet-1k")).name == "hlo_half"
    assert convention_of([]).name == "macs"


def test_our_own_models_on_their_axes() -> None:
    ours = {result.title: result for result in our_results("cpu")}
    plain, learner = (
        ours["CIFAR-10 Keras, baseline"],
        ours["CIFAR-10 Keras, 8 tokens"],
    )
    point = our_point(learner, convention_of(find(dataset="CIFAR-10")))
    # The Keras example's table prints 0.0153 for 8 tokens; multiply-accumulates are 0.0798.
    assert point.gflops == pytest.approx(0.0153, abs=0.0001)
    assert point.value == zoo.metrics("cifar10-mini-vit-tl8")["metrics"]["top1_percent"]
    assert (point.kind, our_point(plain, MACS).kind) == ("ours, with", "ours, without")
    assert our_point(learner, MACS).gflops == learner.cost.gmacs
    assert point.name == "CIFAR-10 Keras, 8 tokens"
    titles = {dataset.title for dataset in DATASETS.values()}
    assert {result.dataset for result in ours.values()} <= titles
