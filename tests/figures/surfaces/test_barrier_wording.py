"""What a terminal and a caption say of barriers and of alignment."""

from dataclasses import replace
from typing import Any

import numpy as np

from gradscape.figures.surfaces.barrier_wording import describe_aligned, describe_alignment, describe_barriers
from gradscape.figures.surfaces.lines import plot_line
from gradscape.figures.surfaces.wording import describe_lines, result_names
from tests.figures.surfaces.test_lines import between

BUMP = np.array([0.5, 2.0, 3.0, 2.0, 0.7])
ALIGNMENT: dict[str, Any] = {
    "with": "one",
    "objective_before": 12.04,
    "objectives": [20.0, 24.06, 22.0],
    "cosine_before": 0.15644,
    "cosine": 0.2833,
    "groups": {"conv1": 16, "conv2": 32},
    "fixed": {"head": "they are the output"},
    "deviation": 4.2e-16,
    "seed": 0,
}


def test_the_table_has_all_definitions_for_loss_and_error_with_their_intervals() -> None:
    line = between(BUMP, blocks=4)
    said = describe_barriers(line).splitlines()
    assert said[0].split() == ["barrier,", "95", "%", "interval", "loss", "error", "(%)"]
    loss = line.barrier().loss
    assert (
        f"highest above the straight line  2.55 ({loss['chord'].low:.3g} to {loss['chord'].high:.3g}) at 0.5" in said[1]
    )
    assert said[1].endswith("0 at 0"), "the error is the same everywhere"
    assert said[2].startswith("highest above the mean of both   2.55 (")
    assert said[3].startswith("in the middle above their mean   2.55 (")
    assert len({len(row.partition("  2.55")[0]) for row in said[1:]}) == 1, "columns stand below each other"


def test_of_all_images_there_is_no_interval_and_of_few_that_carry_it_neither() -> None:
    line = between(BUMP, blocks=4)
    complete = replace(line, blocks=replace(line.blocks, population=128))
    assert "highest above the straight line  2.55 at 0.5" in describe_barriers(complete)
    assert describe_barriers(complete).startswith("barrier   ")
    heavy = replace(line, blocks=replace(line.blocks, m2=line.blocks.m2 * 1e5))
    assert "2.55 (no interval: few images carry it) at 0.5" in describe_barriers(heavy)
    lost = BUMP.copy()
    lost[1] = np.inf
    assert "infinite at 0.25" in describe_barriers(between(lost))
    assert "2.4 (no interval: too few images) at 0.5" in describe_barriers(between(BUMP))


def test_lines_without_a_barrier_have_no_table() -> None:
    line = between(BUMP)
    assert describe_barriers(replace(line, meta={"model": "a", "seed": 0})) == ""
    assert describe_barriers(replace(line, alphas=line.alphas / 2)) == ""


def test_how_a_network_was_aligned_is_told_with_best_and_spread() -> None:
    assert describe_alignment({"alignment": ALIGNMENT}).splitlines() == [
        "aligned with one by weight matching: cosine of the weights 0.1564 -> 0.2833",
        "objective 12.0 -> 24.1, the best of 3 restarts (20.0 to 24.1)",
        "48 channels in 2 groups changed places; outputs differ by 4e-16 of the largest",
    ]
    stays = {"qkv": "they are reshaped", "head": "they are the output"}
    said = describe_alignment({"alignment": {**ALIGNMENT, "fixed": stays, "objectives": [24.06]}})
    assert said.endswith("channels that stay: qkv (they are reshaped)")
    assert "24.1, the best of 1 restart\n" in said
    for nothing in ({}, {"alignment": "of my own"}):
        assert describe_alignment(nothing) == describe_aligned(nothing) == ""


def test_the_caption_says_that_the_second_network_was_aligned() -> None:
    line = between(BUMP, blocks=4)
    caption = describe_lines([replace(line, meta={**line.meta, "alignment": ALIGNMENT})])
    assert "channels of b in the order of one, best of 3 restarts, barrier 2.55" in caption
    assert "channels of b" not in describe_lines([line])


def test_lines_between_the_same_networks_are_told_apart_by_alignment_in_a_short_legend() -> None:
    line = between(BUMP, blocks=4)
    lines = [line, replace(line, meta={**line.meta, "alignment": ALIGNMENT})]
    assert result_names(lines) == ["a → b", "a → b, aligned"]
    legend = plot_line(lines).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a → b", "aligned"], "the ends are named above the axes"
    other = replace(line, meta={**line.meta, "other": "c"})
    legend = plot_line([line, other]).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a → b", "a → c"]
