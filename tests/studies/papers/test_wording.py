"""How a paper calls networks."""

from gradscape.studies.papers.wording import as_in_the_paper

NAMES = {"resnet20": "ResNet20", "cifar_resnet20": "ResNet20", "se": "SE"}


def test_networks_are_called_as_in_the_paper() -> None:
    assert as_in_the_paper(["resnet20", "resnet20+se", "mine+se"], NAMES) == {
        "resnet20": "ResNet20",
        "resnet20+se": "ResNet20 + SE",
        "mine+se": "mine + SE",
    }


def test_networks_that_a_paper_calls_alike_keep_their_own_names() -> None:
    assert as_in_the_paper(["resnet20", "cifar_resnet20"], NAMES) == {
        "resnet20": "resnet20",
        "cifar_resnet20": "cifar_resnet20",
    }
