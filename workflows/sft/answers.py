"""Validation during training by answers: the model of the run writes them itself, on the devices that train it.

    weights of all ranks → one engine in each rank → its share of the questions → answers of all → accuracy, gaps

Training waits meanwhile. It costs the generation of every answer under every arm, and memory for the weights once more
on each rank, in bfloat16 on GPUs and float32 on CPUs. Between validations the engine holds no weights.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import torch
from temporay.models.cost.host_memory import spare_bytes
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines.local import Local
from temporay.models.parallel import pass_dtype
from temporay.operators.errors import UserError
from temporay.operators.records import Group, Prompt, Sampling
from temporay.workflows.evaluation.during_training import measures
from temporay.workflows.learner.learner import Learner
from temporay.workflows.sft.inputs import AskedWhileTraining
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.validation import Validation

GIB = 1 << 30


class AnswerValidation(Validation):
    """Validation by answers to held-out questions."""

    def __init__(self, learner: Learner, asked: AskedWhileTraining, config: SftConfig) -> None:
        """Take one rank's part; its engine is made at the first validation."""
        super().__init__(learner, config)
        self._asked, self.processor = asked, learner.processor
        self._dtype = pass_dtype(learner.policy.parallel.device, "auto")
        self._engine: Local | None = None

    def measure(self) -> dict[str, Any]:
        """Return accuracies and gaps of all ranks' answers (``during_training.measures``)."""
        parallel = self._learner.policy.parallel
        engine = self._with_weights()
        rows = asyncio.run(self._asked.held_out.ask(self, (parallel.rank, parallel.world_size)))
        engine.sleep(keep_weights=False)
        parallel.release_cache()
        return measures([row for some in parallel.gathered(rows) for row in some])

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Group]:
        """Answer in this thread, which has the threads of the rank; clips are decoded in others meanwhile."""
        assert self._engine is not None
        return self._engine.generate(prompts, sampling)

    def _with_weights(self) -> Local:
        """Return the engine with the policy's weights. Every rank must call it, because they gather each together."""
        policy = self._learner.policy
        if self._engine is None:
            self._check_memory()
            settings = EngineSettings(
                dtype="bfloat16" if self._dtype == torch.bfloat16 else "float32",
                max_model_len=self._asked.max_model_len,
                max_num_seqs=self._config.micro_batch_size,
            )
            self._engine = Local(self._config.model, settings)
        weights = ({name: weight} for name, weight in policy.whole_weights(self._dtype))
        self._engine.load_weights(weights, self._learner.step)
        return self._engine

    def _check_memory(self) -> None:
        """Check that this rank's host has room for the weights once more.

        Raises:
            UserError: it has not.
        """
        if self._learner.policy.parallel.device.type != "cpu":
            return
        needed = sum(part.numel() for part in self._learner.policy.model.parameters()) * self._dtype.itemsize
        spare = spare_bytes(self._learner.ranks_on_host)
        if needed > spare:
            raise UserError(
                f"answers of validation need the weights once more, {needed / GIB:.1f} GiB on each worker, and "
                f"{max(0.0, spare) / GIB:.1f} GiB are free; use fewer workers on a host, or validate by targets "
                "(validation_answers False)"
            )
