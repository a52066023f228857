"""Figures of UPANets, arXiv:2103.08640: features before channel pixel attention, its part, and their sum; and the rest.

Differs from the paper: figure 1 calls the pixels that are weighed the convolutions' output. In the authors' code, as
here, they are the block's input, which is drawn besides; otherwise the red pixel would not be the sum it is said to be.
"""

import numpy as np
from torch import Tensor, nn

from gradscape.data.pictures import Pictures
from gradscape.explain.features import as_array, feature_maps
from gradscape.explain.fusion import fusion_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.channel_mixing import figure_channel_mixing
from gradscape.figures.fusion import figure_fusion
from gradscape.models.upanets import ChannelPixelAttention
from gradscape.studies.network_figure import NetworkFigure
from gradscape.studies.paper_figure import Drawing, Models, PaperFigure
from gradscape.studies.upanets_bubbles import BUBBLES
from gradscape.studies.upanets_landscapes import LANDSCAPES

__all__ = ["ATTENTION_PROCESS", "FIGURES", "FUSION", "NOISE_FUSION", "mixing_weights"]

_BLOCK = "layer2.0"
_MAPS = 32
_SAMPLES = 8


def mixing_weights(attention: nn.Module) -> tuple[Tensor, Tensor]:
    """Return channel pixel attention in evaluation as one affine map of every pixel's channels.

    With W, c the mixing layer, and the mean m, variance v, γ and β of the batch normalization after it::

        BN(W x + c) = A x + d,   A = γ / √(v + ε) W,   d = γ / √(v + ε) (c - m) + β

    Args:
        attention: A `ChannelPixelAttention`.

    Returns:
        A, (out, in), and d, (out,).

    Source: equation 1.
    """
    mixing, norm = attention.get_submodule("cp_ffc"), attention.get_submodule("bn")
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    scale = norm.get_parameter("weight") / (variance + norm.eps).sqrt()  # type: ignore[operator]
    offset = getattr(mixing, "bias", None)
    constant = scale * ((0 if offset is None else offset) - mean) + norm.get_parameter("bias")
    return (scale[:, None] * mixing.get_parameter("weight").flatten(1)).detach(), constant.detach()


def _draw_process(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    ((title, model),) = models.items()
    images = pictures.images.to(model.mean.device)
    maps = fusion_maps(model, images, block=_BLOCK)
    inputs = feature_maps(model, images, layer="stages.0")[0]
    mixing, constants = mixing_weights(model.get_submodule(f"network.{maps.block}"))
    convolved, attended = maps.before[0], maps.part[0]
    sample = attended[:_SAMPLES]
    channel, row, column = (int(place) for place in np.unravel_index(sample.argmax(), sample.shape))
    weights, constant = as_array(mixing[channel]), float(constants[channel])
    page = figure_channel_mixing(
        pictures.images[0],
        convolved,
        inputs,
        attended,
        weights=weights,
        constant=constant,
        channel=channel,
        pixel=(row, column),
        most=_SAMPLES,
        title=f"{title} · {maps.block} · {pictures.names[0]}",
    )
    arrays = {
        "convolution": convolved,
        "input": inputs,
        "CPA": attended,
        "weights": weights,
        "constant": np.float32(constant).reshape(()),
        "red": np.array([channel, row, column]),
    }
    said = "CPA weighs the block's input, as in the authors' code, and not the convolution as the paper's caption says"
    return Drawing(page, arrays, said)


def _draw_fusion(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    ((title, model),) = models.items()
    maps = fusion_maps(model, pictures.images.to(model.mean.device), block=_BLOCK)
    return _fusion_page(title, maps, pictures, pictures.images[0])


def _draw_noise_fusion(models: Models, pictures: Pictures, seed: int) -> Drawing:
    ((title, model),) = models.items()
    # The bare network takes the noise: normalizing it would shift and stretch it.
    maps = fusion_maps(model.network, pictures.images.to(model.mean.device), block=_BLOCK)
    drawn = _fusion_page(title, maps, pictures, None)
    return Drawing(drawn.figure, drawn.arrays, f"noise of seed {seed}, given to the network without normalization")


def _fusion_page(title: str, maps: FusionMaps, pictures: Pictures, image: Tensor | None) -> Drawing:
    named = FusionMaps(maps.before, maps.part, maps.fused, maps.block, maps.names, {**maps.meta, "model": title})
    page = figure_fusion(named, most=_MAPS, image=image, names=pictures.names)
    stages = zip(maps.names, (maps.before, maps.part, maps.fused), strict=True)
    return Drawing(page, {name: stage[0] for name, stage in stages})


ATTENTION_PROCESS = NetworkFigure(
    title="how channel pixel attention makes a pixel: image, convolution, CPA",
    original="UPANets on an image of CIFAR-10",
    networks=("upanet16",),
    takes="pictures",
    draw=_draw_process,
    attention=(ChannelPixelAttention,),
)

FUSION = NetworkFigure(
    title="32 maps of convolution, CPA and their sum, second stage",
    original="UPANets on an image of CIFAR-10",
    networks=("upanet16",),
    takes="pictures",
    draw=_draw_fusion,
    attention=(ChannelPixelAttention,),
)

NOISE_FUSION = NetworkFigure(
    title="the same of standard normal noise",
    original="UPANets on standard normal noise",
    networks=("upanet16",),
    takes="noise",
    draw=_draw_noise_fusion,
    attention=(ChannelPixelAttention,),
)

FIGURES: dict[str, PaperFigure] = {
    "upanets:1": ATTENTION_PROCESS,
    "upanets:7": FUSION,
    **LANDSCAPES,
    **BUBBLES,
    "upanets:19": NOISE_FUSION,
}
