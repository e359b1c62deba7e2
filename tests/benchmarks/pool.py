"""The rollout pool against a bare ``vllm.LLM.generate``: `make bench-pool` prints the table.

Both get the same prompts, seeds and engine settings and one thread each, in turn, each time with clips that are in no
cache. The bare side only generates: no texts, no records, frames in its own memory. There are two ratios, as medians
with their range: by wall seconds, and by CPU seconds of all processes, which a busy machine disturbs less.
"""

from __future__ import annotations

import asyncio
import os

os.environ["OMP_NUM_THREADS"] = "1"  # threads of the bare side; the pool's engine has one too

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
import torch
import torch._dynamo
import tyro
from temporay.models.engines._base import rollout_seed
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines.vllm import LLM, RequestOutputKind, SamplingParams, llm_arguments
from temporay.models.families._base import family_of, video_metadata
from temporay.models.tiny import TinyShape, build
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt, Sampling
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.settings import ResolvedPool
from temporay.workflows.session import ray_session

BOUND = 0.95


@dataclass(frozen=True)
class Settings:
    repeats: int = 16  # short turns: a shared machine's speed changes within the minute
    prompts: int = 24
    rollouts: int = 8
    tokens: int = 128
    frames: int = 8
    side_px: int = 64
    prompts_per_call: int = 24


@dataclass(frozen=True)
class Measured:
    tokens: int
    wall_s: float
    cpu_s: float


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    torch._dynamo.config.disable = True  # as our engine does: small functions would be compiled for 20 s
    with tempfile.TemporaryDirectory() as scratch, ray_session():
        model = Path(scratch) / "model"
        build(model, ["Which way does the red circle move? It moves left."] * 20, TinyShape(), seed=0)
        engine_settings = EngineSettings(max_model_len=512, max_num_seqs=128, kv_cache_mib=256)
        config = ResolvedPool(
            engine="vllm", threads=1, prompts_per_call=settings.prompts_per_call, settings=engine_settings
        )
        family = family_of(model)
        processor = family.load_processor(model)
        arguments = llm_arguments(model, engine_settings, family.banned_token_ids(processor))
        del arguments["weight_transfer_config"]
        with RolloutPool.started(config, model) as pool:
            llm = LLM(**arguments)
            rows = [compare(settings, pool, llm, processor, repeat) for repeat in range(-1, settings.repeats)][1:]
    report(rows)


def compare(settings: Settings, pool: RolloutPool, llm: LLM, processor: Any, repeat: int) -> tuple[Measured, Measured]:
    """Measure both sides on the same new prompts, first one side, next time the other; the first pair is a warm-up."""
    prompts = make_prompts(settings, processor, repeat)
    sampling = Sampling(num_rollouts=settings.rollouts, temperature=1.0, max_tokens=settings.tokens, seed=repeat + 1)
    sides = [lambda: by_pool(pool, prompts, sampling), lambda: by_vllm(llm, processor, prompts, sampling)]
    measured = {side: sides[side]() for side in ((0, 1) if repeat % 2 else (1, 0))}
    for name, one in (("pool", measured[0]), ("vllm", measured[1])):
        print(f"{name}  {one.tokens} tokens  {one.tokens / one.wall_s:.0f} tokens/s  CPU {one.cpu_s:.1f} s", flush=True)
    return measured[0], measured[1]


def make_prompts(settings: Settings, processor: Any, repeat: int) -> list[Prompt]:
    shape = (settings.frames, settings.side_px, settings.side_px, 3)
    content = [{"type": "video"}, {"type": "text", "text": "Which way does the red circle move?"}]
    chat = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    rng = np.random.default_rng([17, repeat + 1])
    return [
        Prompt(
            key=f"r{repeat}-{i}",
            text=text,
            media=(ShownMedium(frames_THWC=rng.integers(0, 256, shape, dtype=np.uint8), fps=4.0),),
        )
        for i in range(settings.prompts)
    ]


def by_pool(pool: RolloutPool, prompts: Sequence[Prompt], sampling: Sampling) -> Measured:
    engine = psutil.Process(ray.get(pool.roster.slots[0].actor.__ray_call__.remote(lambda _: os.getpid())))
    start_s, cpu_start_s = time.perf_counter(), cpu_of(engine) + time.process_time()
    groups = asyncio.run(pool.generate(prompts, sampling))
    wall_s, cpu_s = time.perf_counter() - start_s, cpu_of(engine) + time.process_time() - cpu_start_s
    return Measured(sum(len(r.completion_ids) for group in groups for r in group.rollouts), wall_s, cpu_s)


def by_vllm(llm: LLM, processor: Any, prompts: Sequence[Prompt], sampling: Sampling) -> Measured:
    start_s, cpu_start_s = time.perf_counter(), time.process_time()
    requests = [
        {
            "prompt": prompt.text,
            "multi_modal_data": {
                "video": [(prompt.media[0].frames_THWC, video_metadata(prompt.media[0]) | {"do_sample_frames": False})]
            },
        }
        for prompt in prompts
    ]
    params = [
        SamplingParams(
            n=sampling.num_rollouts,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            seed=rollout_seed(sampling, prompt),
            stop_token_ids=[processor.tokenizer.eos_token_id],
            ignore_eos=True,
            logprobs=0,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        for prompt in prompts
    ]
    outputs = llm.generate(requests, params, use_tqdm=False)
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_start_s
    return Measured(sum(len(c.token_ids) for output in outputs for c in output.outputs), wall_s, cpu_s)


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def report(rows: Sequence[tuple[Measured, Measured]]) -> None:
    ratios = {
        "wall": [(pool.tokens / pool.wall_s) / (bare.tokens / bare.wall_s) for pool, bare in rows],
        "CPU": [(pool.tokens / pool.cpu_s) / (bare.tokens / bare.cpu_s) for pool, bare in rows],
    }
    for name, values in ratios.items():
        median = statistics.median(values)
        print(
            f"pool / bare vLLM, tokens per {name} second  {median:.3f}  ({min(values):.3f} to {max(values):.3f})  "
            f"bound {BOUND}"
        )


if __name__ == "__main__":
    main(tyro.cli(Settings))
