"""What cam, attention and fusion share, and what their commands do not show."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gradscape.data.pictures import Pictures
from gradscape.explain.attention import attention_maps, rank_by_batch_weight
from gradscape.explain.cam import heatmaps
from gradscape.models import Classifier, create_model
from gradscape.studies.attention import multiply_batch_weights
from gradscape.studies.cam import draw_explanations, explain_pictures, tabulate_methods
from gradscape.studies.drawing import save_pages
from gradscape.studies.networks import class_number, file_name, load_models, provenance
from gradscape.studies.picture_names import picture_stems, titles
from gradscape.studies.tsne import choose_images, embed_models
from tests.studies.networks import save_network


def make_pictures(count: int, *names: str) -> Pictures:
    images = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return Pictures(images, names or tuple(f"p{number}.png" for number in range(count)))


def make_model(name: str) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create_model(name, num_classes=5, image_size=16)
        for module in net.modules():
            # As they start, no image outweighs another.
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    meta = {"name": name, "num_classes": 5, "image_size": 16, "mean": (0.5,) * 3, "std": (0.3,) * 3, "labels": None}
    return Classifier(net.eval(), meta)


@pytest.fixture(scope="module")
def model() -> Classifier:
    return make_model("resnet20")


def test_pictures_in_batches_are_explained_as_all_at_once(model: Classifier) -> None:
    pictures = make_pictures(18)
    found = explain_pictures({"net": model}, pictures, methods=["gradcam", "gradcam", "layercam"], class_index="3")
    assert list(found.heatmaps["net"]) == ["gradcam", "layercam"]
    expected = heatmaps(model, pictures.images, method="layercam", class_index=3)
    got = found.heatmaps["net"]["layercam"]
    np.testing.assert_allclose(got.raw, expected.raw, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.probability, expected.probability, rtol=1e-4)
    assert tabulate_methods(found) == [
        ("net", method, expected.target_layer, str(len(maps.faults))) for method, maps in found.heatmaps["net"].items()
    ]


@pytest.mark.slow
def test_many_pictures_go_onto_as_few_pages_as_possible(model: Classifier, tmp_path: Path) -> None:
    found = explain_pictures({"net": model}, make_pictures(20), methods=["gradcam"])
    # Six across and three bands are 18 pictures a page; in rows it would be seven pages.
    names = [path.name for path in draw_explanations(found, tmp_path)]
    assert names == ["cam.pdf", "cam.png", "cam.txt", "cam_page2.pdf", "cam_page2.png", "cam_page2.txt"]


def test_batch_weights_of_several_blocks_rank_images_as_the_papers_complexity_does() -> None:
    maps = attention_maps(make_model("cifar_resnet18+ba2m"), make_pictures(7).images)
    product = multiply_batch_weights(maps)
    assert product.block.startswith("all ")
    assert np.ptp(product.values) > 0
    np.testing.assert_array_equal(np.argsort(-product.values, kind="stable"), rank_by_batch_weight(maps))


def test_provenance_names_network_and_pictures_to_the_bit() -> None:
    model = make_model("resnet20")
    first, second = provenance("net", model, make_pictures(2)), provenance("net", model, make_pictures(2))
    assert first == second
    assert first["image_names"] == ["p0.png", "p1.png"]
    darker = make_pictures(2)
    darker.images[1, 2, 3, 4] *= 0.5
    assert provenance("net", model, darker)["image_digest"] != first["image_digest"]
    with torch.no_grad():
        model.network.get_parameter("conv1.weight")[0, 0, 0, 0] += 1
    assert provenance("net", model, make_pictures(2))["weights"] != first["weights"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("../../etc/x", "-..-etc-x"), ("timm:vit", "timm-vit"), ("..", "unnamed"), ("a+b@c=1,d.e", "a+b@c=1,d.e")],
)
def test_a_name_never_leads_to_another_folder(name: str, expected: str) -> None:
    assert file_name(name) == expected


def test_files_about_different_pictures_are_called_differently() -> None:
    assert picture_stems(make_pictures(2, "cat.jpg", "dog.png")) == ["cat", "dog"]
    assert picture_stems(make_pictures(2, "x/cat.jpg", "y/cat.jpg")) == ["1-x-cat.jpg", "2-y-cat.jpg"]
    assert titles(make_pictures(2, "x/cat.jpg", "dog.png")) == ["x/cat", "dog"]


def test_pages_are_numbered_from_the_second_on(tmp_path: Path) -> None:
    written = save_pages(iter([Figure((1, 1)), Figure((1, 1))]), tmp_path / "a.b")
    assert [path.name for path in written] == ["a.b.pdf", "a.b.png", "a.b_page2.pdf", "a.b_page2.png"]
    assert all(path.exists() for path in written)


def test_a_class_is_looked_up_by_its_label_before_its_number() -> None:
    net = create_model("resnet20", num_classes=3, image_size=16)
    meta = {"name": "resnet20", "num_classes": 3, "image_size": 16, "mean": [0.5] * 3, "std": [0.5] * 3}
    numerals = {"a": Classifier(net, {**meta, "labels": ["1", "2", "3"]})}
    unnamed = {"a": Classifier(net, {**meta, "labels": None})}
    assert [class_number(asked, numerals) for asked in ("1", "0", "x", None)] == ["1", 0, "x", None]
    assert class_number("1", unnamed) == 1


def test_classes_that_the_data_only_number_are_called_as_the_network_calls_them(tmp_path: Path) -> None:
    models = load_models([save_network(tmp_path, "resnet20")], "cpu")
    images = choose_images("digits", "test", classes=None, limit=20, image_size=16)
    assert images.classes == tuple("0123456789")
    (embedded,) = embed_models(models, images, perplexity=4)
    assert embedded.images.classes == tuple(f"digit_{number}" for number in range(10))
