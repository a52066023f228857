"""Which column says how good a network is."""

from gradscape.training.classification import Classification
from gradscape.training.detection import Detection
from gradscape.training.score_columns import SCORES, best_column, is_share, score_column
from gradscape.training.segmentation import Segmentation


def test_every_kind_of_training_has_its_score() -> None:
    assert tuple(kind.score for kind in (Classification, Detection, Segmentation)) == SCORES
    for score in SCORES:
        assert score_column(["epoch", "train_loss", score]) == score
        assert is_share(score)
        assert is_share(best_column(score))
    assert score_column(["epoch", "train_loss"]) is None
    assert not any(map(is_share, ("epoch", "train_loss", "learning_rate", "seconds")))
