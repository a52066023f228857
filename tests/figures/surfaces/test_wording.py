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


def test_networks_that_were_trained_differently_are_told_below_a_comparison() -> None:
    short, long = ({"name": "upanets", "epochs": epochs} for epochs in (60, 200))
    first, second = make_surface(recipe=short), make_surface(model="other", recipe=long)
    expected = "trained differently: net by the recipe upanets (epochs 60); other by the recipe upanets (epochs 200)"
    fields = [first.field("loss"), second.field("loss")]
    assert describe_fields(fields, ["net", "other"]).endswith(expected)
    assert "trained" not in describe_fields([fields[0]] * 2, ["net", "again"])
    assert "trained" not in describe_field(fields[0])


def test_lines_say_so_too_and_of_the_network_that_they_lead_to() -> None:
    short, long = ({"name": "upanets", "epochs": epochs} for epochs in (60, 200))
    curve = bowl()[2], bowl_error()[2], ALPHAS
    expected = "trained differently: net by the recipe upanets (epochs 60); other by the recipe upanets (epochs 200)"
    two = [make_line(*curve, recipe=short), make_line(*curve, model="other", recipe=long)]
    assert expected in describe_lines(two)
    between = make_line(*curve, other="other", recipe=short, other_recipe=long)
    assert expected in describe_lines([between])
    assert "trained" not in describe_lines(two[:1])


def test_a_landscape_of_a_network_of_another_loss_says_which_is_drawn() -> None:
    surface = make_surface(recipe={"name": "upanets", "loss": "focal"}, loss="cross_entropy")
    assert "trained with the focal loss, drawn is the cross-entropy" in describe_field(surface.field("loss"))
    assert "trained with the focal loss · " in f"{describe_field(surface.field('error'))} · "
    drawn = make_surface(recipe={"name": "upanets", "loss": "focal"}, loss="focal").field("loss")
    assert drawn.label == "focal loss"
    assert "drawn is" not in describe_field(drawn)
