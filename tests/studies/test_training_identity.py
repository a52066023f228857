import pytest

from gradscape.studies.training_identity import (
    TRAINING,
    TrainingIdentity,
    common_name,
    group_alike,
    identify_training,
    read_identity,
)

META = {
    "name": "resnet20",
    "num_classes": 10,
    "image_size": 16,
    "mean": [0.5],
    "std": [0.25],
    "labels": None,
    "recipe": {"name": "digits", "epochs": 8, "seeds": 5},
    "data": {"name": "digits", "images": 1437},
    "test": {"name": "digits", "split": "test", "images": 360},
    "scores": {"seed": 3, "epoch": 8, "test_accuracy": 0.97},
}


def digest(**changes: object) -> str:
    found = identify_training({**META, **changes})
    assert found is not None
    return found.alike


def test_trainings_are_alike_whatever_their_seed_scores_and_versions() -> None:
    found = identify_training(META)
    assert found is not None
    assert (found.seed, found.epoch) == (3, 8)
    assert found.alike == digest(scores={"seed": 4, "epoch": 7}, versions={"gradscape": "9"})
    assert found.alike == digest(recipe={**META["recipe"], "seeds": 1}), "how often is no part of how"  # type: ignore[dict-item]
    evaluated = digest(test={"name": "other", "split": "test", "images": 9}, training_test=META["test"])
    assert found.alike == evaluated, "later tests on other images are no part of the training"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "resnet20+se"},
        {"image_size": 32},
        {"recipe": {"name": "digits", "epochs": 9}},
        {"data": {"name": "digits", "images": 1000}},
        {"test": {"name": "digits", "split": "held out", "images": 360, "share": 0.2, "seed": 1}},
    ],
)
def test_another_network_recipe_or_data_is_another_training(changes: dict[str, object]) -> None:
    assert digest(**changes) != digest()


@pytest.mark.parametrize("name", ["recipe", "data", "scores"])
def test_a_checkpoint_that_does_not_tell_is_of_no_known_training(name: str) -> None:
    assert identify_training({**META, name: None}) is None


def test_a_surface_keeps_it_and_a_users_own_entry_is_none() -> None:
    entry = {"alike": "ab", "seed": 1, "epoch": 8}
    assert read_identity({TRAINING: entry}) == TrainingIdentity("ab", 1, 8)
    assert read_identity({TRAINING: "mine"}) is read_identity({}) is None


def test_seeds_are_put_together_and_what_is_not_known_stays_apart() -> None:
    known = {f"w{seed}": TrainingIdentity("a", seed, 8) for seed in range(3)}
    groups, apart = group_alike({**known, "x": None, "y": None, "b0": TrainingIdentity("b", 0, 8)})
    assert groups == [["w0", "w1", "w2"], ["x"], ["y"], ["b0"]]
    assert apart == []


def test_last_and_best_weights_of_one_seed_are_not_two_trainings() -> None:
    groups, apart = group_alike(
        {"last": TrainingIdentity("a", 0, 8), "best": TrainingIdentity("a", 0, 6), "other": TrainingIdentity("a", 1, 8)}
    )
    assert groups == [["last"], ["best"], ["other"]]
    assert apart == ["a"]


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["a/seed0", "a/seed1"], "a"),
        (["runs-seed10", "runs-seed11"], "runs"),
        (["resnet20/x", "resnet20/y"], "resnet20"),
        (["seed0", "seed1"], "seed0"),
        (["alone/seed3"], "alone/seed3"),
    ],
)
def test_trainings_are_called_by_what_their_names_share(names: list[str], called: str) -> None:
    assert common_name(names) == called
