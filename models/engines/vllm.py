"""vLLM: raw frames and the unexpanded prompt go in once for each group.

    prompts → one request with n completions each → token ids and log-probs
    rollouts, begun → one request each: the unexpanded prompt's ids, the completion until now, the same frames
    buckets of weights → layerwise reload → the next version; caches are salted by version, never reset
    or adapters → a folder in shared memory → every worker's layers for adapters

It computes in this process; a tensor parallel engine, in worker processes of its own, which end with this one.

Written for vLLM 0.31. Resetting caches while requests run kills the engine, and nothing resets the encoder's cache.
Versions are therefore part of every cache key (measured; vllm issues 44910, 45093).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
from PIL import Image
from temporay.models.adapters import Adapters
from temporay.models.cost.kv_cache import BLOCK_SIZE
from temporay.models.engines._base import (
    ASLEEP,
    NO_WEIGHTS,
    EngineLostError,
    check_length,
    extended,
    num_new_tokens,
    rollout_seed,
    started_groups,
)
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines._shared_tensors import SharedTensors
from temporay.models.families._base import family_of, video_metadata
from temporay.operators.media import ShownMedium
from temporay.operators.records import FinishReason, Group, Prompt, Sampling

# vLLM reads these when it is imported. In one process there is no message to an engine core and no copy of the frames.
ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1"}
os.environ.update(ENVIRONMENT)
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
# vLLM would pin its threads to cores that a trainer or a second engine on this machine uses as well.
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

from temporay.models.engines import _vllm_worker as worker  # noqa: E402
from temporay.models.engines._vllm_adapters import adapter_arguments, load_adapters  # noqa: E402
from vllm import LLM, SamplingParams  # noqa: E402
from vllm.exceptions import VLLMValidationError  # noqa: E402
from vllm.sampling_params import RequestOutputKind  # noqa: E402

HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"
MIN_BATCHED_TOKENS = 8192  # in one engine step
MEDIA_CACHE_GIB = 0.25  # for processed clips: continued rollouts of a prompt share one


def _with_head(buckets: Iterable[Mapping[str, torch.Tensor]]) -> Iterator[Mapping[str, torch.Tensor]]:
    """Yield the buckets, and the output layer by name at the end if none had it.

    vLLM's reload leaves a tied output layer unchanged when it gets only the embedding. By Hugging Face's convention, a
    state without an output layer belongs to a model that ties it to its embedding.
    """
    has_head = False
    embedding: list[torch.Tensor] = []
    for tensors in buckets:
        yield tensors
        has_head |= HEAD in tensors
        embedding += [tensor for name, tensor in tensors.items() if name.endswith(EMBEDDING)]
    if not has_head:
        yield {HEAD: embedding[0]}


def llm_arguments(path: Path, settings: EngineSettings, banned_ids: Sequence[int]) -> dict[str, Any]:
    """Return the arguments of ``vllm.LLM``."""
    return dict(
        model=str(path),
        dtype=settings.dtype,
        max_model_len=settings.max_model_len,
        max_num_seqs=settings.max_num_seqs,
        kv_cache_memory_bytes=None if settings.kv_cache_mib is None else settings.kv_cache_mib << 20,
        gpu_memory_utilization=settings.gpu_memory_utilization,
        enable_sleep_mode=settings.sleep_mode and torch.cuda.is_available(),  # vLLM refuses it on CPUs
        enforce_eager=not settings.compile,
        tensor_parallel_size=settings.tensor_parallel,
        distributed_executor_backend="uni" if settings.tensor_parallel == 1 else "mp",
        block_size=BLOCK_SIZE,
        enable_prefix_caching=True,
        # vLLM 0.31 sets back the random generator of a seeded request during prefill, which a CPU generator cannot do.
        enable_chunked_prefill=torch.cuda.is_available(),
        max_num_batched_tokens=max(MIN_BATCHED_TOKENS, settings.max_model_len),
        limit_mm_per_prompt={"video": settings.max_videos, "image": settings.max_images},
        skip_mm_profiling=True,
        mm_processor_cache_gb=MEDIA_CACHE_GIB,
        logprobs_mode="processed_logprobs",
        # By name, because worker processes look them up for themselves.
        logits_processors=[f"{worker.__name__}:Forbidding"],
        additional_config={worker.BANNED_IDS: list(banned_ids)},
        weight_transfer_config={"backend": worker.BACKEND},
        worker_extension_cls=f"{worker.__name__}.{worker.Extension.__name__}",
        generation_config="vllm",
        disable_log_stats=True,
        seed=0,
        **(adapter_arguments(path, settings.adapters) if settings.adapters else {}),
    )


class Vllm:
    """The default engine wherever vLLM can be installed."""

    name = "vllm"

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        # Two small functions of the sampler are compiled even in eager mode: 20 s of a C++ compiler at the first batch.
        torch._dynamo.config.disable = not settings.compile
        os.environ["TORCH_COMPILE_DISABLE"] = "0" if settings.compile else "1"  # the same in worker processes
        self.weight_version = 0
        self._asleep = False
        self._adapters: Any = None  # those that were loaded last
        self._settings = settings
        self._family = family_of(path)
        self._processor = self._family.load_processor(path)
        before = multiprocessing.active_children()
        self._llm = LLM(**llm_arguments(path, settings, self._family.banned_token_ids(self._processor)))
        self._workers = [child for child in multiprocessing.active_children() if child not in before]
        self._llm.collective_rpc("drop_packed_embeddings")

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None = None
    ) -> list[Group]:
        if self._asleep:  # vLLM would wait without end
            raise RuntimeError(ASLEEP)
        groups = started_groups(prompts, sampling, begun)
        asked = [one for i, group in enumerate(groups) for one in _requests_of(i, group)]
        uuids = [self._uuids(prompt) for prompt in prompts]
        requests = [self._request(prompts[one.index], uuids[one.index], one) for one in asked]
        params = [self._sampling_params(prompts[one.index], sampling, one) for one in asked]
        shared = {"use_tqdm": False, "lora_request": self._adapters}
        try:
            outputs = self._llm.generate(requests, params, **shared) if asked else []
        except (VLLMValidationError, ValueError):
            self._check_lengths(prompts, sampling)  # says which prompt is too long and which setting to change
            raise
        except RuntimeError as error:
            self._check_workers(error)
            raise
        answers: list[list[tuple[EngineRequest, Any]]] = [[] for _ in prompts]
        for one, output in zip(asked, outputs, strict=True):
            answers[one.index].append((one, output))
        return [
            self._group(prompt, group, mine, sampling)
            for prompt, group, mine in zip(prompts, groups, answers, strict=True)
        ]

    def sleep(self, *, keep_weights: bool) -> None:
        """Free the memory of weights and cache, as vLLM's levels 1 and 2 do. On a CPU vLLM only pauses.

        What adapters are added to never comes again, so level 2 would lose it.
        """
        self._llm.sleep(level=1 if keep_weights or self._settings.adapters else 2)
        self.weight_version = self.weight_version if keep_weights else NO_WEIGHTS
        self._asleep = True

    def wake_up(self) -> None:
        if self._asleep:
            self._llm.wake_up()
        self._asleep = False

    def load_adapters(self, adapters: Adapters, version: int) -> None:
        self.wake_up()
        self._adapters = None  # the old ones may be half replaced if the new ones cannot be loaded
        self._adapters = load_adapters(self._llm, adapters, version)
        self.weight_version = version

    def load_weights(self, buckets: Iterable[Mapping[str, torch.Tensor]], version: int) -> None:
        if self._settings.adapters:
            raise RuntimeError("an engine that computes adapters beside its weights was given whole weights")
        if self._asleep:  # the cache comes last, when the weights have passed
            self._llm.wake_up(tags=["weights"])
        self._llm.start_weight_update()
        try:
            for tensors in _with_head(buckets):
                self._send(tensors)
        finally:  # also after a bucket that did not arrive: vLLM must be ready for the next version
            self._llm.finish_weight_update(str(version))
        self.wake_up()
        self.weight_version = version

    def _send(self, weights: Mapping[str, torch.Tensor]) -> None:
        if self._settings.tensor_parallel == 1:
            self._llm.update_weights({"update_info": {"weights": weights}})
            return
        with SharedTensors.holding(weights) as shared:
            self._llm.update_weights({"update_info": {"shared": shared}})

    def _check_workers(self, error: Exception) -> None:
        ended = [process.name for process in self._workers if not process.is_alive()]
        if ended:
            raise EngineLostError(f"worker processes of an engine have ended: {', '.join(ended)}") from error

    def _check_lengths(self, prompts: Sequence[Prompt], sampling: Sampling) -> None:
        encoded = self._family.encode(self._processor, prompts)
        for prompt, ids in zip(prompts, encoded.prompt_ids, strict=True):
            check_length(prompt.key, len(ids), sampling.max_tokens, self._settings.max_model_len)

    def _uuids(self, prompt: Prompt) -> list[str]:
        """Name the media by their content, because arms of an evaluation show other frames under the same key."""
        return [f"{medium.fingerprint()}@{self.weight_version}" for medium in prompt.media]

    def _request(self, prompt: Prompt, uuids: Sequence[str], one: EngineRequest) -> dict[str, Any]:
        request: dict[str, Any] = {"cache_salt": str(self.weight_version)}
        if one.prefix:
            request["prompt_token_ids"] = [*self._processor.tokenizer(prompt.text)["input_ids"], *one.prefix]
        else:
            request["prompt"] = prompt.text
        for medium, uuid in zip(prompt.media, uuids, strict=True):
            request.setdefault("multi_modal_data", {}).setdefault(medium.kind, []).append(_as_given(medium))
            request.setdefault("multi_modal_uuids", {}).setdefault(medium.kind, []).append(uuid)
        return request

    def _sampling_params(self, prompt: Prompt, sampling: Sampling, one: EngineRequest) -> Any:
        # vLLM adds g to the seed of a request with several completions.
        row = (one.places[0], len(one.prefix)) if one.prefix else ()
        return SamplingParams(
            n=len(one.places),
            temperature=sampling.temperature,
            max_tokens=num_new_tokens(sampling, len(one.prefix)),
            seed=rollout_seed(sampling, prompt, *row) if sampling.temperature > 0 else None,
            stop_token_ids=[self._processor.tokenizer.eos_token_id],
            ignore_eos=True,  # the tokenizer's end of turn is the only one, whatever config.json lists
            logprobs=0,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _group(
        self, prompt: Prompt, group: Group, answers: Sequence[tuple[EngineRequest, Any]], sampling: Sampling
    ) -> Group:
        prompt_ids, rollouts = group.prompt_ids, list(group.rollouts)
        for one, output in answers:
            read_ids = tuple(output.prompt_token_ids)
            prompt_ids = prompt_ids or read_ids
            if read_ids != (*prompt_ids, *one.prefix):
                raise RuntimeError(f"vLLM read other ids than those of prompt {prompt.key} and its completion")
            check_length(prompt.key, len(prompt_ids), sampling.max_tokens, self._settings.max_model_len)
            for g, completion in zip(one.places, output.outputs, strict=True):
                if completion.finish_reason not in ("stop", "length"):
                    raise RuntimeError(f"vLLM ended a rollout of prompt {prompt.key}: {completion.finish_reason}")
                rollouts[g] = extended(
                    prompt,
                    rollouts[g],
                    completion.token_ids,
                    completion.logprobs.logprobs,
                    version=self.weight_version,
                    sampling=sampling,
                    tokenizer=self._processor.tokenizer,
                )
        return replace(group, prompt_ids=prompt_ids, rollouts=tuple(rollouts))


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One request: new rollouts of a prompt, or a single one that is continued."""

    index: int  # place of the prompt in its call
    places: tuple[int, ...]  # g of each rollout
    prefix: tuple[int, ...]  # token ids of the completion until now


def _requests_of(index: int, group: Group) -> list[EngineRequest]:
    if not group.prompt_ids:
        return [EngineRequest(index, tuple(range(len(group.rollouts))), ())]
    return [
        EngineRequest(index, (g,), rollout.completion_ids)
        for g, rollout in enumerate(group.rollouts)
        if rollout.finish_reason is FinishReason.SEGMENT
    ]


def _as_given(medium: ShownMedium) -> Any:
    """Return a video or an image as vLLM takes it. An array might be taken for one with colors first."""
    if medium.kind == "image":
        return Image.fromarray(medium.frames_THWC[0])
    return medium.frames_THWC, video_metadata(medium) | {"do_sample_frames": False}
