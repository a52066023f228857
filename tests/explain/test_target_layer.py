import logging
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from gradscape._checkpoint import Classifier
from gradscape.explain.cam import heatmaps
from gradscape.explain.layout import Layout
from gradscape.explain.target_layer import find_target_layer, layer_names, resolve_layer
from gradscape.models import create_model
from gradscape.models.registry import MODELS

META = {"name": "own", "num_classes": 7, "image_size": 64, "mean": (0.5,) * 3, "std": (0.25,) * 3, "labels": None}


def _small_vit() -> nn.Module:
    return VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=7)


def _small_swin() -> nn.Module:
    return SwinTransformer([4, 4], 12, [2, 2], [2, 4], [4, 4], num_classes=7)


TORCHVISION: list[tuple[Callable[[], nn.Module], tuple[int, int], str]] = [
    (tv.resnet18, (64, 96), "layer4"),
    (lambda: tv.densenet.DenseNet(4, (2, 2), 8), (64, 96), "features"),
    (lambda: tv.mobilenet_v2(width_mult=0.25), (64, 96), "features"),
    (tv.mobilenet_v3_small, (64, 96), "features"),
    (tv.efficientnet_b0, (32, 64), "features"),
    (tv.squeezenet1_1, (64, 96), "features"),
    (tv.shufflenet_v2_x0_5, (64, 96), "conv5"),
    (tv.regnet_y_400mf, (64, 96), "trunk_output"),
    (
        lambda: tv.ConvNeXt([tv.convnext.CNBlockConfig(12, 24, 2), tv.convnext.CNBlockConfig(24, None, 2)]),
        (32, 48),
        "features",
    ),
    (_small_vit, (32, 32), "encoder.layers.encoder_layer_2.ln_1"),
    (_small_swin, (64, 96), "permute"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "size", "layer"), TORCHVISION)
def test_the_layer_found_in_torchvisions_models_is_the_last_map_before_the_pooling(
    make: Callable[[], nn.Module], size: tuple[int, int], layer: str
) -> None:
    torch.manual_seed(0)
    assert find_target_layer(make(), torch.rand(2, 3, *size)) == layer


def test_the_layer_found_in_vgg_is_not_its_adaptive_pooling_though_that_has_places() -> None:
    network = tv.VGG(tv.vgg.make_layers([512, "M"]), num_classes=5, init_weights=False)
    assert network.avgpool(torch.rand(1, 512, 16, 24)).shape == (1, 512, 7, 7)
    assert find_target_layer(network, torch.rand(2, 3, 32, 48)) == "features"


# The head of ViT and DeiT reads the class token alone, that of Swin averages.
TIMM: dict[str, tuple[dict[str, Any], str]] = {
    "vit_tiny_patch16_224": ({"img_size": 64, "depth": 3, "embed_dim": 12, "num_heads": 2}, "blocks.2.norm1"),
    "deit_tiny_distilled_patch16_224": (
        {"img_size": 64, "depth": 3, "embed_dim": 12, "num_heads": 2},
        "blocks.2.norm1",
    ),
    "swin_tiny_patch4_window7_224": (
        {"img_size": 32, "window_size": 2, "depths": (1, 2), "num_heads": (2, 4), "embed_dim": 12},
        "norm",
    ),
    "resnet18": ({}, "layer4"),
    "convnext_atto": ({}, "stages"),
}


@pytest.mark.parametrize("name", TIMM)
def test_the_layer_found_in_timms_models_is_the_last_with_influence_of_its_places(name: str) -> None:
    torch.manual_seed(0)
    options, layer = TIMM[name]
    size = options.get("img_size", 64)
    assert find_target_layer(timm.create_model(name, num_classes=7, **options), torch.rand(2, 3, size, size)) == layer


ZOO = {
    "upanet16": "layer4",  # its head joins the maps of all depths
    "upanet16_final_gap": "layer4",
    "attention56": "tail",
    "resnet20": "layer3",
    "cifar_preact_resnet18+spa_a": "stages.3",
    "cifar_resnet18+ba2m": "layer4",
    "mobilenet_v1@width=0.5+ulsam@after=8:9,replace=11": "features",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ("upanet16", "resnet20") else pytest.mark.slow) for name in ZOO]
)
def test_the_layer_found_in_the_leading_networks_is_the_last_map_before_the_head(name: str) -> None:
    torch.manual_seed(0)
    size = 64 if name.startswith("mobilenet") else 16
    network = create_model(name, num_classes=7, image_size=size)
    assert find_target_layer(network, torch.rand(2, 3, size, size)) == ZOO[name]


