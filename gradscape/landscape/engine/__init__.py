"""The engine: a model moved through parameter space and evaluated block by block of images."""

from gradscape.landscape.engine.blocks import (
    Batch,
    Block,
    Blocks,
    count_images,
    cut_blocks,
    join_blocks,
    map_tensors,
    tensors_in,
)
from gradscape.landscape.engine.followed import check_followed
from gradscape.landscape.engine.labels import check_labels, in_mean_weight
from gradscape.landscape.engine.ledger import Judgment
from gradscape.landscape.engine.logits import cross_entropy, ignored_label, top1
from gradscape.landscape.engine.moving import check_directions, moving_names, named_tensors
from gradscape.landscape.engine.network import evaluable, ready_network
from gradscape.landscape.engine.plan import (
    BLOCK_IMAGES,
    ExecutionPlan,
    Precision,
    block_images,
    check_same_plan,
    plain_plan,
)
from gradscape.landscape.engine.plan_trial import seconds_an_image
from gradscape.landscape.engine.premade import check_premade
from gradscape.landscape.engine.recalibration import (
    CALIBRATION_BATCH,
    Recalibration,
    kept_statistics,
    running_statistics,
    write_statistics,
)
from gradscape.landscape.engine.rounds import Limits, Progress, Report
from gradscape.landscape.engine.run import Result, Run
from gradscape.landscape.engine.stored_ends import evaluate_stored_ends
from gradscape.landscape.engine.stored_run import check_stored_run, whole_plan
from gradscape.landscape.engine.task import (
    ForwardFunction,
    LossFunction,
    MetricFunction,
    Task,
    call,
    check_model,
    same_output,
)
from gradscape.landscape.engine.trials import ChosenPlan, choose_plan
from gradscape.landscape.engine.trust import check_handles, specimen, trusted_graph
from gradscape.landscape.engine.work import KnownGraphs, Work
from gradscape.landscape.engine.workers import Evaluator, Job, Workers

__all__ = [
    "BLOCK_IMAGES",
    "CALIBRATION_BATCH",
    "Batch",
    "Block",
    "Blocks",
    "ChosenPlan",
    "Evaluator",
    "ExecutionPlan",
    "ForwardFunction",
    "Job",
    "Judgment",
    "KnownGraphs",
    "Limits",
    "LossFunction",
    "MetricFunction",
    "Precision",
    "Progress",
    "Recalibration",
    "Report",
    "Result",
    "Run",
    "Task",
    "Work",
    "Workers",
    "block_images",
    "call",
    "check_directions",
    "check_followed",
    "check_handles",
    "check_labels",
    "check_model",
    "check_premade",
    "check_same_plan",
    "check_stored_run",
    "choose_plan",
    "count_images",
    "cross_entropy",
    "cut_blocks",
    "evaluable",
    "evaluate_stored_ends",
    "ignored_label",
    "in_mean_weight",
    "join_blocks",
    "kept_statistics",
    "map_tensors",
    "moving_names",
    "named_tensors",
    "plain_plan",
    "ready_network",
    "running_statistics",
    "same_output",
    "seconds_an_image",
    "specimen",
    "tensors_in",
    "top1",
    "trusted_graph",
    "whole_plan",
    "write_statistics",
]
