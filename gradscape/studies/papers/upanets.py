"""Figures of UPANets, arXiv:2103.08640.

Attention on the way from features to their sum (1, 7, 19), accuracy against efficiency (10, 11), and landscapes of loss
and error (8, 9, 12 to 18, 20).

Differs from the paper: figure 1 calls the pixels that are weighed the convolutions' output. In the authors' code, as
here, they are the block's input, which is drawn besides; otherwise the red pixel would not be the sum it is said to be.

Appendix C scales losses to [0, 1] without saying along what, and its scaled surfaces have other shapes than the
originals beside them. Scaling a surface as a whole changes no shape, so that 12, 13 and 15 to 17 scale each column by
itself; figure 8, which compares two networks and has no original beside, is scaled as a whole.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from gradscape._names import data_name
from gradscape.data.pictures import Pictures
from gradscape.explain.features import as_array, feature_maps
from gradscape.explain.fusion import fusion_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.charts.bubbles import Bubble, figure_bubbles
from gradscape.figures.images.channel_mixing import figure_channel_mixing
from gradscape.figures.images.fusion import figure_fusion
from gradscape.landscape import Value
from gradscape.models.upanets import ChannelPixelAttention
from gradscape.studies.papers.checkpoints import Models
from gradscape.studies.papers.exhibits import NoiseExhibit, PictureExhibit
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.from_networks import NetworkFigure
from gradscape.studies.papers.from_surfaces import SurfaceFigure
from gradscape.studies.papers.from_tables import TableFigure
from gradscape.studies.papers.published import PublishedRow
from gradscape.studies.papers.scaling import Scaling
from gradscape.studies.papers.training_log import TrainingLog, describe_epochs, describe_logs
from gradscape.studies.papers.wording import short_name

__all__ = ["ATTENTION_PROCESS", "BUBBLES", "FIGURES", "FUSION", "LANDSCAPES", "NOISE_FUSION", "mixing_weights"]

_BLOCK = "layer2.0"
_MAPS = 32
_SAMPLES = 8

_DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}

_WIDE = 1.0
_NARROW = 0.0375
# As tables 2, 3, 7 and 8, to which figures 8 and 9 belong; the appendix names no epochs.
_LIKE_EACH_OTHER = "--data cifar10 --recipe upanets_ablation"
_DENSENET = "cifar_densenet121@growth_rate=12"
_TITLES = {
    "upanet16": "UPANets16",
    "upanet16_final_gap": "UPANets16 final GAP",
    "upanet16_final_spa": "UPANets16 final SPA",
    "upanet16_exc_gap": "UPANets16 exc GAP",
    "upanet16_exc_spa": "UPANets16 exc SPA",
    "cifar_densenet121": "DenseNets",
}


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


def _draw_bubbles(rows: Sequence[PublishedRow], logs: Sequence[TrainingLog]) -> Drawing:
    published = [_published(row) for row in rows]
    own = [_own(log) for log in logs]
    bubbles = [*published, *own]
    data, table = _DATA[rows[0].data], rows[0].table
    caption = f"UPANets, table {table}: {data} · areas: parameters"
    page = figure_bubbles(bubbles, title=data, highlighted="UPANets", own=_called(logs), caption=caption)
    arrays = {
        "network": np.array([bubble.name for bubble in bubbles]),
        **{key: np.array([getattr(bubble, key) for bubble in bubbles]) for key in ("accuracy", "size", "efficiency")},
        "own": np.array([bubble.group == "own" for bubble in bubbles]),
    }
    notes = [f"{row.row}: {row.note}" for row in rows if row.note]
    said = [f"own: {describe_logs(logs)} {describe_epochs(logs)}".rstrip()] if logs else []
    return Drawing(page, arrays, " · ".join([*notes, *said]))


def _published(row: PublishedRow) -> Bubble:
    assert row.accuracy is not None
    assert row.size is not None
    assert row.efficiency is not None
    highlighted = row.row.startswith("UPANets")
    return Bubble(row.row, row.accuracy, row.size, row.efficiency, "highlighted" if highlighted else "published")


def _called(logs: Sequence[TrainingLog]) -> str:
    """What a legend calls networks of one's own: often their accuracy is that of other data than the table's."""
    trained = [log.meta.get("data") for log in logs]
    names = dict.fromkeys(data_name(data["name"]) for data in trained if isinstance(data, dict) and "name" in data)
    return f"own ({', '.join(names)})" if names else "own"


def _own(log: TrainingLog) -> Bubble:
    """A network of one's own: E = test accuracy in percent / parameters in millions; of several seeds the median."""
    scores = log.meta.get("scores") or {}
    accuracy = scores.get("test_accuracy") if isinstance(scores, dict) else None
    if log.runs and all("test_accuracy" in run for run in log.runs):
        accuracy = float(np.median([run["test_accuracy"][-1] for run in log.runs]))
    if accuracy is None or log.parameters is None:
        raise ValueError(
            f"{log.title} must have a test accuracy in its checkpoint, to be laid over a table: "
            "`gradscape evaluate CKPT --data D --store` writes it"
        )
    size = log.parameters / 1e6
    return Bubble(log.title, 100 * accuracy, size, 100 * accuracy / size, "own")