@pytest.mark.zoo
@pytest.mark.parametrize("name", MODELS)
def test_the_layer_found_in_every_model_of_the_zoo_is_its_last_stage_or_comes_after_it(name: str) -> None:
    torch.manual_seed(0)
    size = 96 if MODELS[name].image_size == 224 else 32
    network = create_model(name, num_classes=7, image_size=size)
    layer = network.get_submodule(find_target_layer(network, torch.rand(1, 3, size, size)))
    stages: Any = network.stages
    finished: list[tuple[nn.Module, int]] = []

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        finished.append((module, output.shape[2:].numel()))

    for module in {stages[-1], layer}:
        module.register_forward_hook(note)
    network.eval()(torch.rand(2, 3, size, size))
    assert finished[-1][0] is layer
    assert finished[-1][1] > 1


class _Branches(nn.Module):
    """Two branches joined by the network itself, whose last ReLU is shared."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 1), nn.Conv2d(5, 6, 1)
        self.head = nn.Linear(10, 7)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images).relu()
        return self.head(torch.cat([self.left(x), self.right(x)], 1).relu().mean((2, 3)))


def test_a_layer_that_the_image_can_bypass_is_not_chosen() -> None:
    assert find_target_layer(_Branches(), torch.rand(2, 3, 9, 12)) == "stem"


def test_a_map_that_holds_the_classes_scores_already_is_not_chosen() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_target_layer(network, torch.rand(2, 3, 9, 12)) == "1"


def test_segmentation_is_explained_at_the_last_map_before_its_classifier() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 7, 1))
    found = heatmaps(network, torch.rand(2, 3, 9, 12), score=lambda output: output[:, 3].flatten(1).sum(1))
    assert found.target_layer == "1"
    assert found.raw.shape == (2, 9, 12)


@pytest.mark.parametrize(
    ("network", "size"),
    [(nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 9, 7)), (8, 9)), (create_model("resnet20"), (1, 1))],
)
def test_a_model_without_places_gets_one_clear_line(network: nn.Module, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"no layer that makes a map with more than one place of images of {size[0]}×"):
        find_target_layer(network, torch.rand(2, 3, *size))


@pytest.mark.parametrize("asked", ["layer3", "network.layer3", "stages.2", "network.stages.2"])
def test_a_checkpoints_layers_are_named_with_and_without_its_prefix(asked: str) -> None:
    network: Any = create_model("resnet20", num_classes=7)
    model = Classifier(network, META)
    name, layer = resolve_layer(model, asked, torch.rand(2, 3, 32, 32))
    assert name == asked
    assert layer is network.layer3


def test_a_module_is_given_its_name() -> None:
    network: Any = create_model("resnet20", num_classes=7)
    found = resolve_layer(Classifier(network, META), network.layer2, torch.rand(2, 3, 32, 32))
    assert found == ("layer2", network.layer2)


def test_compiled_wrappers_do_not_show_in_names() -> None:
    network: Any = tv.resnet18()
    plain = layer_names(network)
    network.layer4 = torch.compile(network.layer4, backend="eager")
    compiled: Any = torch.compile(network, backend="eager")
    assert layer_names(compiled) == plain


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("layr3", r"unknown `target_layer` 'layr3'; did you mean layer3"),
        ("stages.9", r"unknown `target_layer` 'stages.9'"),
        (nn.ReLU(), r"`target_layer` must be a part of `model`, and this ReLU is none"),
    ],
)
def test_a_layer_that_the_model_does_not_have_is_refused(asked: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_layer(create_model("resnet20"), asked, torch.rand(2, 3, 32, 32))


def test_a_container_that_never_runs_is_refused() -> None:
    network = create_model("attention56")
    with pytest.raises(
        ValueError, match="`target_layer` stages does not run in a forward pass; choose a layer that does"
    ):
        heatmaps(network, torch.rand(2, 3, 32, 32), target_layer="stages")


def test_a_layer_that_gives_several_tensors_is_refused() -> None:
    attention = "encoder.layers.encoder_layer_1.self_attention"
    with pytest.raises(TypeError, match=f"`target_layer` {attention} must give one float tensor, got tuple"):
        heatmaps(_small_vit(), torch.rand(2, 3, 32, 32), target_layer=attention)


def test_finding_a_layer_leaves_no_hooks_and_no_gradients() -> None:
    network = create_model("resnet20").train()
    find_target_layer(network, torch.rand(2, 3, 32, 32))
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert network.training


def test_a_layer_whose_class_token_alone_reaches_the_score_is_refused_instead_of_painted_black() -> None:
    torch.manual_seed(0)
    network = _small_vit()
    torch.nn.init.normal_(network.get_submodule("heads.head").weight)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="encoder_layer_2 reaches the score by its class token alone"):
        heatmaps(network, torch.rand(2, 3, 32, 32), target_layer="encoder.layers.encoder_layer_2")


def test_a_layer_that_runs_twice_is_explained_at_its_last_run_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    relu, head = nn.ReLU(), nn.Linear(160, 7)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), relu, nn.Conv2d(5, 4, 3), relu, nn.Flatten(), head)
    images = torch.rand(2, 3, 9, 12)
    with caplog.at_level(logging.WARNING):
        found = heatmaps(network, images, method="hirescam", target_layer=relu, class_index=6)
    assert "`target_layer` 1 runs 2 times in a forward pass; its last run is explained" in caplog.text
    features = network[:4](images)
    weights = head.weight[6].view(4, 5, 8)
    torch.testing.assert_close(torch.from_numpy(found.raw), (features * weights).sum(1).detach())


class _Tower(nn.Module):
    """A small transformer that also gives away what it saw on the way, and an auxiliary head."""

    def __init__(self, *, open_hearted: bool) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 12, 8, 8), nn.Parameter(torch.randn(1, 1, 12))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 2, 24, batch_first=True, norm_first=True) for _ in range(3)
        )
        self.head, self.auxiliary = nn.Linear(12, 7), nn.Linear(12, 7)
        self.open_hearted = open_hearted

    def forward(self, images: Tensor) -> dict[str, Any]:
        tokens = torch.cat([self.token.expand(len(images), -1, -1), self.patches(images).flatten(2).mT], 1)
        seen = [tokens]
        for block in self.blocks:
            seen.append(block(seen[-1]))
        scores = {"scores": self.head(seen[-1][:, 0])}
        return {**scores, "seen": seen, "early": self.auxiliary(seen[1].mean(1))} if self.open_hearted else scores


def _first_score(output: Any) -> Tensor:
    found: Tensor = output["scores"][:, 0]
    return found


def test_the_layer_follows_the_score_and_not_what_else_the_model_gives() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 24, 32)
    towers = [_Tower(open_hearted=one) for one in (False, True)]
    assert [find_target_layer(one, images, score=_first_score) for one in towers] == ["blocks.2.norm1"] * 2
    early = find_target_layer(towers[1], images, score=lambda output: output["early"][:, 0])
    assert early == "blocks.0"


def test_a_score_that_is_made_for_the_whole_batch_is_followed_with_all_images() -> None:
    images, labels = torch.rand(3, 3, 24, 32), torch.tensor([[1], [0], [4]])
    network = create_model("resnet20", num_classes=7)
    found = heatmaps(network, images, score=lambda output: output.gather(1, labels).squeeze(1))
    assert found.target_layer == "layer3"
    assert found.raw.shape == (3, 6, 8)


def test_the_layer_is_looked_for_once_and_again_when_the_model_has_changed() -> None:
    network: Any = tv.resnet18()
    runs: list[int] = []
    network.conv1.register_forward_hook(lambda *_: runs.append(1))
    images = torch.rand(1, 3, 32, 64)
    counts, layers = [], []
    for _ in range(3):
        runs.clear()
        layers.append(heatmaps(network, images).target_layer)
        counts.append(len(runs))
    network.layer4 = nn.Identity()
    network.fc = nn.Linear(256, 1000)
    layers.append(heatmaps(network, images).target_layer)
    assert layers == ["layer4", "layer4", "layer4", "layer3"]
    assert counts == [3, 1, 1]


class _Shuffled(_Tower):
    """Its patches are mixed beyond recognition by something other than attention."""

    def __init__(self) -> None:
        super().__init__(open_hearted=False)
        self.mix = nn.Linear(12, 12)

    def forward(self, images: Tensor) -> Any:
        tokens = self.mix(self.patches(images).flatten(2)).mT
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens.mean(1))


def test_an_early_layer_is_not_taken_in_silence_because_later_ones_cannot_be_read() -> None:
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=r"is patches, but blocks.2\S* comes after it.* `layout`"):
        heatmaps(_Shuffled(), torch.rand(2, 3, 24, 32))


def test_a_stated_layout_also_finds_the_layer() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 24, 32)
    layout = Layout(grid=(3, 4))
    assert heatmaps(_Shuffled(), images, layout=layout).target_layer.startswith("blocks.2")
    with pytest.raises(ValueError, match="`layout` must fit a layer of `model`, but fits none"):
        heatmaps(_Shuffled(), images, layout=Layout(grid=(4, 4)))


class _Deep(nn.Module):
    """Convolutions whose last maps are handed out beside the logits of earlier ones."""

    def __init__(self, allowed: int | None = None) -> None:
        super().__init__()
        self.early, self.later = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3)
        self.head = nn.Linear(8, 5)
        self.allowed = allowed

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        assert self.allowed in (None, len(images))
        early = self.early(images).relu()
        return {"decoded": self.later(early), "logits": self.head(early.mean((2, 3)))}


@pytest.mark.parametrize("allowed", [None, 3])
def test_the_layer_found_leads_to_the_logits_and_not_to_what_is_handed_out_beside_them(allowed: int | None) -> None:
    torch.manual_seed(0)
    assert find_target_layer(_Deep(allowed), torch.rand(3, 3, 11, 13)) == "early"
