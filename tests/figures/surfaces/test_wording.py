from gradscape.figures.surfaces.wording import describe_field, describe_fields, describe_lines
from tests.figures.results import ALPHAS, bowl, bowl_error, make_line, make_surface


def test_captions_name_networks_that_only_guess() -> None:
    guessing, knowing = make_surface(at_chance=["net"]).field("loss"), make_surface(model="other").field("loss")
    assert describe_field(guessing).endswith("error 10 % · answers no better than chance: net")
    assert "chance" not in describe_field(knowing)
    assert describe_fields([guessing, knowing], ["net", "other"]).count("answers no better than chance: net") == 1
    lines = [make_line(bowl()[2], bowl_error()[2], ALPHAS, at_chance=["first", "second"])]
    assert "answers no better than chance: first, second" in describe_lines(lines)


def test_data_without_a_split_of_their_own_are_called_all() -> None:
    assert "own (all) · " in describe_field(make_surface(data="npz:own.npz", split="all").field("loss"))
