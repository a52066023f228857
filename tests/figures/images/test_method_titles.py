"""Methods are called as their papers call them."""

from gradscape.explain.cam import list_methods
from gradscape.figures.images.method_titles import method_title


def test_every_method_has_the_name_of_its_paper() -> None:
    titles = {name: method_title(name) for name in list_methods()}
    assert [name for name, title in titles.items() if name == title] == []
    assert len(set(titles.values())) == len(titles)
