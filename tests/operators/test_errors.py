"""An error that a user can correct is found among the errors that wrap it."""

from __future__ import annotations

from temporay.operators.errors import UserError, error_behind, said_by


class GroupFailed(Exception):
    """As Ray Train raises it."""

    def __init__(self, worker_failures: dict[int, Exception]) -> None:
        super().__init__("a worker failed")
        self.worker_failures = worker_failures


def test_user_error_of_a_worker_is_found() -> None:
    cause = UserError("sample 3 cannot be read")
    task_error = RuntimeError("ray")
    task_error.cause = cause  # type: ignore[attr-defined]
    outer = RuntimeError("fit")
    outer.__cause__ = GroupFailed({1: task_error})
    assert error_behind(outer, UserError) is cause
    assert error_behind(ExceptionGroup("halves", [RuntimeError("ours"), outer]), UserError) is cause
    assert error_behind(GroupFailed({0: RuntimeError("ours")}), UserError) is None
    assert error_behind(None, UserError) is None


class TaskFailed(UserError):
    """As Ray raises a UserError of an actor: of the same kind, with a traceback in its text."""

    def __init__(self, cause: UserError) -> None:
        super().__init__(f"Traceback (most recent call last): {cause}")
        self.cause = cause


def test_the_text_of_an_error_has_no_traceback_of_ray() -> None:
    cause = UserError("tensor_parallel is 2")
    assert error_behind(TaskFailed(cause), UserError) is cause


def test_errors_that_wrap_each_other_end_the_search() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert error_behind(first, UserError) is None


def test_an_error_without_words_says_so() -> None:
    assert said_by(AssertionError()) == "no reason given"
    assert said_by(ValueError("\nfirst\nsecond")) == "first"
