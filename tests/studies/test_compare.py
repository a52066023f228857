import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from gradscape.data import load_split
from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.metrics.measure import METRICS, Measure
from gradscape.studies.compare import compare_surfaces, load_networks
from gradscape.studies.comparison import (
    DIFFERENCE_HEADINGS,
    HEADINGS,
    save_comparison,
    tabulate_differences,
    tabulate_means,
)
from gradscape.studies.differences import NOT_DISTINGUISHABLE, Draws, half_width, pair_difference
from gradscape.studies.planes import advice_before
from tests.landscape.noisy_surfaces import NOISES, Population, drawn_surface

NOTHING_LEFT = np.zeros(0)


def draws(values: np.ndarray, resampled: np.ndarray = NOTHING_LEFT) -> Draws:
    measures = [Measure("roughness", value, value, value, "") for value in values.tolist()]
    return Draws(measures, np.asarray(values, dtype=float), resampled)


def test_the_interval_of_a_difference_is_welchs_where_all_images_were_seen() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(3, 1, 4), generator.normal(2, 5, 7)
    found = pair_difference("roughness", ("a", "b"), draws(first), draws(second), confidence=0.9, seed=0)
    variances = first.var(ddof=1) / 4, second.var(ddof=1) / 7
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2 / 6)
    half = stats.t.ppf(0.95, freedom) * np.sqrt(sum(variances))
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half)


def test_what_both_networks_owe_to_the_same_images_cancels() -> None:
    values, shared = np.array([1.0, 2.0, 3.0, 4.0]), 100 * np.random.default_rng(0).standard_normal(300)
    alone = pair_difference("roughness", ("a", "b"), draws(values), draws(values + 9), confidence=0.95, seed=0)
    paired = pair_difference(
        "roughness", ("a", "b"), draws(values, shared), draws(values + 9, shared), confidence=0.95, seed=0
    )
    unpaired = pair_difference(
        "roughness", ("a", "b"), draws(values, shared), draws(values + 9, -shared), confidence=0.95, seed=0
    )
    assert (paired.low, paired.high) == pytest.approx((alone.low, alone.high))
    assert alone.verdict == "b is higher"
    assert unpaired.verdict == NOT_DISTINGUISHABLE


def test_few_draws_are_permuted_exactly() -> None:
    found = pair_difference("r", ("a", "b"), draws(np.arange(4.0)), draws(np.arange(4.0) + 10), confidence=0.95, seed=0)
    assert found.permutation_p == pytest.approx(2 / 70)


@pytest.mark.parametrize("tails", ["student", "lognormal"])
@pytest.mark.parametrize("count", [3, 8])
def test_two_direction_sets_of_one_network_are_not_distinguishable_in_90_of_100_runs(tails: str, count: int) -> None:
    generator = np.random.default_rng(count)
    level = 1 - 0.05 / len(METRICS)
    quiet = 0
    for _ in range(100):
        drawn = {
            "student": lambda: 5 + generator.standard_t(3, count),
            "lognormal": lambda: generator.lognormal(0, 1, count),
        }[tails]
        pairs = [(draws(drawn()), draws(drawn())) for _ in METRICS]
        quiet += all(abs(a.values.mean() - b.values.mean()) <= half_width(a, b, level) for a, b in pairs)
    assert quiet >= 90


def test_the_precision_of_every_network_is_said_with_its_error(tmp_path: Path) -> None:
    def computed(name: str, **meta: object) -> Surface:
        (surface,) = network(name, "bowl", 1)
        return replace(surface, meta={**surface.meta, **meta})

    rounding = {"bias": 0.003, "spread": 0.0, "same_mask": True, "points": 25, "images": 32}
    coarse = {"plan": {"precision": "bf16"}, "plan_notes": {"rounding": rounding}}
    exact = {"plan": {"precision": "fp32"}}
    chosen: dict = {"metrics": ["roughness"], "resamples": 50}
    found = compare_surfaces({"a": [computed("a", **coarse)], "b": [computed("b", **exact)]}, **chosen)
    assert found.remarks[-1].startswith("computed in bf16 (off by at most ")
    assert found.remarks[-1].endswith(" (a); fp32 (b)")
    alike = compare_surfaces({"a": [computed("a", **exact)], "b": [computed("b", **exact)]}, **chosen)
    assert alike.remarks[-1] == "computed in fp32"


