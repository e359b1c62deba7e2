"""How a model is evaluated, wherever it and the questions are."""

from typing import Self

from pydantic import Field, model_validator
from temporay.operators.records import Sampling
from temporay.operators.scoring.arms import ARMS
from temporay.operators.settings import Settings
from temporay.workflows.config import Arms, Instruction


class EvaluateSettings(Settings):
    """What is asked of a model under which arms."""

    arms: Arms = ARMS
    num_samples: int | None = Field(default=None, ge=1)  # per primitive; None: all
    max_tokens: int = Field(default=256, ge=1)
    instruction: Instruction = ""  # letter, text, or words of your own; "": the model was shown one format only
    num_answers: int = Field(default=1, ge=1)  # to every question, sampled; more than 1 needs a temperature
    temperature: float = Field(default=0.0, ge=0)  # 0: greedy

    @model_validator(mode="after")
    def _several_answers_differ(self) -> Self:
        if self.num_answers > 1 and self.temperature == 0:
            raise ValueError(f"num_answers is {self.num_answers} with temperature 0: all would be the same; raise it")
        return self

    @property
    def sampling(self) -> Sampling:
        """How answers are sampled, the same in every call."""
        return Sampling(num_rollouts=self.num_answers, temperature=self.temperature, max_tokens=self.max_tokens, seed=0)
