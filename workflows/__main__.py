"""The command ``temporay`` (``python -m temporay.workflows`` is the same).

Exit codes: 0 done; 2 the user's input or configuration is wrong; 75 interrupted, run it again; 1 a fault of ours.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from temporay.operators.errors import UserError, error_behind, unknown_name

DONE, FAULT, USER, RESUMABLE = 0, 1, 2, 75


@dataclass(frozen=True, slots=True)
class Command:
    """A command by the names of what it needs. They are imported when it is called, so that ``--help`` is fast."""

    phrase: str  # for --help
    run: str  # module:function of the config; of the arguments when there is no config
    config: str = ""  # module:Class
    presets: str = ""  # a module whose public functions return the values to start from
    after: str = ""  # module:function of what ``run`` returned; it prints that, and may return an exit code


COMMANDS = {
    "run": Command(
        "everything: data, base model, SFT, GRPO, evaluation, report",
        run="pipeline:run",
        config="pipeline:PipelineConfig",
        presets="presets.run",
    ),
    "plan": Command(
        "what a dataset would cost: samples, core-hours, GB, tokens, by a short probe",
        run="data.plan:run",
        config="data.generate:GenerateConfig",
        presets="presets.generate",
    ),
    "generate": Command(
        "make a dataset of videos with questions, answers and reasoning",
        run="data.generate:run",
        config="data.generate:GenerateConfig",
        presets="presets.generate",
    ),
    "audit": Command(
        "what can be guessed from a dataset without watching",
        run="data.audit:run",
        config="data.audit:AuditConfig",
    ),
    "lint": Command(
        "check a dataset: schema, checksums, clips, answers, duplicates, twins",
        run="data.lint:run",
        config="data.lint:LintConfig",
        after="data.lint:exit_code",
    ),
    "retry": Command(
        "make a dataset's failed samples again, after their cause was removed",
        run="data.retry:run",
        config="data.retry:RetryConfig",
    ),
    "preview": Command(
        "one offline page that plays a dataset's samples",
        run="reports.preview:run",
        config="reports.preview:PreviewConfig",
    ),
    "export": Command(
        "a dataset as verl, ms-swift or LLaMA-Factory read it",
        run="data.export:run",
        config="data.export:ExportConfig",
    ),
    "sft": Command(
        "fine-tune a model on a dataset's reasoning (Ray Train, FSDP2)",
        run="sft.loop:run",
        config="sft.settings:SftConfig",
        presets="presets.sft",
        after="sft.loop:tell",
    ),
    "grpo": Command(
        "improve a model against verifiable rewards",
        run="grpo.loop:run",
        config="grpo.settings:GrpoConfig",
        presets="presets.grpo",
        after="grpo.loop:tell",
    ),
    "evaluate": Command(
        "accuracy by primitive and arm: ordered, shuffled, single-frame, blind",
        run="evaluate:run",
        config="evaluate:EvaluateConfig",
        after="evaluate:tell",
    ),
    "report": Command(
        "one offline page of a run: curves, arms, samples, rollouts and claims",
        run="reports.report:run",
        config="reports.report:ReportConfig",
    ),
    "tune": Command(
        "search SFT settings by dotted names (Ray Tune, ASHA)",
        run="tune:run",
        config="tune:TuneConfig",
        presets="presets.tune",
    ),
    # The cluster package imports none of ours, so it reads its own arguments.
    "submit": Command("send any of these commands to a cluster as a Ray job", run="temporay.cluster.submit:main"),
}


def usage() -> str:
    """Return the list of commands."""
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {command.phrase}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: temporay COMMAND …", "", *lines, "", "temporay COMMAND --help lists every setting."])


def named(name: str) -> Any:
    """Import what an entry of the table names: a module, or something in one."""
    module, _, attribute = name.partition(":")
    found = import_module(module if module.startswith("temporay.") else f"temporay.workflows.{module}")
    return getattr(found, attribute) if attribute else found


def config_of(name: str, arguments: Sequence[str]) -> Any:
    """Read the config of one command from its arguments.

    Raises:
        UserError: a preset, a setting or a value is not valid.
    """
    from temporay.workflows.command_line import parse, presets_in  # loads tyro, which the list of commands does without

    command = COMMANDS[name]
    presets = presets_in(named(command.presets)) if command.presets else None
    return parse(name, named(command.config), presets, arguments)


def dispatch(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return DONE if arguments else USER
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    command = COMMANDS[name]
    given = config_of(name, rest) if command.config else rest
    result = named(command.run)(given)
    if not command.config:
        return int(result)
    return (named(command.after)(result) if command.after else None) or DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; an error that the user can correct becomes one sentence on stderr."""
    # SIGTERM ends a command like Ctrl-C. SIGINT's own handler does not serve: shells ignore SIGINT in background jobs.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return dispatch(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("temporay: interrupted; run the same command again to go on", file=sys.stderr)
        return RESUMABLE
    except Exception as error:
        cause = error_behind(error, UserError)
        if cause is None:
            raise
        print(f"temporay: {cause}", file=sys.stderr)
        return USER


if __name__ == "__main__":
    sys.exit(main())
