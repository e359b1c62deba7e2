"""Nodes with an engine each come and go every three steps of a loop like GRPO's, on a local cluster of several nodes.

Every step: rollouts of all prompts, then weights of the next version. Nodes are killed, not drained, while prompts are
in flight. The loop runs in a process of its own (this file), because its cluster is not that of the other tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTED = "tests.workflows.scripted_engine:Scripted"  # the workers have the repository's root on their path
PLAN = (1, 1, -1, 1, -1, -1)  # a node more or less every CHANGE_EVERY steps
CHANGE_EVERY = 3
MAX_STEPS_PER_CHANGE = 40
NUM_PROMPTS, NUM_ROLLOUTS = 16, 4
SECONDS_PER_PROMPT = 0.4
TIMEOUT_S = 1200
SAMPLE_INTERVAL_S = 0.05
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # all addresses on loopback, on Linux too
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}


@dataclass(frozen=True)
class StepRow:
    """What one step of the loop saw."""

    step: int
    nodes: int  # beside the head, at the end of the step
    engines: float  # that served, on average over the step
    prompts_per_s: float
    resent: int  # so far
    joined: int
    left: int
    complete: bool  # a whole group for every prompt
    current: bool  # every token by the version of this step, checked by its checksum


@pytest.mark.drill
@pytest.mark.timeout(TIMEOUT_S + 60)
def test_nodes_come_and_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from temporay.models.tiny import TinyShape, build

    model = tmp_path / "model"
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(model, ["Which way does the red circle move? It moves left."] * 20, shape, seed=0)
    (model / "scripted.json").write_text(
        json.dumps({"seconds per prompt": SECONDS_PER_PROMPT, "": ["left", "right", "It moves left.", "up"]})
    )
    with tempfile.TemporaryDirectory(prefix="el", dir="/tmp") as scratch:  # short: paths of sockets have a limit
        done = subprocess.run(
            [sys.executable, __file__, str(model)],
            env=os.environ | ENVIRONMENT | {"RAY_TMPDIR": scratch},
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    rows = [StepRow(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    rates = settled_rates(rows)
    with capsys.disabled():
        print(f"\n\n{table(rows)}")
        for engines, rate in rates.items():
            print(f"{engines} engines: {rate:.2f} prompts/s, {rate / rates[1]:.2f} times that of one")
    assert len(rows) >= CHANGE_EVERY * (len(PLAN) + 1)
    assert all(row.complete and row.current for row in rows)
    assert rows[-1].resent > 0  # nodes went away under prompts in flight
    assert rows[-1].joined >= 1 + PLAN.count(1)
    assert rows[-1].left >= PLAN.count(-1)
    efficiency = [row.prompts_per_s * SECONDS_PER_PROMPT / row.engines for row in rows]
    assert 0.7 < statistics.median(efficiency) < 1.05
    assert sorted(rates) == [1, 2, 3, 4][: max(rates)] and max(rates) > 2
    for engines, rate in rates.items():
        assert 0.75 * engines < rate / rates[1] < 1.33 * engines


def settled_rates(rows: Sequence[StepRow]) -> dict[int, float]:
    """Return prompts per second by the number of engines: the median of the steps through which that number served."""
    rates: dict[int, list[float]] = {}
    for row in rows:
        if row.engines == round(row.engines):
            rates.setdefault(int(row.engines), []).append(row.prompts_per_s)
    return {engines: statistics.median(found) for engines, found in sorted(rates.items())}


def table(rows: list[StepRow]) -> str:
    """Show the run, a line per step; efficiency is throughput per engine, 1 when it only waits for its script."""
    lines = ["step  nodes  engines  prompts/s  efficiency  resent  joined  left  groups"]
    for row in rows:
        efficiency = row.prompts_per_s * SECONDS_PER_PROMPT / row.engines
        fine = "complete, current" if row.complete and row.current else "WRONG"
        lines.append(
            f"{row.step:4d}  {row.nodes:5d}  {row.engines:7.2f}  {row.prompts_per_s:9.2f}  {efficiency:10.2f}  "
            f"{row.resent:6d}  {row.joined:6d}  {row.left:4d}  {fine}"
        )
    return "\n".join(lines)


def main(model: Path) -> None:
    """Run the loop, in its own process."""
    import ray
    from ray.cluster_utils import Cluster
    from temporay.models.engines._settings import EngineSettings
    from temporay.workflows.rollouts.pool import RolloutPool
    from temporay.workflows.rollouts.settings import ResolvedPool

    node = {"num_cpus": 1, "resources": {"rollout": 1}, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        config = ResolvedPool(
            engine=SCRIPTED,
            num_engines=1,
            max_engines=1 + PLAN.count(1),
            resources={"rollout": 1},
            threads=1,
            prompts_per_call=1,
            settings=EngineSettings(max_model_len=128, max_num_seqs=8),
        )
        with RolloutPool.started(config, model) as pool:
            loop(pool, cluster, node)
    finally:
        ray.shutdown()
        cluster.shutdown()


def loop(pool: Any, cluster: Any, node: dict[str, Any]) -> None:
    """generate, load_weights, and a node more or less while prompts are in flight.

    Steps during which an engine still starts are extra: how many depends on the machine.
    """
    added: list[Any] = []
    with ThreadPoolExecutor(max_workers=1) as steps:  # nodes can only be started by the main thread
        step = 0
        for change in (0, *PLAN):
            settled = 0
            for i in range(MAX_STEPS_PER_CHANGE):
                row = steps.submit(asyncio.run, one_step(pool, step))
                if i == 0 and change:
                    time.sleep(1.0)
                    change_nodes(cluster, node, added, change)
                print(json.dumps(asdict(row.result()) | {"nodes": len(added)}), flush=True)
                step += 1
                settled += pool.counters()["engines"] == 1 + len(added)
                if settled == CHANGE_EVERY:
                    break


async def one_step(pool: Any, step: int) -> StepRow:
    import torch
    from temporay.operators.media import ShownMedium
    from temporay.operators.records import Prompt, Sampling
    from temporay.workflows.rollouts.published_weights import publish

    weights = publish([("w", torch.full((1000,), float(step)))], step)
    await pool.load_weights(weights)
    frames_THWC = np.full((2, 32, 32, 3), step, dtype=np.uint8)
    text = "<|vision_start|><|video_pad|><|vision_end|>Which way?"
    prompts = [
        Prompt(key=f"s{step}-{i}", text=text, media=(ShownMedium(frames_THWC=frames_THWC, fps=4.0),))
        for i in range(NUM_PROMPTS)
    ]
    sampling = Sampling(num_rollouts=NUM_ROLLOUTS, temperature=1.0, max_tokens=16, seed=step)
    start_s = time.perf_counter()
    running = asyncio.create_task(pool.generate(prompts, sampling))
    seen = []
    while not running.done():
        seen.append(pool.counters()["engines"])
        await asyncio.sleep(SAMPLE_INTERVAL_S)
    groups = await running
    seconds = time.perf_counter() - start_s
    counters = pool.counters()
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return StepRow(
        step=step,
        nodes=0,
        engines=statistics.mean(seen),
        prompts_per_s=NUM_PROMPTS / seconds,
        resent=counters["prompts_resent"],
        joined=counters["engines_joined"],
        left=counters["engines_left"],
        complete=[g.key for g in groups] == [p.key for p in prompts] and len(rollouts) == NUM_PROMPTS * NUM_ROLLOUTS,
        current={v for rollout in rollouts for v in rollout.weight_versions} == {step}
        and all(group.weight_checksums == {step: weights.checksum} for group in groups),
    )


def change_nodes(cluster: Any, node: dict[str, Any], added: list[Any], how: int) -> None:
    """One more, or the oldest one killed."""
    if how > 0:
        added.append(cluster.add_node(**node))
    else:
        cluster.remove_node(added.pop(0), allow_graceful=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
