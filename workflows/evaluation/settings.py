"""How a model is evaluated, wherever it and the questions are."""

from typing import Annotated

from pydantic import AfterValidator, Field
from temporay.operators.errors import UserError
from temporay.operators.scoring.arms import ARMS, Arm
from temporay.operators.settings import Settings
from temporay.workflows.config import Instruction


def _different(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    if not arms or len(set(arms)) < len(arms):
        raise UserError(f"there must be at least one arm, and each once, not {list(arms)}")
    return arms


Arms = Annotated[tuple[Arm, ...], AfterValidator(_different)]


class EvaluateSettings(Settings):
    """What is asked of a model under which arms."""

    arms: Arms = ARMS
    num_samples: int | None = Field(default=None, ge=1)  # per primitive; None: all
    max_tokens: int = Field(default=256, ge=1)
    instruction: Instruction = ""  # letter, text, or words of your own; "": the model was shown one format only
