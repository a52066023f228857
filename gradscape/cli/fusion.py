"""gradscape fusion."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import image_paths, look_options, options
from gradscape.cli.console import say, say_written, tuned_process, waiting

__all__ = ["fusion"]


@look_options.with_look(*look_options.MAP)
def fusion(
    paths: image_paths.Paths,
    *,
    output: options.Output,
    images: Annotated[
        list[Path] | None, typer.Option("--images", metavar="PATH...", help="Image files and folders of them.")
    ] = None,
    noise: Annotated[bool, typer.Option("--noise", help="Standard normal noise instead of images.")] = False,
    block: Annotated[
        str | None, typer.Option(help="Attention block; by default the one that the network's paper shows.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw features before attention, the attention's part, and both together."""
    checkpoint, files = image_paths.split_one(paths, images or [])
    if bool(files) == noise:
        raise ValueError("`--images` and `--noise` say what the network is shown: give one of them")
    device = tuned_process(device)
    from gradscape.data.pictures import load_pictures
    from gradscape.studies import fusion as study
    from gradscape.studies.networks import load_finite_models

    ((name, model),) = load_finite_models([checkpoint], device).items()
    size = model.image_size
    shown = study.noise_pictures(size, seed=seed) if noise else load_pictures(files, size)
    with waiting("fusing", quiet=quiet):
        fused = study.fuse_pictures(name, model, shown, block=block, noise=noise)
        written = save_or_keep(lambda folder: [fused.save(folder)[0], *study.draw_fusion(fused, folder)], output)
    if not quiet:
        say(f"block {fused.maps.block}: {', '.join(fused.maps.names)}; {fused.maps.meta['formula']}")
        say_written(written)
