"""gradscape attention."""

from typing import Annotated

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import image_paths, look_options, options
from gradscape.cli.console import say_table, say_written, tuned_process, waiting

__all__ = ["attention"]


@look_options.with_look(*look_options.MAP)
def attention(
    paths: image_paths.Paths,
    *,
    images: image_paths.Images,
    output: options.Output,
    block: Annotated[
        list[str] | None, typer.Option(help="Draw all that this attention block computes; may be repeated.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw what a network's attention blocks compute for images."""
    checkpoint, images = image_paths.split_one(paths, images)
    device = tuned_process(device)
    import torch

    from gradscape.data.pictures import load_pictures
    from gradscape.studies import attention as study
    from gradscape.studies.networks import load_finite_models

    torch.manual_seed(seed)
    ((name, model),) = load_finite_models([checkpoint], device).items()
    shown = load_pictures(images, model.image_size)
    with waiting("looking at the attention", quiet=quiet):
        seen = study.attend_pictures(name, model, shown, blocks=block or ())
        written = save_or_keep(
            lambda folder: [seen.save(folder)[0], *study.draw_attention(seen, folder, blocks=block or ())], output
        )
    if not quiet:
        say_table(study.HEADINGS, study.tabulate_attention(seen))
        say_written(written)
