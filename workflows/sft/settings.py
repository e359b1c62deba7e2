"""What a fine-tuning run can be told."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator
from temporay.operators.dataset.rows import ANSWER_ONLY_INSTRUCTION
from temporay.operators.records import Sample
from temporay.operators.scoring.arms import FRAME_ARMS
from temporay.operators.seeding import fraction
from temporay.workflows.config import OwnText
from temporay.workflows.learner.settings import TrainingConfig, TrainingSettings
from temporay.workflows.sft.mixture import absolute_entry

ANSWER_ONLY = "answer_only"  # samples that are taught without their chain of thought, in names of metrics
# A loss is to fall, all others to grow. Accuracy is known where the model answers (``validation_answers``).
BestMetric = Literal["ordered_loss", "ordered_accuracy", "shuffled_gap", "single_frame_gap", "blind_gap"]


class SftSettings(TrainingSettings):
    """How a model is fine-tuned, wherever it and the samples are."""

    batch_size: int | None = Field(default=32, ge=1)  # samples per step, over all workers; None: by tokens_per_step
    tokens_per_step: int | None = Field(default=None, ge=1)  # a step takes samples until the next would exceed it
    answer_only_share: float = Field(default=0.0, ge=0, le=1)  # of the samples with a chain of thought: taught without
    answer_only_wordings: float = Field(default=1.0, ge=0, le=1)  # share of each question's wordings it applies to
    answer_only_learns: Literal["answer", "form"] = "answer"  # form: that it answers at once, but not what
    answer_only_instruction: OwnText = ANSWER_ONLY_INSTRUCTION  # ``instruction`` for samples taught without it
    max_length: int | None = Field(default=None, ge=1)  # tokens; longer samples are left out. None: the tokenizer's own
    best_metric: BestMetric = "ordered_loss"  # the weights with the best one are kept in OUT/best
    stop_when_exact: float | None = Field(default=None, gt=0, le=1)  # ends the run; see ``validation``

    @model_validator(mode="after")
    def _one_measure_of_a_step(self) -> Self:
        if (self.batch_size is None) == (self.tokens_per_step is None):
            raise ValueError(
                "a step is measured in samples or in tokens: give one of batch_size and tokens_per_step, and None to "
                f"the other (batch_size {self.batch_size}, tokens_per_step {self.tokens_per_step})"
            )
        return self

    @property
    def has_answers(self) -> bool:
        """Whether the model answers held-out questions. Otherwise their targets are given to it."""
        return False

    @model_validator(mode="after")
    def _metric_is_measured(self) -> Self:
        known, other = ("accuracy", "loss") if self.has_answers else ("loss", "accuracy")
        if self.best_metric == f"ordered_{other}":
            how = "has the model answer" if self.has_answers else "gives the model its targets"
            raise ValueError(
                f"best_metric is {self.best_metric}, but validation {how} (validation_answers {self.has_answers}), "
                f"which has no {other}; give ordered_{known} or a gap"
            )
        return self

    @model_validator(mode="after")
    def _arms_change_frames(self) -> Self:
        if self.has_answers:
            return self
        if others := [arm for arm in self.validation_arms if arm not in FRAME_ARMS]:
            raise ValueError(
                f"validation of SFT gives the target and takes away frames, so that {', '.join(others)} means nothing "
                f"there; give some of {', '.join(FRAME_ARMS)}, or --validation-answers True"
            )
        return self

    def may_stop(self, exact: Mapping[str, float]) -> bool:
        """Return whether enough is learned: whether every share of exact targets is high enough.

        Args:
            exact: shares by kind of held-out sample, as validation measures them.
        """
        return self.stop_when_exact is not None and min(exact.values(), default=0.0) >= self.stop_when_exact

    def as_taught(self, sample: Sample) -> Sample:
        """Return what is taught: the sample, or for a fixed share of them the sample without its chain of thought.

        With ``answer_only_wordings`` below 1, the other wordings are always taught with it. A model then learns to
        reason about some texts and to answer others at once.
        """
        if not self.answer_only_share or not self._may_be_answer_only(sample.facts.get("wording")):
            return sample
        is_short = fraction("answer_only", self.seed, sample.key) < self.answer_only_share
        return replace(sample, rationale="") if is_short else sample

    def _may_be_answer_only(self, wording: int | None) -> bool:
        """Spread the wordings evenly: every second one for one half. Questions without wordings are all alike."""
        if wording is None:
            return True
        return int((wording + 1) * self.answer_only_wordings) > int(wording * self.answer_only_wordings)

    def learns_form_only(self, sample: Sample) -> bool:
        """Return whether the answer's own tokens are not learned, because a sample's chain of thought is left out."""
        is_short = bool(sample.rationale) and not self.as_taught(sample).rationale
        return is_short and self.answer_only_learns == "form"

    def instruction_for(self, sample: Sample) -> str:
        """Return how a sample as taught is told to answer, with or without a chain of thought."""
        return self.instruction if sample.rationale else self.answer_only_instruction


class SftConfig(SftSettings, TrainingConfig):
    """Settings of ``temporay sft``."""

    # The model answers held-out questions every ``validate_every`` steps, in place of being given their targets.
    validation_answers: bool = False
    validation_tokens: int = Field(default=256, ge=1)  # most tokens of each such answer
    validation_benchmark: str | None = None  # whose files are in ``validation``: it is always answered
    mixture: tuple[str, ...] = ()  # other datasets as PATH=SHARE of all samples; ``data`` has what they leave

    @property
    def has_answers(self) -> bool:
        return self.validation_answers or self.validation_benchmark is not None

    @model_validator(mode="after")
    def _answers_are_to_something(self) -> Self:
        if self.has_answers and self.validation is None:
            name = "validation_answers" if self.validation_answers else "validation_benchmark"
            raise ValueError(f"{name} is given, but nothing to validate on: give its folder with --validation")
        if self.has_answers and self.stop_when_exact is not None:
            raise ValueError(
                f"stop_when_exact ({self.stop_when_exact}) is measured on targets that are given: leave it out, or "
                "validation_answers and validation_benchmark"
            )
        return self

    @model_validator(mode="after")
    def _stops_by_validation(self) -> Self:
        if self.stop_when_exact is not None and self.validation is None:
            raise ValueError(
                f"stop_when_exact ({self.stop_when_exact}) is measured on held-out samples: give validation, or None"
            )
        return self

    def absolute(self) -> Self:
        """Return the same settings with paths that mean the same in every process."""
        changed = {
            "mixture": tuple(map(absolute_entry, self.mixture)),
            "video_reading": self.video_reading.absolute(),
        }
        return super().absolute().model_copy(update=changed)
