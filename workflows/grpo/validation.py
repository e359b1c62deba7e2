"""Validation during GRPO: held-out questions, answered by the engines of the run (``evaluation.during_training``)."""

from __future__ import annotations

from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError
from temporay.workflows.data.own_data import opened
from temporay.workflows.evaluation.during_training import HeldOutQuestions
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.learner.best import check_metric, check_no_metric
from temporay.workflows.learner.held_out import check_held_out

STAGE = "grpo_validation"


def held_out_questions(config: GrpoConfig) -> HeldOutQuestions | None:
    """Choose questions once for all steps; None where a run does not validate. Raises as ``HeldOutQuestions.open``."""
    if not config.validates:
        return None
    return HeldOutQuestions.open(
        config, benchmark=config.validation_benchmark, max_tokens=config.max_tokens, command="grpo"
    )


def check_validation(config: GrpoConfig, dataset: Samples) -> None:
    """Refuse a validation that says nothing, before anything starts.

    Raises:
        UserError: its dataset is not there, is empty or shares samples with the training data, the arms do not give
            the metric, or a metric was chosen and there is nothing to validate on.
    """
    if config.validation is None:
        if config.validation_benchmark is not None:
            raise UserError(f"validation_benchmark is {config.validation_benchmark}; give its folder with --validation")
        check_no_metric(config.best_metric, GrpoConfig)
        return
    check_metric(config.best_metric, config.validation_arms)
    if config.validation_benchmark is not None:
        return  # `temporay overlap` compares its videos and questions with the training data
    check_held_out(config.validation, opened(config.validation, config), [dataset])
