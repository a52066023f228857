"""Time a worker process of Ray against the evaluator in this process, at about 100 ms a point.

Run it from anywhere: `python benchmarks/ray_overhead.py [REPEATS]`. ResNet-20 on 128 images (real ones where
GRADSCAPE_TEST_DATA says, else random ones) at 40 points a turn, on one thread, with one worker on this machine. The
two take turns, and every turn gives one ratio. It prints the ratios' median and quartiles and fails if the median is
above 1.05 or a result differs in a bit.
"""

import logging
import os
import sys
import time
from collections.abc import Sequence

import numpy as np
import ray
import torch
from subject import load_subject

from gradscape._allocator import keep_freed_memory
from gradscape.landscape.cluster.pool import Cluster
from gradscape.landscape.engine.blocks import cut_blocks, join_blocks
from gradscape.landscape.engine.ledger import Judgment
from gradscape.landscape.engine.network import evaluable, ready_network
from gradscape.landscape.engine.task import Task
from gradscape.landscape.engine.trials import choose_plan
from gradscape.landscape.engine.work import Work
from gradscape.landscape.engine.workers import Evaluator, Job, Workers

IMAGES, POINTS = 128, 40
MOST = 1.05


def make_work() -> Work:
    """A line of points through a ResNet-20."""
    subject = load_subject("resnet20", IMAGES)
    coordinates = np.stack([np.linspace(0, 0.5, POINTS + 1), np.linspace(0, -0.5, POINTS + 1)], axis=1)
    return Work(
        model=subject.net,
        directions=subject.directions,
        coordinates=coordinates,
        shape=[POINTS],
        task=Task(),
        first=next(cut_blocks([(subject.images, subject.labels)], IMAGES)),
        images=IMAGES,
        population=IMAGES,
        seconds=None,
    )


def timed(workers: Workers, jobs: Sequence[Job]) -> tuple[float, dict[Job, list[Judgment]]]:
    """Seconds, and the results."""
    began = time.perf_counter()
    results = dict(workers.measure(jobs))
    return time.perf_counter() - began, results


def main() -> int:
    """Measure; the exit status."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    torch.set_num_threads(1)
    keep_freed_memory()
    work = make_work()
    jobs = [Job((point,), (0,)) for point in range(1, POINTS + 1)]
    with evaluable(work.model):
        chosen = choose_plan(work, precision="fp32", batch_size=IMAGES)
        batches = join_blocks([work.first], 0, 1)
        with (
            ready_network(work.model, work.directions, work.task.forward, chosen.plan, chosen.graph) as network,
            Cluster("local", work, chosen.plan) as cluster,
        ):
            device = work.first.inputs.device
            here = Evaluator(network, work.coordinates, work.task, chosen.plan, device=device)
            for workers in (here, cluster):
                workers.load(batches)
                timed(workers, jobs)
            turns = [(timed(here, jobs), timed(cluster, jobs)) for _ in range(repeats)]
    ratios = [remote / own for (own, _), (remote, _) in turns]
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    point = np.median([own for (own, _), _ in turns]) / POINTS
    same = all(
        np.array_equal(mine[0].losses, found[job][0].losses)
        for (_, own), (_, found) in turns
        for job, mine in own.items()
    )
    print(f"one point in this process: {1000 * point:.0f} ms ({chosen.notes['graph']})")
    print(f"time by Ray / in this process: {middle:.3f} (quartiles {low:.3f} to {high:.3f}, {repeats} turns)")
    print(f"losses: {'the same to the bit' if same else 'DIFFERENT'}")
    return bool(middle > MOST or not same)


if __name__ == "__main__":
    sys.exit(main())
