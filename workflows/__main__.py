"""The command ``temporay`` (``python -m temporay.workflows`` is the same).

Exit codes: 0 done; 2 the user's input or configuration is wrong; 75 interrupted, run it again; 1 a fault of ours.
"""

import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, get_type_hints

from temporay.operators.errors import UserError, error_behind, unknown_name
from temporay.workflows.interruption import RESUMABLE, TOLD, end_on_sigterm, has_come

DONE, FAULT, USER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Command:
    """A command; nothing is imported before it is called, so that the list of commands is fast.

    Its module has ``run(config: Class)``, and ``tell(result)`` where there is something to print or an exit code.
    """

    module: str  # below temporay.workflows; "": temporay.cluster.submit, which imports none of ours
    phrase: str
    presets: str = ""  # a module of presets, whose public functions return the settings to start from


COMMANDS = {
    "run": Command("pipeline", "everything: data, base model, SFT, GRPO, evaluation, report", presets="run"),
    "plan": Command(
        "data.plan", "what a dataset would cost: samples, core-hours, GB, tokens, by a short probe", presets="generate"
    ),
    "plan sft": Command("planning.sft", "whether fine-tuning fits a machine, and how long it takes", presets="sft"),
    "plan grpo": Command(
        "planning.grpo", "whether GRPO fits a machine, by role, and how long it takes", presets="grpo"
    ),
    "generate": Command(
        "data.generate", "make a dataset of videos with questions, answers and reasoning", presets="generate"
    ),
    "audit": Command("data.audit", "what can be guessed from a dataset, or from own questions, without watching"),
    "overlap": Command("data.overlap", "what of a benchmark is in the training data: videos, questions, frames"),
    "lint": Command("data.lint", "check a dataset: schema, checksums, clips, answers, duplicates, twins"),
    "retry": Command("data.retry", "make a dataset's failed samples again, after the cause was removed"),
    "preview": Command("reports.preview", "one offline page that plays a dataset's samples"),
    "export": Command("data.export", "a dataset as verl, ms-swift or LLaMA-Factory read it"),
    "sft": Command("sft.loop", "fine-tune a model on a dataset's reasoning (Ray Train, FSDP2)", presets="sft"),
    "grpo": Command("grpo.loop", "improve a model against verifiable rewards", presets="grpo"),
    "evaluate": Command("evaluate", "accuracy by primitive and arm: ordered, shuffled, single-frame, blind"),
    "compare": Command("compare", "two evaluations of the same questions: difference, interval, p-value"),
    "doctor": Command("doctor", "check this machine, and a checkpoint; each failing line says what to do"),
    "export-model": Command("export_model", "any checkpoint of sft or grpo as a model in Hugging Face layout"),
    "report": Command("reports.report", "one offline page of a run: curves, arms, samples, rollouts and claims"),
    "tune": Command("tune", "search SFT settings by dotted names (Ray Tune, ASHA)", presets="tune"),
    "submit": Command("", "send any of these commands to a cluster as a Ray job"),
}


def usage() -> str:
    """Return the list of commands."""
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {command.phrase}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: temporay COMMAND …", "", *lines, "", "temporay COMMAND --help lists every setting."])


def config_of(name: str, arguments: Sequence[str]) -> Any:
    """Read the config of one command from its arguments.

    Raises:
        UserError: a preset, a setting or a value is not valid.
    """
    from temporay.workflows.command_line import parse, presets_in  # loads tyro, which the list of commands does without

    command = COMMANDS[name]
    kind = get_type_hints(module_of(command.module).run)["config"]
    presets = presets_in(module_of(f"presets.{command.presets}")) if command.presets else None
    return parse(name, kind, presets, arguments)


def module_of(name: str) -> ModuleType:
    """Import a module of this package."""
    return import_module(f"temporay.workflows.{name}")


def command_in(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split a command line into the command, whose name has one word or two, and what follows."""
    words = 2 if " ".join(arguments[:2]) in COMMANDS else 1
    return " ".join(arguments[:words]), list(arguments[words:])


def dispatch(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return DONE if arguments else USER
    name, rest = command_in(arguments)
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    if not COMMANDS[name].module:
        return int(import_module("temporay.cluster.submit").main(rest))
    config = config_of(name, rest)
    module = module_of(COMMANDS[name].module)
    result = module.run(config)
    return (module.tell(result) if hasattr(module, "tell") else None) or DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; an error that the user can correct becomes one sentence on stderr."""
    end_on_sigterm()
    try:
        try:
            return dispatch(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # a reader that has left is noticed here, and not when Python ends
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError:
        if not reader_has_left():  # another pipe than that of the output
            raise
        return RESUMABLE  # without a word, as all commands end in ``… | head``
    except SystemExit as error:
        if error.code == signal.SIGTERM:  # by Ray's own handler, while Ray starts
            return interrupted()
        raise
    except Exception as error:
        if has_come():  # it came into the middle of something, which shows as any error
            return interrupted()
        cause = error_behind(error, UserError)
        if cause is None:
            raise
        print(f"temporay: {cause}", file=sys.stderr)
        return USER


def interrupted() -> int:
    """Say that the command can go on, and return its exit code."""
    print(TOLD, file=sys.stderr)
    return RESUMABLE


def reader_has_left() -> bool:
    """Return whether nobody reads the output any more; what is still printed is dropped then."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    left = any(events & select.POLLERR for _, events in poll.poll(0))
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return left


if __name__ == "__main__":
    sys.exit(main())
