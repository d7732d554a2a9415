"""All 75 published GFLOPs, and what the tables hold."""

import pytest

from tokenlearner.efficiency import published
from tokenlearner.efficiency.published_models import CLIP_MODELS, IMAGE_MODELS
from tokenlearner.models import VisionTransformer
from tokenlearner.models.presets import PUBLISHED, vit
from tokenlearner.models.video_presets import PUBLISHED as KINETICS

# What each value's model counts in its convention, to six digits, found before there was a counter.
COMPUTED = {
    "im_t1_vit_s32": 3.44151,
    "im_t1_vit_b32": 12.9983,
    "im_t1_vit_b16": 55.6299,
    "im_t1_tl_s32": 1.896,
    "im_t1_tl_b16": 28.7413,
    "im_t1_tl_s32_22": 3.33039,
    "im_t1_tl_b32_20": 11.466,
    "im_t1_tl_b16_21": 47.0757,
    "im_t1_tl16_b16_21": 47.7404,
    "im_t2_l16": 363.124,
    "im_t2_l16_16tl12": 184.564,
    "im_t2_l16_16tl12_alt": 178.081,
    "im_t2_l16_35_16tl12": 186.789,
    "im_t2_l16_30_8tl18": 273.84,
    "im_t2_l16_35_16tl12_fuser": 191.448,
    "im_t2_l14_35_16tl18": 361.553,
    "im_t4_b16_8_n": 28.3621,
    "im_t4_b16_8_y": 28.5972,
    "im_t4_b16_16_n": 28.7413,
    "im_t4_b16_16_y": 29.2027,
    "im_t4_l16_16at12_n": 184.564,
    "im_t4_l16_16at12_y": 186.914,
    "im_t4_l16_8at18_n": 273.234,
    "im_t4_l16_8at18_y": 273.793,
    "im_t4_l10_n": 848.472,
    "im_t4_l10_y": 857.195,
    "im_t5_pool_9_18": 144.319,
    "im_t5_pool_12_18": 187.161,
    "im_t5_pool4x4_12": 184.392,
    "im_t5_16tl12": 184.564,
    "k_vivit_l16": 1445.78,
    "k_vivit_l16_320": 3992.12,
    "k_vivit_h14": 3980.91,
    "k_tl_16at12_l16": 765.928,
    "k_tl_8at18_l16": 1105.13,
    "k_tl_16at18_l14": 1620.85,
    "k_tl_16at18_l10": 4066.61,
    "k_tl_16at18_l10_fuser": 4092.02,
    "k_vivit_h16_v2": 7445.83,
    "fs_vit-s32": 1.12775,
    "fs_vit-b32": 4.3364,
    "fs_vit-b16": 17.5358,
    "fs_tl-s32": 0.680121,
    "fs_tl-s3222": 1.19721,
    "fs_tl-b3220": 4.2047,
    "fs_tl-b16": 9.53381,
    "fs_tl-b1621": 15.2699,
    "loc_0_8": 0.81125,
    "loc_0_16": 1.50846,
    "loc_0.25_8": 4.99523,
    "loc_0.25_16": 5.52113,
    "loc_0.5_8": 9.1792,
    "loc_0.5_16": 9.53381,
    "loc_0.75_8": 13.3632,
    "loc_0.75_16": 13.5465,
    "loc_base": 17.5358,
    "mini_base4": 0.0183945,
    "mini_tl8": 0.0153381,
    "mini_tl4": 0.0146532,
    "mini_base8": 0.0358603,
    "mini_v11_g4_t4": 0.0148544,
    "mini_v11_g8_t8": 0.0148988,
    "mini_v11_g8_t8_alt": 0.0145923,
    "mini_v11_g4_t8": 0.0151609,
    "mini_v11_g4_t8_alt": 0.0148544,
    "ch_conv2d_delta": 13.7594,
    "ch_conv2d_conv1d": 18.3459,
    "ch_joint": 21.2253,
    "ch_conv2d_joint": 34.9847,
    "ch_conv2d_time": 16.4878,
    "ch_space_time": 5.45679,
    "ch_conv2d_space_time": 19.2162,
    "ch_learner": 1.76305,
    "ch_space_learner": 4.49144,
    "ch_conv2d_learner": 15.5225,
}

COUNTS = {count.name: count for count in published.counts()}


def test_all_values_are_counted() -> None:
    assert set(COUNTS) == set(COMPUTED)
    assert len(published.counts()) == 75


@pytest.mark.parametrize("name", COMPUTED)
def test_counts_to_six_digits(name: str) -> None:
    assert COUNTS[name].computed_gflops == pytest.approx(COMPUTED[name], rel=5e-6)


@pytest.mark.parametrize("name", COMPUTED)
def test_reproduces_what_is_printed_or_says_why_not(name: str) -> None:
    count = COUNTS[name]
    decimals = len(count.printed.partition(".")[2])
    assert count.reproduces == (f"{count.computed_gflops:.{decimals}f}" == count.printed)
    assert count.reproduces or count.note


