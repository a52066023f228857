"""gradscape cam."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import image_paths, look_options, options
from gradscape.cli.console import say, say_table, say_written, tuned_process, waiting
from gradscape.cli.numbers import MOST_DETECTIONS, corners

if TYPE_CHECKING:
    from gradscape.models import Classifier

__all__ = ["cam"]

Options = dict[str, Any]


@look_options.with_look(*look_options.MAP, styles=("overlay", "heatmap", "masked"))
def cam(
    paths: image_paths.Paths,
    *,
    images: image_paths.Images,
    output: options.Output,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="May be repeated; gradcam++ by default, hirescam of detectors and segmenters, where it stays with the "
            "box or the pixels. gradcam, gradcam++, hirescam, layercam, xgradcam, elementwise, eigencam, eigengradcam, "
            "scorecam, ablationcam, fullgrad, shapleycam, finercam or kpcacam."
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Target layer, such as stages.3; found by itself otherwise.")
    ] = None,
    class_index: Annotated[
        str | None, typer.Option("--class", help="Number or name of the class; by default the predicted one.")
    ] = None,
    detection: Annotated[
        int | None,
        typer.Option(
            min=0, max=MOST_DETECTIONS, help="Of a detector: which box of a picture, from 0, the surest of the class."
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="x1,y1,x2,y2",
            help="Of a segmenter: the pixels to explain, at its own image size; by default those of the class.",
        ),
    ] = None,
    outputs: Annotated[
        Literal["logits", "probabilities", "log_probabilities", "multi_label_logits", "multi_label_probabilities"]
        | None,
        typer.Option(help="What the network's numbers are; measured otherwise."),
    ] = None,
    layout: Annotated[
        Literal["channels_first", "channels_last"] | None,
        typer.Option(help="How the target layer gives its maps: (N, C, h, w) or (N, h, w, C); measured otherwise."),
    ] = None,
    style: Literal["overlay", "heatmap", "masked"] = "overlay",
    background: Annotated[
        Literal["color", "gray", "none"] | None,
        typer.Option(
            help="What overlays lie over and masks show elsewhere: the image in color (masked: dim), in gray (masked: "
            "pale), or nothing (masked: black); by default overlays in color, masks on gray.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        Literal["image", "shared"], typer.Option(help="Each map from 0 to 1, or all of a method on one scale.")
    ] = "image",
    faithfulness: Annotated[bool, typer.Option("--faithfulness", help="Measure how faithful the maps are.")] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw where in images networks see a class, or what speaks for a box that a detector finds."""
    checkpoints, images = image_paths.split_paths(paths, images)
    device = tuned_process(device)
    import torch

    from gradscape.figures.images.heatmap_panel import known_background
    from gradscape.studies import located
    from gradscape.studies.networks import load_finite_models, network_kind

    known_background(background, [style])
    torch.manual_seed(seed)
    models = load_finite_models(checkpoints, device)
    asked = {
        "methods": method, "target_layer": layer, "class_index": class_index, "outputs": outputs, "layout": layout,
        "detection": detection, "region": corners("--region")(region), "measured": faithfulness or None,
        "scale": scale if scale != "image" else None,
    }  # fmt: skip
    given = {name: one for name, one in asked.items() if one is not None}
    kind = network_kind(models)
    located.check_options(kind, given)
    looks: dict[str, Any] = {"style": style, "background": background}
    explain = _explain_classes if kind == "classifier" else _explain_parts
    explain(models, images, output, given=given, looks=looks, quiet=quiet)


def _explain_classes(
    models: "Mapping[str, Classifier]",
    files: Sequence[Path],
    output: Path,
    *,
    given: Options,
    looks: Options,
    quiet: bool,
) -> None:
    from gradscape.data.pictures import load_pictures
    from gradscape.studies import cam as study
    from gradscape.studies import faithfulness_differences as paired
    from gradscape.studies.networks import common_image_size

    shown = load_pictures(files, common_image_size(models))
    looks = {**looks, "scale": given.pop("scale", "image")}
    with waiting("explaining", quiet=quiet):
        explained = study.explain_pictures(models, shown, **given)
        written = save_or_keep(
            lambda folder: [*explained.save(folder), *study.draw_explanations(explained, folder, **looks)], output
        )
    if quiet:
        return
    say_table(study.CLASS_HEADINGS, study.tabulate_classes(explained))
    say_table(study.METHOD_HEADINGS, study.tabulate_methods(explained))
    if explained.faithfulness:
        say_table(study.FAITHFULNESS_HEADINGS, study.tabulate_faithfulness(explained))
    if explained.differences:
        say_table(paired.DIFFERENCE_HEADINGS, paired.tabulate_faithfulness_differences(explained.differences))
        say(paired.describe_pairing(explained.differences, len(shown.images)))
    say_written(written)


def _explain_parts(
    models: "Mapping[str, Classifier]",
    files: Sequence[Path],
    output: Path,
    *,
    given: Options,
    looks: Options,
    quiet: bool,
) -> None:
    from gradscape.data.pictures import load_canvases
    from gradscape.studies import located as study
    from gradscape.studies.networks import common_image_size

    shown = load_canvases(files, common_image_size(models))
    with waiting("explaining", quiet=quiet):
        explained = study.explain_located(models, shown, **given)
        written = save_or_keep(
            lambda folder: [*explained.save(folder), *study.draw_located(explained, folder, **looks)], output
        )
    if not quiet:
        say_table(study.LOCATED_HEADINGS, study.tabulate_located(explained))
        say_written(written)
