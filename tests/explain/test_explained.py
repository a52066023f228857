from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gradscape.explain.explained import pick_scores

LOGITS = torch.tensor([[1.0, 3.0, 2.0, 0.0], [0.0, -1.0, 5.0, 4.0], [2.0, 2.5, 1.0, 9.0]])
LABELS = ["dog", "cat", "bird", "tiger cat"]


def test_without_a_class_the_predicted_one_is_explained() -> None:
    explained = pick_scores(LOGITS)
    assert explained.class_index.tolist() == [1, 2, 3]
    assert explained.scores.tolist() == [3, 5, 9]


def test_the_probability_is_the_softmax_of_the_explained_class() -> None:
    explained = pick_scores(LOGITS, class_index=2)
    by_hand = [np.exp(row[2]) / sum(np.exp(value) for value in row) for row in LOGITS.double().tolist()]
    np.testing.assert_allclose(explained.probability, by_hand, rtol=1e-6)


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        (3, [3, 3, 3]),
        ("bird", [2, 2, 2]),
        ([0, 3, 1], [0, 3, 1]),
        (["tiger cat", 0, "dog"], [3, 0, 0]),
        (np.array([1, 2, 0]), [1, 2, 0]),
        (np.int64(1), [1, 1, 1]),
        (torch.tensor([3, 2, 2]), [3, 2, 2]),
    ],
)
def test_a_class_is_asked_for_by_number_or_name_for_all_images_or_each(asked: Any, numbers: list[int]) -> None:
    explained = pick_scores(LOGITS, class_index=asked, labels=LABELS)
    assert explained.class_index.tolist() == numbers
    assert explained.scores.tolist() == [LOGITS[image, number] for image, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("asked", "number"), [("Tabby", 0), ("cedar waxwing", 1), ("tiger shark", 3), ("tiger", 2), ("TABBY CAT", 0)]
)
def test_words_that_stand_in_one_class_name_alone_name_the_class(asked: str, number: int) -> None:
    labels = ["tabby, tabby cat", "Bombycilla cedrorum (Cedar Waxwing)", "tiger", "tiger shark, Galeocerdo cuvieri"]
    assert pick_scores(LOGITS, class_index=asked, labels=labels).class_index.tolist() == [number] * 3


@pytest.mark.parametrize("asked", ["cat", "tig", " ", ""])
def test_words_of_several_class_names_and_parts_of_words_are_refused(asked: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown `class_index` "):
        pick_scores(LOGITS, class_index=asked, labels=["tabby cat", "tiger cat", "dog", "bird"])


def test_scores_keep_the_graph_into_the_model() -> None:
    logits = LOGITS.clone().requires_grad_()
    pick_scores(logits, class_index=[0, 3, 1]).scores.sum().backward()
    assert logits.grad is not None
    assert logits.grad.nonzero().tolist() == [[0, 0], [1, 3], [2, 1]]


def test_half_precision_logits_give_probabilities_in_single_precision() -> None:
    explained = pick_scores(LOGITS.bfloat16(), class_index=1)
    assert explained.probability.dtype == np.float32
    np.testing.assert_allclose(explained.probability, LOGITS.softmax(1)[:, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("output", "score"),
    [
        (torch.arange(3.0), lambda output: output),
        ({"out": torch.ones(3, 2, 4, 5)}, lambda output: output["out"][:, 1].flatten(1).sum(1)),
        (torch.arange(3.0)[:, None], lambda output: -output[:, 0]),
    ],
)
def test_outputs_of_other_kinds_are_explained_by_a_score(output: Any, score: Callable[[Any], torch.Tensor]) -> None:
    explained = pick_scores(output, score=score)
    torch.testing.assert_close(explained.scores, score(output))
    assert explained.class_index.tolist() == [-1, -1, -1]
    assert np.isnan(explained.probability).all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (4, r"`class_index` must be in 0 … 3, as the model has it, got 4"),
        (-1, r"`class_index` must be in 0 … 3, as the model has it, got -1"),
        ("brid", r"unknown `class_index` 'brid'; did you mean bird\?"),
        ([1, 2], r"`class_index` must hold one class for each of the 3 images, got 2"),
        ([1, 2, 3, 0], r"`class_index` must hold one class for each of the 3 images, got 4"),
        (torch.tensor([1]), r"`class_index` must hold one class for each of the 3 images, got 1"),
    ],
)
def test_a_class_that_cannot_be_is_refused_in_one_line(asked: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        pick_scores(LOGITS, class_index=asked, labels=LABELS)
    assert "\n" not in str(caught.value)


def test_a_name_shared_by_two_classes_is_refused_with_their_numbers() -> None:
    with pytest.raises(ValueError, match=r"'crane' names the classes 0, 2; give a number"):
        pick_scores(LOGITS, class_index="crane", labels=["crane", "dog", "crane", "cat"])


def test_a_name_is_refused_where_the_model_has_no_labels() -> None:
    with pytest.raises(ValueError, match=r"`class_index` 'dog' is a name, but the model has no labels"):
        pick_scores(LOGITS, class_index="dog")


def test_a_label_beyond_the_models_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`class_index` must be in 0 … 3, as the model has it, got 4"):
        pick_scores(LOGITS, class_index="horse", labels=[*LABELS, "horse"])


@pytest.mark.parametrize("asked", [[1.0, 2.0, 0.0], [True, False, True]])
def test_a_class_that_is_neither_number_nor_name_is_refused(asked: Any) -> None:
    with pytest.raises(TypeError, match=r"`class_index` must be a class's number or name, got (float|bool)"):
        pick_scores(LOGITS, class_index=np.array(asked))


def test_class_and_score_together_are_refused() -> None:
    with pytest.raises(ValueError, match="`class_index` and `score` both say what to explain; give one of them"):
        pick_scores(LOGITS, class_index=1, score=lambda output: output[:, 0])


@pytest.mark.parametrize("output", [torch.zeros(3), torch.zeros(3, 2, 4, 4), {"out": LOGITS}, LOGITS.long()])
def test_an_output_that_is_no_logits_asks_for_a_score(output: Any) -> None:
    with pytest.raises(ValueError, match=r"`model` must give logits \(images, classes\), got .*say with `score`"):
        pick_scores(output)


def test_a_score_that_reduces_too_little_or_too_much_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`score` must give one number for each image, \(3,\), got the shape \(3, 4\)"
    ):
        pick_scores(LOGITS, score=lambda output: output)
    with pytest.raises(ValueError, match=r"`score` must give one number for each image, \(3,\), got the shape \(\)"):
        pick_scores(LOGITS, score=lambda output: output.sum())


@pytest.mark.parametrize("made", [1.5, torch.ones(3, dtype=torch.int64)])
def test_a_score_that_gives_no_float_tensor_is_refused(made: Any) -> None:
    with pytest.raises(TypeError, match="`score` must give a float tensor with one number for each image, got"):
        pick_scores(LOGITS, score=lambda _: made)
