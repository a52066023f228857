"""gradscape tsne."""

from typing import Annotated

import typer

from gradscape._refuge import save_or_keep
from gradscape.cli import look_options, options
from gradscape.cli.console import say, say_written, tuned_process, waiting
from gradscape.cli.numbers import at_least_one

__all__ = ["tsne"]


@look_options.with_look(*look_options.PAGE)
def tsne(
    checkpoints: options.Checkpoints,
    *,
    data: options.Data,
    output: options.Output,
    split: options.SplitName = "test",
    limit: options.Limit = 700,
    classes: Annotated[str | None, typer.Option(metavar="a,b,…", help="Only these, by name or number.")] = None,
    layer: Annotated[
        str | None, typer.Option(help="Module whose output is embedded; else what the last linear layer takes in.")
    ] = None,
    backend: Annotated[str, typer.Option(help="sklearn, opentsne or umap.")] = "sklearn",
    perplexity: Annotated[
        float, typer.Option(help="About how many neighbors of each image count.", callback=at_least_one("--perplexity"))
    ] = 30,
    batch_size: options.BatchSize = 64,
    data_root: options.DataRoot = None,
    download: options.Download = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Put the same images into the plane by each network's features, with t-SNE, and draw them."""
    device = tuned_process(device)
    from gradscape.studies import tsne as study
    from gradscape.studies.networks import common_image_size, load_models

    models = load_models(checkpoints, device)
    images = study.choose_images(
        data,
        split,
        classes=classes,
        limit=limit,
        root=data_root,
        image_size=common_image_size(models),
        batch_size=batch_size,
        seed=seed,
        download=download,
    )
    making = {"layer": layer, "backend": backend, "perplexity": perplexity, "seed": seed}
    with waiting("embedding", quiet=quiet):
        embedded, written = [], []
        for one in study.embed_models(models, images, **making):
            written += save_or_keep(one.save, output)
            embedded.append(one)
            if not quiet:
                say(one.remark)
        written += save_or_keep(lambda folder: study.draw_embeddings(embedded, folder), output)
    if not quiet:
        say_written(written)
