"""What every Ray Train worker runs around its training loop, and which of its errors end a run at once.

Ray Train starts the workers again ``max_failures`` times whatever they raised. An error of its callbacks is final.
"""

from collections.abc import Mapping
from typing import Any

from ray.train import UserCallback
from temporay.operators.errors import UserError, error_behind
from temporay.workflows.learner.shared_folder import check_shared


def run_worker(arguments: Mapping[str, Any]) -> None:
    """Run a training loop where OUT is shared.

    Raises:
        UserError: this worker does not see the folder that the driver writes to.
    """
    check_shared(arguments["config"].out, arguments["token"])
    arguments["loop"](arguments)


class EndAtUserError(UserCallback):  # type: ignore[misc] # Ray has no types
    """Ends a run at an error that would come again."""

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:
        """Raise the error that the user can correct, if a worker met one."""
        for error in worker_exceptions.values():
            cause = error_behind(error, UserError)
            if cause is not None:
                raise cause
