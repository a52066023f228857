"""The commands that are killed: small networks and images, a second or two each."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["JOBS", "KEPT", "Job"]

KEPT = Path(__file__).parents[1] / "kept"

_NETWORK = str(KEPT / "model.safetensors")
_IMAGES = ("--images", str(KEPT / "images"))
_TRAINING = ("--data", "digits", "--recipe", "digits", "--epochs", "3", "--limit", "200", "--image-size", "16")
_FEW = ("--data", "digits", "--limit", "64", "--batch-size", "32")
_RUN = str(Path(__file__).with_name("run"))
"""What `gradscape train kept_network:small_net` with `_TRAINING` and `--keep-every 1epochs` kept."""


@dataclass(frozen=True)
class Job:
    """A command.

    Attributes:
        words: Without the program and the output.
        output: What the output is called in the job's folder.
        plan: The file of the undisturbed run whose plan all runs follow; where a clock may choose it.
        settings: Module:name -> value: numbers of the program that are other ones here.
    """

    words: tuple[str, ...]
    output: str = "out"
    plan: str | None = None
    settings: dict[str, float] = field(default_factory=dict)

    def command(self, folder: Path, whole: Path | None) -> list[str]:
        """The command line.

        Args:
            folder: Where the output goes.
            whole: Folder of the undisturbed run; None for that run itself.
        """
        planned = ["--plan", str(whole / self.output / self.plan)] if self.plan and whole else []
        return ["gradscape", *self.words, *planned, "-o", str(folder / self.output)]


_SAVE_OFTEN = {"gradscape.landscape.engine.rounds:_SAVE_SECONDS": 0.0, "gradscape.landscape.engine.rounds:_SHARE": 0}
_TRACE = {
    "gradscape.landscape.engine.budget:_PAYS_BACK": 0.0,
    "gradscape.landscape.engine.budget:_SHARE": float("inf"),
}
_COMPILE = {
    **_TRACE,
    "gradscape.landscape.engine.trials:_WORTH_COMPILING": 0.0,
    "gradscape.landscape.engine.trials:_OTHER_FORM": 0.0,
}

JOBS: dict[str, Job] = {
    "landscape": Job(
        ("landscape", _NETWORK, *_FEW, "--span", "0.5", "--steps", "3", "--live", "-q"),
        settings={**_SAVE_OFTEN, "gradscape.landscape.engine.rounds:_PREVIEW_SECONDS": 0.0},
    ),
    "landscape, traced": Job(
        ("landscape", _NETWORK, "--data", "digits", "--span", "0.5", "--steps", "3", "-q"),
        plan="surface.h5",
        settings={**_SAVE_OFTEN, **_TRACE},
    ),
    "landscape, compiled": Job(
        ("landscape", _NETWORK, "--data", "digits", "--span", "0.5", "--steps", "3", "-q"),
        plan="surface.h5",
        settings={**_SAVE_OFTEN, **_COMPILE},
    ),
    "line, curve": Job(
        (
            *("line", _NETWORK, _NETWORK, *_FEW, "--steps", "3"),
            *("--curve", "bezier", "--curve-epochs", "3", "--plane", "0", "-q"),
        ),
        settings=_SAVE_OFTEN,
    ),
    "line": Job(("line", _NETWORK, *_FEW, "--steps", "5", "-q"), settings=_SAVE_OFTEN),
    "train": Job(("train", "kept_network:small_net", *_TRAINING, "--keep-every", "3steps", "-q")),
    "train, with a worker": Job(("train", "kept_network:small_net", *_TRAINING, "--workers", "1", "-q")),
    "cam": Job(("cam", _NETWORK, *_IMAGES, "--method", "gradcam", "--layer", "deep", "-q")),
    "tsne": Job(("tsne", _NETWORK, "--data", "digits", "--limit", "40", "--perplexity", "8", "-q")),
    "curvature": Job(("curvature", _NETWORK, *_FEW, "--trace", "--density", "-q")),
    "curvature, map": Job(
        ("curvature", _NETWORK, *_FEW, "--map", "-0.5:0.5:3,-0.5:0.5:2", "-q"),
        settings={"gradscape.landscape.hessian.curvature_walk:_SAVE_SECONDS": 0.0},
    ),
    "sharpness": Job(("sharpness", _NETWORK, *_FEW, "--kind", "average", "--kind", "worst", "-q")),
    "animate": Job(("animate", _RUN, *_FEW, "--steps", "3", "-q"), settings=_SAVE_OFTEN),
    "decision": Job(("decision", _NETWORK, "--images", str(KEPT / "images" / "digit-3.png"), "--steps", "5", "-q")),
    "compare": Job(("compare", str(KEPT / "surface.h5"), "-q")),
    "figure": Job(("figure", "upanets:15", str(KEPT / "surface.h5"), "-q")),
    "report": Job(("report", str(KEPT), "-q"), output="report.html"),
}
