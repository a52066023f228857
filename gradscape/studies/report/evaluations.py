"""Evaluations: loss, accuracies and calibration of each network, with intervals, a table for each set of images."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.studies.answer_scores import SCORES
from gradscape.studies.evaluation import CALLED, compare_answers
from gradscape.studies.evaluation_files import interval_text, score_text
from gradscape.studies.image_answers import ImageAnswers
from gradscape.studies.report.commands import command, data_options, network_paths
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, together
from gradscape.studies.report.tables import NONE, Cell, Row, Table

__all__ = ["EVALUATIONS"]

_UNITS = {"nats": "", "share": ", %"}


def _read(path: Path) -> Found[ImageAnswers]:
    answers = ImageAnswers.load(path)
    return Found(path, answers, Provenance.of(answers.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    tables = [_table(group) for group in together(networks, ImageAnswers, _images)]
    return Shown(tables) if tables else None


def _images(found: Found[ImageAnswers]) -> object:
    """What answers to the same images share."""
    return [found.picture_digest, found.result.labels.tolist()]


def _table(group: Sequence[tuple[ReportedNetwork, Found[ImageAnswers]]]) -> Table:
    evaluation = compare_answers({network.title: found.result for network, found in group})
    known = [score for score in SCORES if any(score in scores for scores in evaluation.scores.values())]
    rows = [
        Row(
            name,
            "",
            tuple(
                Cell(score_text(scores[score].value, score), interval_text(scores[score], score))
                if score in scores
                else Cell(NONE)
                for score in known
            ),
        )
        for name, scores in evaluation.scores.items()
    ]
    differences = [
        f"{CALLED[one.score]}, {one.first} − {one.second}: {score_text(one.difference.value, one.score)} "
        f"({interval_text(one.difference, one.score)}), {one.verdict}"
        for one in evaluation.differences
    ]
    return Table(
        caption=f"Answers to {one_line(evaluation.images) or f'{len(group[0][1].result):,} images'}, with intervals.",
        corner="network",
        columns=tuple(f"{CALLED[score]}{_UNITS[SCORES[score]]}" for score in known),
        rows=tuple(rows),
        remarks=(*evaluation.remarks[1 if evaluation.images else 0 :], *differences),
    )


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("evaluation", found) for found in network.of(ImageAnswers)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(group) for group in together(networks, ImageAnswers, _run)]


def _run(found: Found[ImageAnswers]) -> object:
    """What answers of one run share."""
    return [str(found.path.parent.parent), _images(found)]


def _command(group: Sequence[tuple[ReportedNetwork, Found[ImageAnswers]]]) -> str:
    found = group[0][1]
    parts = [*network_paths(group), *data_options(found, usual="test")]
    parts += ["--seed", found.meta.seed] if found.meta.seed else []
    folder = found.path.parent
    return command("evaluate", *parts, "-o", folder.parent if len(group) > 1 else folder)


EVALUATIONS = ReportKind(
    section=Section("evaluation", "Evaluation"),
    readers={".npz:answers": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("accuracy with intervals", "evaluate {networks} --data {data}"),
)