def test_how_many_reproduce() -> None:
    assert sum(count.reproduces for count in published.counts()) == 50
    stated = published.stated_counts()
    assert (len(stated), sum(count.reproduces for count in stated)) == (71, 46)
    assert {count.name for count in published.counts() if abs(count.error_percent) > 0.5} == {
        "im_t1_vit_s32",
        "im_t1_vit_b32",
        "im_t1_tl_s32_22",
        "im_t2_l16_16tl12",
        "k_vivit_h16_v2",
        "ch_joint",
        "ch_conv2d_joint",
        "ch_space_time",
        "ch_learner",
        "ch_space_learner",
        "ch_conv2d_learner",
        "fs_tl-s32",
        "fs_tl-s3222",
        "loc_0_8",
        "loc_0_16",
        "mini_v11_g8_t8",
        "mini_v11_g4_t8",
    }


def test_every_preset_is_counted() -> None:
    counted = set(IMAGE_MODELS.values())
    missing = [name for name, config in PUBLISHED.items() if config not in counted]
    assert missing == ["L/8 (24+11), 16 tokens at 18"]
    assert set(KINETICS.values()) <= set(CLIP_MODELS.values())


def test_the_tables() -> None:
    assert {table.name: len(table.rows) for table in published.tables()} == {
        "table-1": 9,
        "table-2": 8,
        "table-3": 5,
        "table-4": 10,
        "table-5": 5,
        "table-6": 9,
        "table-7": 13,
        "table-8": 11,
        "table-9": 15,
        "avid-slides": 9,
        "table-10": 8,
        "table-11": 4,
        "table-12": 8,
        "alternatives": 4,
        "few-shot": 8,
        "location": 9,
        "fuser-alternatives": 6,
        "mini-vit": 5,
        "mini-vit-grouped": 3,
        "mini-vit-hub": 1,
    }
    names = [row.name for table in published.tables() for row in table.rows]
    assert len(set(names)) == 150
    assert sum(len(row.results) for table in published.tables() for row in table.rows) == 201


def test_a_row_holds_what_is_published() -> None:
    rows = {row.name: row for table in published.tables() for row in table.rows}
    row = rows["k_tl_8at18_l16"]
    assert (row.method, row.group, row.base) == ("TokenLearner 8at18 + L/16", "paper", "L/16")
    assert (row.blocks, row.num_tokens, row.at, row.fuser) == ("24+6", 8, 18, False)
    assert (row.gflops, row.views, row.image_size_px, row.num_frames) == (1105, 12, 224, 32)
    assert row.inferred == ("blocks", "views", "image_size_px")
    assert [(result.dataset, result.metric, result.value) for result in row.results] == [
        ("Kinetics-400", "top-1", 84.5),
        ("Kinetics-400", "top-5", 96.1),
    ]
    assert row.results[0].source == "Ryoo et al., NeurIPS 2021, slides of poster 26578"
    assert row.results[1].source == "Ryoo et al., arXiv:2106.11297v2"
    assert row.computed_gflops == pytest.approx(1105.13, rel=5e-6)


@pytest.mark.parametrize(
    ("name", "value", "gflops", "approximate"),
    [
        ("im_t1_tl16_b16_21", 85.45, 47.7, False),
        ("im_t2_l14_35_16tl18", 88.37, 361.6, False),
        ("im_t5_pool_9_18", 85.63, 144.3, False),
        ("k6_tl_16at18_l10_fuser", 86.3, 4100, False),
        ("ch_15", 66.3, None, False),
        ("av_t10_8", 53.8, 487, False),
        ("mod11_3", 58.8, 3.4, False),
        ("fs_tl-b16", 63.8, 9.55, True),
        ("mini_tl8", 56.55, 0.0153, False),
    ],
)
def test_values_by_hand(name: str, value: float, gflops: float | None, approximate: bool) -> None:
    rows = {row.name: row for table in published.tables() for row in table.rows}
    row = rows[name]
    assert (row.results[0].value, row.gflops, row.approximate) == (value, gflops, approximate)


def test_rows_and_their_counts_print_the_same() -> None:
    for table in published.tables():
        for row in table.rows:
            if row.count is not None:
                assert row.gflops == row.count.published_gflops


def test_rows_are_chosen_by_data_set_and_base() -> None:
    table = {table.name: table for table in published.tables()}["table-4"]
    assert table.datasets == ("ImageNet-1k", "ImageNet ReaL")
    assert table.bases == ("B/16", "L/16", "L/10")
    assert len(table.select(base="L/16")) == 4
    assert table.select(dataset="AViD") == ()
    assert table.select() == table.rows


@pytest.mark.parametrize(
    ("name", "variant", "image_size", "num_classes", "millions"),
    [
        ("im_t3_h14", "H/14", 224, 18291, 654.2),
        ("im_t3_l10", "L/10", 224, 18291, 460.6),
        ("im_t3_l10", "L/10", 512, 1000, 445.0),
        ("im_t3_l8", "L/8", 224, 18291, 460.8),
    ],
)
def test_published_parameters_include_the_jft_head(
    name: str, variant: str, image_size: int, num_classes: int, millions: float
) -> None:
    row = {row.name: row for table in published.tables() for row in table.rows}[name]
    learner = {} if row.num_tokens is None else {"num_tokens": row.num_tokens, "at": row.at}
    config = vit(
        variant,
        image_size=image_size,
        num_classes=num_classes,
        version="1.0",
        extra_layers=11 if learner else 0,
        **learner,
    )
    model = VisionTransformer.build(config.to_dict(), device="meta")
    found = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert round(found, 1) == millions
    if num_classes > 1000:
        assert row.parameters_millions == pytest.approx(found, rel=2e-3)
