"""How a model is evaluated, wherever it and the questions are."""

from pydantic import Field
from temporay.operators.scoring.arms import ARMS
from temporay.operators.settings import Settings
from temporay.workflows.config import Arms, Instruction


class EvaluateSettings(Settings):
    """What is asked of a model under which arms."""

    arms: Arms = ARMS
    num_samples: int | None = Field(default=None, ge=1)  # per primitive; None: all
    max_tokens: int = Field(default=256, ge=1)
    instruction: Instruction = ""  # letter, text, or words of your own; "": the model was shown one format only
