"""The command ``temporay`` (``python -m temporay.workflows`` is the same).

Exit codes: 0 done; 2 the user's input or configuration is wrong; 75 interrupted, run it again; 1 a fault of ours.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Sequence

from temporay.operators.errors import UserError, unknown_name

DONE, FAULT, USER, RESUMABLE = 0, 1, 2, 75
COMMANDS = {  # name → module with ``main(arguments) -> None`` and a phrase for --help
    "run": ("temporay.workflows.pipeline", "everything: data, base model, SFT, GRPO, evaluation, report"),
    "plan": (
        "temporay.workflows.data.plan",
        "what a dataset would cost: samples, core-hours, GB, tokens, by a short probe",
    ),
    "generate": ("temporay.workflows.data.generate", "make a dataset of videos with questions, answers and reasoning"),
    "audit": ("temporay.workflows.data.audit", "what can be guessed from a dataset without watching"),
    "lint": ("temporay.workflows.data.lint", "check a dataset: schema, checksums, clips, answers, duplicates, twins"),
    "retry": ("temporay.workflows.data.retry", "make a dataset's failed samples again, once what broke them is mended"),
    "preview": ("temporay.workflows.reports.preview", "one offline page that plays a dataset's samples"),
    "export": ("temporay.workflows.data.export", "a dataset as verl, ms-swift or LLaMA-Factory read it"),
    "sft": ("temporay.workflows.sft.loop", "fine-tune a model on a dataset's reasoning (Ray Train, FSDP2)"),
    "grpo": ("temporay.workflows.grpo.loop", "improve a model against verifiable rewards"),
    "evaluate": (
        "temporay.workflows.evaluate",
        "accuracy by primitive and arm: ordered, shuffled, single-frame, blind",
    ),
    "report": (
        "temporay.workflows.reports.report",
        "one offline page of a run: curves, arms, samples, rollouts and claims",
    ),
    "tune": ("temporay.workflows.tune", "search SFT settings by dotted names (Ray Tune, ASHA)"),
    "submit": ("temporay.cluster.submit", "send any of these commands to a cluster as a Ray job"),
}


def usage() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {phrase}" for name, (_, phrase) in COMMANDS.items()]
    return "\n".join(["usage: temporay COMMAND …", "", *lines, "", "temporay COMMAND --help lists every setting."])


def dispatch(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return DONE if arguments else USER
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    command: Callable[[list[str]], int | None] = importlib.import_module(COMMANDS[name][0]).main
    return command(rest) or DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: turns what the user can mend into one sentence on stderr."""
    # A stopped job ends like Ctrl-C, resumable; not by SIGINT's handler, which shells take from background jobs.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return dispatch(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        print(f"temporay: {error}", file=sys.stderr)
        return USER
    except KeyboardInterrupt:
        print("temporay: interrupted; run the same command again to go on", file=sys.stderr)
        return RESUMABLE
    except Exception as error:
        cause = user_error_inside(error)
        if cause is None:
            raise
        print(f"temporay: {cause}", file=sys.stderr)
        return USER


def user_error_inside(error: BaseException | None) -> UserError | None:
    """A UserError that a Ray worker or one of several coroutines raised, behind the errors wrapped around it."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        if isinstance(current, UserError):
            return current
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        pending += [getattr(current, "cause", None), current.__cause__, current.__context__]
        pending += current.exceptions if isinstance(current, BaseExceptionGroup) else ()
    return None


if __name__ == "__main__":
    sys.exit(main())
