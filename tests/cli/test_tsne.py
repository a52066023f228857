import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gradscape.data import load_split
from gradscape.explain.embedding import Embedding
from gradscape.studies.tsne import choose_images, make_thumbnails
from tests.cli.conftest import Command

SMALL = ("--data", "digits", "--limit", 45, "--perplexity", 9, "--device", "cpu")


@pytest.fixture(scope="session")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another network for digits at 16×16, not trained."""
    import torch

    from gradscape.models import create_model, save_checkpoint

    path = tmp_path_factory.mktemp("other") / "model.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = create_model("mobilenet_v1", num_classes=10, image_size=16)
    save_checkpoint(path, net, name="mobilenet_v1", num_classes=10, image_size=16, mean=(0.3,) * 3, std=(0.4,) * 3)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_networks_on_the_same_images_give_pictures_a_page_and_numbers(
    gradscape: Command, checkpoint: Path, other_checkpoint: Path, tmp_path: Path
) -> None:
    done = gradscape("tsne", checkpoint, other_checkpoint, *SMALL, "-o", tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("resnet20: input of linear; kNN ")
    assert lines[1].startswith("mobilenet_v1: input of ")
    assert (tmp_path / "tsne.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "tsne.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "tsne.html").read_text()
    assert "data:image/png;base64," in page
    assert "resnet20, mobilenet_v1" in page
    rows = rows_of(tmp_path / "tsne.csv")
    assert len(rows) == 90
    expected = np.concatenate([labels for _, labels in load_split("digits", "test", limit=45)])
    for name in ("resnet20", "mobilenet_v1"):
        embedding = Embedding.load(tmp_path / name / "embedding.npz")
        np.testing.assert_array_equal(embedding.labels, expected)
        own = [row for row in rows if row["model"] == name]
        np.testing.assert_array_equal(
            embedding.points, np.array([[row["x"], row["y"]] for row in own], dtype=np.float32)
        )
        assert [row["class"] for row in own] == [embedding.class_name(label) for label in expected.tolist()]
        assert (embedding.meta["model"], embedding.meta["data"], embedding.meta["split"]) == (name, "digits", "test")
        assert ("alignment" in embedding.meta) == (name == "mobilenet_v1")


def test_the_same_command_gives_the_same_files(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        done = gradscape("tsne", checkpoint, *SMALL, "--layer", "stages.1", "-q", "-o", tmp_path / folder)
        assert (done.code, done.out) == (0, ""), done.err
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["embedding.npz", "tsne.csv", "tsne.html", "tsne.pdf", "tsne.png", "tsne.txt"]
    for name in names[1:]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert Embedding.load(tmp_path / "one" / "embedding.npz").layer == "stages.1"


def test_chosen_classes_come_in_equal_numbers(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    done = gradscape(
        "tsne", checkpoint, "--data", "digits", "--classes", "7, 1,4", "--limit", 30, "--perplexity", 5, "--seed", 3,
        "--backend", "opentsne", "--device", "cpu", "-o", tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    embedding = Embedding.load(tmp_path / "embedding.npz")
    assert Counter(embedding.labels.tolist()) == {1: 10, 4: 10, 7: 10}
    assert (embedding.backend, embedding.perplexity, embedding.seed) == ("opentsne", 5, 3)
    assert {row["class"] for row in rows_of(tmp_path / "tsne.csv")} == {"1", "4", "7"}


def test_classes_go_by_name_before_number(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((40, 6, 9)).astype(np.float32)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(40) % 4, classes=["1", "0", "cat", "dog"])
    chosen = choose_images(f"npz:{tmp_path / 'x.npz'}", "test", classes="0,dog", limit=None, batch_size=7)
    shown = np.concatenate([labels for _, labels in chosen])
    assert Counter(shown.tolist()) == {1: 10, 3: 10}
    assert [len(labels) for _, labels in chosen] == [7, 7, 6]
    thumbnails = make_thumbnails(chosen)
    assert thumbnails.shape == (20, 6, 9, 3)
    first = np.flatnonzero((np.round(images * 255).astype(np.uint8) == thumbnails[0, ..., 0]).all(axis=(1, 2)))
    assert first % 4 == shown[0]


def test_large_images_become_small_thumbnails(tmp_path: Path) -> None:
    images = np.full((5, 100, 200), 51, dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(5))
    thumbnails = make_thumbnails(choose_images(f"npz:{tmp_path / 'x.npz'}", "test", classes=None, limit=None))
    assert thumbnails.shape == (5, 32, 64, 3)
    assert (thumbnails == 51).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--classes", "1,11"), "unknown `--classes` '11'; did you mean 1?; give names or numbers from 0 to 9"),
        (("--layer", "stages.9"), "unknown `--layer` 'stages.9'; did you mean stages."),
        (("--backend", "tsne"), "unknown `--backend` 'tsne'"),
        (("--perplexity", 0), "`--perplexity` must be at least 1, got 0"),
        (("--limit", 3), "at least 5 images to be embedded, got 3"),
    ],
)
def test_mistakes_are_one_line(
    gradscape: Command, checkpoint: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    done = gradscape("tsne", checkpoint, "--data", "digits", *arguments, "--device", "cpu", "-o", tmp_path / "out")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "out").exists()