def test_draws_that_all_agree_leave_no_width() -> None:
    (surface,) = network("a", "bowl", 1)
    same = compare_surfaces({"a": [surface, marked(surface, "a", 1)]}, resamples=60)
    assert same.means["a"]["convex_share"].low == same.means["a"]["convex_share"].high == 1
    found = pair_difference("r", ("a", "b"), draws(np.full(3, 0.1)), draws(np.full(4, 0.3)), confidence=0.95, seed=0)
    assert found.verdict == "unknown: draws without any spread"
    assert np.isnan([found.low, found.high]).all()
    assert found.difference == pytest.approx(-0.2)


def test_draws_that_are_undefined_or_open_give_no_verdict() -> None:
    wide, narrow = draws(np.array([np.nan, 1.46, 1.47])), draws(np.array([1.0, 1.01, 1.02]))
    found = pair_difference("basin_width", ("a", "b"), wide, narrow, confidence=0.95, seed=0)
    assert found.verdict == "unknown: undefined in some draws"
    open_ = Draws([replace(one, vague=True) for one in narrow.measures], narrow.values + 9, NOTHING_LEFT)
    found = pair_difference("anisotropy", ("a", "b"), open_, narrow, confidence=0.95, seed=0)
    assert found.verdict == "unknown: the images leave it open, as the notes say"


def test_a_real_difference_is_found() -> None:
    generator = np.random.default_rng(0)
    found = pair_difference(
        "r", ("a", "b"), draws(generator.normal(5, 1, 6)), draws(generator.normal(1, 1, 6)), confidence=0.99, seed=0
    )
    assert found.verdict == "a is higher"
    assert 0 < found.low < 4 < found.high


def marked(surface: Surface, weights: str, seed: int, **meta: object) -> Surface:
    """The surface as if a network had been evaluated on real images."""
    about = {
        "model": weights,
        "weights": weights,
        "directions": [f"{weights}{seed}", f"{weights}{seed}'"],
        "blocks": [f"block{number}" for number in range(len(surface.blocks.count))],
        "data": "digits",
        "seed": seed,
    }
    return replace(surface, meta=about | meta)


def network(name: str, truth: str, count: int, **meta: object) -> list[Surface]:
    return [
        marked(drawn_surface(truth, NOISES["lognormal"], blocks=12, seed=7), name, seed, **meta)
        if count == 1
        else marked(drawn_surface(truth, NOISES["student"], blocks=12, seed=seed), name, seed, **meta)
        for seed in range(count)
    ]


