"""Presets of ``temporay tune``."""

from temporay.workflows.presets import sft
from temporay.workflows.tune import TuneSettings


def tiny() -> TuneSettings:
    """Search around the settings of ``temporay sft tiny``."""
    return TuneSettings(sft=sft.tiny())
