"""gradscape demo."""

from pathlib import Path

from gradscape.cli import options
from gradscape.cli.console import say, tuned_process
from gradscape.cli.stages import told_stages

__all__ = ["demo"]


def demo(
    *,
    output: options.Output = Path("gradscape-demo"),
    seed: options.Seed = 0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Train two small networks on digits, compare them in every way there is, and write a report of it."""
    device = tuned_process(device)
    from gradscape.studies.demo import STAGES, run_demo

    with told_stages(STAGES, quiet=quiet) as stages:
        page = run_demo(output, seed=seed, device=device, begin=stages.begin, report=stages.report, show=stages.show)
    if not quiet:
        say(f"open {page}")