def test_every_pair_and_metric_is_compared_and_intervals_hold_together() -> None:
    networks = {"a": network("a", "bowl", 2), "b": network("b", "egg box", 3), "c": network("c", "bowl", 2)}
    two = compare_surfaces(networks, metrics=["roughness", "curvature"], resamples=60)
    assert [(one.metric, one.first, one.second) for one in two.differences] == [
        (metric, *pair) for metric in ("roughness", "curvature") for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert two.remarks == [
        "draws of directions: a 2, b 3, c 2",
        "6 comparisons: their intervals hold together with 95 % (Bonferroni)",
    ]
    one = compare_surfaces(networks, metrics=["roughness"], resamples=60)
    assert one.differences[0].high - one.differences[0].low < two.differences[0].high - two.differences[0].low
    assert one.differences[0].difference == two.differences[0].difference


def test_a_single_draw_says_that_other_directions_are_unknown() -> None:
    comparison = compare_surfaces(
        {"a": network("a", "bowl", 1), "b": network("b", "egg box", 1)}, metrics=["roughness"], resamples=60
    )
    (found,) = comparison.differences
    assert found.verdict == "unknown: one draw of directions says nothing about others"
    assert np.isnan(found.low)
    assert comparison.remarks[1] == (
        "one draw of directions for a, b: intervals of its means are over images and not over directions; evaluate "
        "more by gradscape landscape --repeats 5"
    )
    assert tabulate_differences(comparison)[0][-1] == "unknown"
    assert comparison.remarks[2] == found.verdict
    assert not any("hold" in line for line in comparison.remarks), "there is no interval of a difference"
    assert np.isfinite(comparison.means["a"]["roughness"].low)


def test_too_few_images_for_an_interval_are_too_few_for_a_verdict() -> None:
    def few(name: str, truth: str) -> list[Surface]:
        surfaces = [drawn_surface(truth, NOISES["lognormal"], blocks=4, seed=seed) for seed in range(3)]
        return [marked(surface, name, seed) for seed, surface in enumerate(surfaces)]

    found = compare_surfaces({"a": few("a", "bowl"), "b": few("b", "egg box")}, metrics=["curvature"], resamples=60)
    (difference,) = found.differences
    assert difference.verdict == "unknown: no interval over images, as the notes say"
    assert np.isnan([difference.low, difference.high, found.means["a"]["curvature"].low]).all()
    assert np.isfinite(difference.difference)


def test_a_metric_without_a_value_in_some_draws_says_so() -> None:
    surfaces = network("a", "bowl", 3)
    lost = surfaces[1].origin
    surfaces[1] = replace(surfaces[1], origin=replace(lost, mean=np.full_like(lost.mean, np.nan)))
    comparison = compare_surfaces({"a": surfaces}, metrics=["sharpness"], resamples=60)
    assert comparison.means["a"]["sharpness"].note == (
        "1 of 3 draws: the origin was not evaluated, or its loss is not finite"
    )
    assert np.isnan(comparison.draws["a"]["sharpness"][1])
    assert np.isfinite(comparison.means["a"]["sharpness"].value)
    assert np.isnan(comparison.means["a"]["sharpness"].low)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": ["other"] * 12}, r"a and b have different images: use one --data, --limit and --seed"),
        ({"data": "cifar10"}, r"a and b have different data: use one --data for all"),
        ({"normalize": "layer"}, r"a and b have different normalizations of directions: use one --normalize"),
        (
            {"batch_norm": {"statistics": "recalibrated", "digest": "0123"}},
            r"a and b have different calibrations of batch norm: use one --batch-norm and --calibration for all",
        ),
        ({"functions": {"loss": "x"}}, r"a and b have different loss or metric functions"),
    ],
)
def test_networks_seen_through_other_images_or_rules_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_surfaces({"a": network("a", "bowl", 1), "b": network("b", "bowl", 1, **change)})


def test_networks_that_have_seen_more_images_are_taken_over_those_that_all_have() -> None:
    long = [
        marked(drawn_surface("bowl", NOISES["student"], blocks=20, seed=seed), "a", seed, blocks=_digests(20))
        for seed in range(2)
    ]
    kept = np.ones((12, *long[0].blocks.count.shape[1:]), bool)
    cut = [replace(one, blocks=one.blocks.only(kept), origin=one.origin.only(kept[:, 0, 0])) for one in long]
    short = network("b", "egg box", 2)
    chosen: dict = {"metrics": ["roughness", "curvature"], "resamples": 60}
    found, expected = (compare_surfaces({"a": ours, "b": short}, **chosen) for ours in (long, cut))
    assert found.differences == expected.differences
    assert found.draws == expected.draws
    assert "all are taken over the images that all have seen, the first 384" in found.remarks


def _digests(blocks: int) -> list[str]:
    return [f"block{number}" for number in range(blocks)]