def _bubbles(table: str, data: str) -> TableFigure:
    return TableFigure(
        title=f"accuracy against efficiency on {_DATA[data]}, bubbles as large as networks",
        original=f"the same values, of networks trained for 200 epochs on {_DATA[data]}",
        paper="upanets",
        table=table,
        training=f"upanet16 --data {data}",
        draw=_draw_bubbles,
    )


def _landscape(
    title: str,
    *networks: str,
    span: float = _WIDE,
    value: Value = "loss",
    scale: Scaling = "raw",
    with_original: bool = False,
) -> SurfaceFigure:
    *first, last = (_TITLES[short_name(network)] for network in networks)
    named = f"{', '.join(first)} and {last}" if first else last
    return SurfaceFigure(
        title=f"{title}, ±{span:g}",
        original=f"{named} trained on CIFAR-10, 50 samples an axis",
        networks=networks,
        span=span,
        value=value,
        scale=scale,
        with_original=with_original,
        training=_LIKE_EACH_OTHER,
        titles=_TITLES,
    )


def _original_and_scaled(network: str, span: float = _WIDE) -> SurfaceFigure:
    """One of the series in which shapes differ: of all scalings to [0, 1], only the one by column changes shapes."""
    title = f"loss, original and scaled by column, of {_TITLES[short_name(network)]}"
    return _landscape(title, network, span=span, scale="minmax-column", with_original=True)


ATTENTION_PROCESS = NetworkFigure(
    title="how channel pixel attention makes a pixel: image, convolution, CPA",
    original="UPANets on an image of CIFAR-10",
    networks=("upanet16",),
    exhibit=PictureExhibit(),
    draw=_draw_process,
    attention=(ChannelPixelAttention,),
)

FUSION = NetworkFigure(
    title="32 maps of convolution, CPA and their sum, second stage",
    original="UPANets on an image of CIFAR-10",
    networks=("upanet16",),
    exhibit=PictureExhibit(),
    draw=_draw_fusion,
    attention=(ChannelPixelAttention,),
)

NOISE_FUSION = NetworkFigure(
    title="the same of standard normal noise",
    original="UPANets on standard normal noise",
    networks=("upanet16",),
    exhibit=NoiseExhibit(),
    draw=_draw_noise_fusion,
    attention=(ChannelPixelAttention,),
)

BUBBLES: dict[str, PaperFigure] = {"upanets:10": _bubbles("4", "cifar10"), "upanets:11": _bubbles("5", "cifar100")}

LANDSCAPES: dict[str, PaperFigure] = {
    "upanets:8": _landscape("min-max scaled loss of two heads", "upanet16_final_gap", "upanet16", scale="minmax"),
    "upanets:9": _landscape("top-1 error of two heads", "upanet16_final_gap", "upanet16", value="error"),
    "upanets:12": _original_and_scaled(_DENSENET, span=_NARROW),
    "upanets:13": _original_and_scaled("upanet16", span=_NARROW),
    "upanets:14": _landscape("loss of two heads", "upanet16_final_gap", "upanet16"),
    "upanets:15": _original_and_scaled("upanet16_final_spa"),
    "upanets:16": _original_and_scaled("upanet16_exc_gap"),
    "upanets:17": _original_and_scaled("upanet16_exc_spa"),
    "upanets:18": _landscape(
        "top-1 error of three heads", "upanet16_final_spa", "upanet16_exc_gap", "upanet16_exc_spa", value="error"
    ),
    "upanets:20": _landscape(
        "top-1 error of UPANets and a DenseNet", "upanet16", _DENSENET, span=_NARROW, value="error"
    ),
}

FIGURES: dict[str, PaperFigure] = {
    "upanets:1": ATTENTION_PROCESS,
    "upanets:7": FUSION,
    **LANDSCAPES,
    **BUBBLES,
    "upanets:19": NOISE_FUSION,
}