def test_estimates_of_different_numbers_of_images_are_compared_over_what_all_have() -> None:
    """Each level over the images that it has seen on all surfaces, and of plain means beside them these alone."""
    populations = {name: Population.draw(name, NOISES["jitter"], images=1024, seed=2) for name in ("bowl", "egg box")}
    images = {"bowl": (1024, 512, 128), "egg box": (512, 256, 256)}
    networks = {
        name: [marked_as_estimated(populations[name].estimated(numbers, block=16, seed=0), name)]
        for name, numbers in images.items()
    }
    chosen: dict = {"metrics": ["roughness", "curvature"], "resamples": 60}
    found = compare_surfaces(networks, **chosen)
    for name, population in populations.items():
        alike = marked_as_estimated(population.estimated((512, 256, 128), block=16, seed=0), name)
        expected = compare_surfaces({name: [alike]}, **chosen).means[name]
        for metric in chosen["metrics"]:
            assert found.means[name][metric].low == pytest.approx(expected[metric].low, rel=1e-6)
    line = "all are taken over the images that all have seen, the first 128 at the finest points and more at the coarse"
    assert any(remark.startswith(line) for remark in found.remarks)
    (plain,) = networks["bowl"]
    assert plain.sample is not None
    raw = plain.sample.blocks.only(plain.sample.blocks.count[:8] > 0)
    means = raw.points(slice(1, None)).reshape(plain.loss.shape)
    networks["bowl"] = [replace(plain, blocks=means, origin=raw.points(0), sample=None)]
    remarks = compare_surfaces(networks, **chosen).remarks
    assert any("beside plain means, estimates by regression are plain means too" in remark for remark in remarks)


def marked_as_estimated(surface: Surface, name: str) -> Surface:
    digests = surface.meta["blocks"]
    return marked(surface, name, 0, blocks=digests)


def test_surfaces_that_are_not_complete_are_refused() -> None:
    whole, begun = network("a", "bowl", 1), network("b", "bowl", 1)
    for array in (begun[0].blocks.count, begun[0].blocks.mean):
        array[:, 2, 3] = 0
    with pytest.raises(ValueError, match="b is not evaluated at all points: let its evaluation end"):
        compare_surfaces({"a": whole, "b": begun})


def test_other_spans_are_refused() -> None:
    (wider,) = network("b", "bowl", 1)
    wider = replace(wider, alphas=2 * wider.alphas)
    with pytest.raises(ValueError, match=r"a and b have different spans or steps: use one --span R and --steps N"):
        compare_surfaces({"a": network("a", "bowl", 1), "b": [wider]})


def test_unknown_metrics_are_refused_with_those_near_them() -> None:
    with pytest.raises(ValueError, match=r"unknown `metric` 'roughnes'; did you mean roughness"):
        compare_surfaces({"a": network("a", "bowl", 1)}, metrics=["roughnes"])


def test_runs_are_grouped_by_network_and_named_by_model_or_folder(tmp_path: Path) -> None:
    for name in ("short", "plain"):
        for surface in network(name, "bowl", 2, model="resnet20"):
            surface.save(tmp_path / "run" / name / f"seed{surface.meta['seed']}" / "surface.h5")
    (alone,) = network("other", "bowl", 1)
    alone.save(tmp_path / "one.h5")
    assert {name: len(found) for name, found in load_networks([tmp_path / "run"]).items()} == {"plain": 2, "short": 2}
    named = load_networks([tmp_path / "run" / "plain", tmp_path / "one.h5", tmp_path / "one.h5"])
    assert {name: len(found) for name, found in named.items()} == {"resnet20": 2, "other": 1}


def test_networks_of_one_model_are_named_by_what_their_paths_do_not_share(tmp_path: Path) -> None:
    for name in ("sgd/ep1", "sgd/ep2", "sam/ep2"):
        (surface,) = network(name, "bowl", 1, model="resnet20")
        surface.save(tmp_path / name / "seed0" / "surface.h5")
    assert sorted(load_networks([tmp_path])) == ["sam/ep2", "sgd/ep1", "sgd/ep2"]
    files = [tmp_path / f"{name}.h5" for name in ("sgd", "adam")]
    for file in files:
        network(file.stem, "bowl", 1, model="resnet20")[0].save(file)
    assert list(load_networks(files)) == ["sgd", "adam"]


def test_folders_without_surfaces_copies_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no surface\.h5: gradscape landscape makes them"):
        load_networks([tmp_path])
    (surface,) = network("a", "bowl", 1)
    for name in ("first", "second"):
        surface.save(tmp_path / name / "surface.h5")
    with pytest.raises(ValueError, match=r"first/surface\.h5 and .*second/surface\.h5 hold one network along the same"):
        load_networks([tmp_path])
    replace(surface, meta={}).save(tmp_path / "foreign.h5")
    with pytest.raises(ValueError, match=r"foreign\.h5 does not say which network, directions and images it is of"):
        load_networks([tmp_path / "foreign.h5"])


def test_tables_and_files_have_every_number(tmp_path: Path) -> None:
    networks = {"a": network("a", "bowl", 2), "b": network("b", "egg box", 2)}
    comparison = compare_surfaces(networks, resamples=60)
    means, differences = tabulate_means(comparison), tabulate_differences(comparison)
    assert len(means) == 2 * len(METRICS)
    assert len(differences) == len(METRICS)
    assert {len(row) for row in means} == {len(HEADINGS)}
    assert {len(row) for row in differences} == {len(DIFFERENCE_HEADINGS)}
    written = save_comparison(comparison, tmp_path)
    assert [path.name for path in written] == [
        "metrics.csv", "draws.csv", "differences.csv", "metrics.pdf", "metrics.png", "metrics.txt"
    ]  # fmt: skip
    with (tmp_path / "draws.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * len(METRICS)
    value = next(float(row["value"]) for row in rows if (row["network"], row["metric"]) == ("b", "roughness"))
    assert value == comparison.draws["b"]["roughness"][0]
    with (tmp_path / "differences.csv").open() as file:
        found = {row["metric"]: row for row in csv.DictReader(file)}
    assert float(found["curvature"]["low"]) == next(
        one.low for one in comparison.differences if one.metric == "curvature"
    )


def test_what_all_would_note_is_said_once() -> None:
    surfaces = [drawn_surface("bowl", NOISES["lognormal"], blocks=4, seed=seed) for seed in range(2)]
    comparison = compare_surfaces({"a": [marked(one, "a", seed) for seed, one in enumerate(surfaces)]}, resamples=60)
    reason = "2 of 2 draws: no interval: 8 blocks of images are needed, these are 4"
    assert comparison.shared_notes == [reason]
    assert not any(reason in cell for row in tabulate_means(comparison) for cell in row)


@pytest.mark.parametrize(
    ("images", "repeats", "batch_size", "advised"),
    [(64, 3, None, "--limit 256"), (256, 3, None, ""), (64, 1, None, ""), (30, 2, 10, "--limit 80")],
)
def test_too_few_images_are_told_before_a_run(images: int, repeats: int, batch_size: int | None, advised: str) -> None:
    advice = advice_before(images, repeats=repeats, batch_size=batch_size)
    assert advised in advice
    assert bool(advice) == bool(advised)


def test_no_more_images_are_advised_than_there_are() -> None:
    advice = advice_before(100, repeats=3, population=100)
    assert "--limit" not in advice
    assert advice.endswith("there are only 100, so give --batch-size 12")
    assert not advice_before(100, repeats=3, population=100, batch_size=12), "what is advised has to help"
    assert advice_before(64, repeats=3, population=300).endswith("give --limit 256 or more")
    assert advice_before(5, repeats=3, population=5).endswith("there are only 5")


@pytest.mark.slow
def test_two_direction_sets_of_a_trained_network_are_not_distinguishable() -> None:
    images, labels = next(iter(load_split("digits", "train", image_size=8, batch_size=512)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.ReLU(), nn.Linear(24, 10))
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
    axis = np.linspace(-1.0, 1.0, 7)
    batches = [(images[:320], labels[:320])]
    surfaces = [
        evaluate_surface(net, batches, random_directions(net, seed=seed), axis, axis, population=1437)
        for seed in range(6)
    ]
    sets = {"first": surfaces[:3], "second": surfaces[3:]}
    comparison = compare_surfaces(sets, resamples=60)
    verdicts = {one.metric: one.verdict for one in comparison.differences}
    assert set(verdicts.values()) == {NOT_DISTINGUISHABLE}, comparison.means
    widths = {name: comparison.means["first"][name].value for name in ("sharpness", "roughness")}
    assert all(np.isfinite(value) and value > 0 for value in widths.values())
    untrained = nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.ReLU(), nn.Linear(24, 10))
    others = [
        evaluate_surface(untrained, batches, random_directions(untrained, seed=seed), axis, axis, population=1437)
        for seed in range(3)
    ]
    (found,) = compare_surfaces({"trained": surfaces[:3], "untrained": others}, metrics=["sharpness"]).differences
    assert found.verdict == "trained is higher"


def test_networks_that_only_guess_are_named() -> None:
    networks = {"a": network("a", "bowl", 1, at_chance=["a"]), "b": network("b", "egg box", 1)}
    comparison = compare_surfaces(networks, metrics=["roughness"], resamples=60)
    assert [line for line in comparison.remarks if "chance" in line] == [
        "answers no better than chance on these images: a; see that the images, their labels and the normalization are "
        "the networks' own"
    ]


def test_networks_that_were_trained_differently_are_told() -> None:
    recipes = [{"name": "upanets", "epochs": epochs} for epochs in (60, 200)]
    networks = {name: network(name, "bowl", 1, recipe=recipe) for name, recipe in zip("ab", recipes, strict=True)}
    comparison = compare_surfaces(networks, metrics=["roughness"], resamples=60)
    told = "trained differently: a by the recipe upanets (epochs 60); b by the recipe upanets (epochs 200)"
    assert told in comparison.remarks
    alone = compare_surfaces({"a": networks["a"]}, metrics=["roughness"], resamples=60)
    assert not [line for line in alone.remarks if line.startswith("trained")]


def seeds_of(name: str, truth: str, *, trainings: int, draws: int, known: bool = True) -> list[Surface]:
    """Surfaces of several trainings of one network, several draws of each."""
    return [
        marked(
            drawn_surface(truth, NOISES["student"], blocks=12, seed=10 * training + draw),
            f"{name}{training}",
            draw,
            model=name,
            **({"training": {"alike": name, "seed": training, "epoch": 8}} if known else {}),
        )
        for training in range(trainings)
        for draw in range(draws)
    ]


def save_each(surfaces: list[Surface], folder: Path) -> Path:
    for surface in surfaces:
        surface.save(folder / surface.meta["weights"] / f"seed{surface.meta['seed']}" / "surface.h5")
    return folder


def test_seeds_of_a_model_are_one_network(tmp_path: Path) -> None:
    for name, truth in (("plain", "egg box"), ("short", "bowl")):
        save_each(seeds_of(name, truth, trainings=3, draws=2), tmp_path)
    networks = load_networks([tmp_path])
    assert {name: len(surfaces) for name, surfaces in networks.items()} == {"plain": 6, "short": 6}
    comparison = compare_surfaces(networks, metrics=["curvature"], resamples=60)
    assert [(one.first, one.second) for one in comparison.differences] == [("plain", "short")]
    assert comparison.remarks[0] == "trainings × draws of directions in each: plain 3 × 2, short 3 × 2"
    of_draws = np.array(comparison.draws["plain"]["curvature"]).reshape(3, 2)
    assert comparison.means["plain"]["curvature"].value == pytest.approx(of_draws.mean())
    assert [one.split()[1] for one in comparison.trainings["plain"]] == ["0", "0", "1", "1", "2", "2"]
    written = save_comparison(comparison, tmp_path / "out")
    assert "; d: the length of a direction" in (tmp_path / "out" / "metrics.txt").read_text()
    with written[0].open() as file:
        assert [(row["trainings"], row["draws"]) for row in csv.DictReader(file)] == [("3", "6"), ("3", "6")]


def test_trainings_of_which_nothing_is_known_stay_networks_of_their_own(tmp_path: Path) -> None:
    save_each(seeds_of("plain", "bowl", trainings=2, draws=1, known=False), tmp_path)
    assert sorted(load_networks([tmp_path])) == ["plain0", "plain1"]


def test_last_and_best_weights_of_a_seed_stay_apart_and_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = seeds_of("plain", "bowl", trainings=2, draws=1)
    twice = replace(second, meta={**second.meta, "training": {**second.meta["training"], "seed": 0, "epoch": 5}})
    assert len(load_networks([save_each([first, twice], tmp_path)])) == 2
    assert "several checkpoints of one seed" in caplog.text
    other = replace(second, meta={**second.meta, "training": {**second.meta["training"], "epoch": 5}})
    networks = load_networks([save_each([first, other], tmp_path / "epochs")])
    found = compare_surfaces(networks, metrics=["curvature"], resamples=60)
    assert "the trainings of plain ended after 5 to 8 epochs" in found.remarks
