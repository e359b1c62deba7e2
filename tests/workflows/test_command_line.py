"""What a command line may hold: one sentence for whatever it may not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import get_type_hints
from unittest.mock import patch

import pytest
from temporay.operators.dataset.rows import INSTRUCTIONS
from temporay.operators.errors import UserError
from temporay.workflows import __main__ as program
from temporay.workflows.__main__ import COMMANDS, config_of, module_of
from temporay.workflows.command_line import presets_in
from temporay.workflows.data.generate import GenerateConfig


def given(*arguments: str) -> GenerateConfig:
    config: GenerateConfig = config_of("generate", ["quickstart", "--out", "x", *arguments])
    return config


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.module])
def test_every_command_lists_its_settings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.dispatch([name, "--help"])
    assert ended.value.code == 0 and f"usage: temporay {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.presets])
def test_every_preset_lacks_paths_alone(name: str) -> None:
    fields = get_type_hints(module_of(COMMANDS[name].module).run)["config"].model_fields
    required = [path for path in ("data", "model", "out") if path in fields]
    for preset in presets_in(module_of(f"presets.{COMMANDS[name].presets}")):
        config = config_of(name, [preset, *(word for path in required for word in (f"--{path}", "here"))])
        assert type(config).model_validate(dict(config)) == config


def test_help_of_light_commands_loads_nothing_heavy() -> None:
    program = """
import sys
from temporay.workflows.__main__ import config_of
for name in ("lint", "audit", "retry", "export", "preview", "generate", "plan"):
    try:
        config_of(name, ["--help"])
    except SystemExit:
        continue
print("loaded:", {"torch", "ray", "transformers", "vllm"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: set()\n")


def test_a_dotted_flag_changes_one_field() -> None:
    assert given("--canvas.fps", "8").canvas.fps == 8.0
    assert given("--num-samples", "7").num_samples == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--num-samples", "0"), "num_samples.*greater than or equal to 1.*given: 0"),
        (("--level", "9"), "level.*less than 5.*given: 9"),
        (("--num-smples", "3"), "'--num-smples'; did you mean '--num-samples'"),
        (("--codec.crff", "3"), "'--codec.crff'; did you mean '--codec.crf'"),
        (("stray",), "unknown setting 'stray'"),
    ],
)
def test_what_is_not_valid_is_named_with_what_is(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        given(*arguments)


def test_a_value_that_is_no_number_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        given("--num-samples", "many")
    assert ended.value.code == 2
    assert "many" in capsys.readouterr().err


def test_rewards_are_chosen_by_name() -> None:
    paths = ["--data", "d", "--model", "m", "--out", "o"]
    config = config_of("grpo", ["tiny", *paths, "--rewards.weights", "accuracy=1", "process=0.5"])
    assert config.rewards.weights == {"accuracy": 1.0, "process": 0.5}
    assert config_of("grpo", ["tiny", *paths]).rewards.weights == {"accuracy": 1.0}
    with pytest.raises(SystemExit):
        config_of("grpo", ["tiny", *paths, "--rewards.weights", "accuracy"])


@pytest.mark.parametrize("command", ["sft tiny", "grpo tiny", "evaluate"])
def test_instructions_are_given_by_name_or_in_words(command: str) -> None:
    name, *preset = command.split()
    paths = ["--data", "d", "--model", "m", "--out", "o"]
    given = {word: config_of(name, [*preset, *paths, "--instruction", word]).instruction for word in ("letter", "Why?")}
    assert given == {"letter": INSTRUCTIONS["letter"], "Why?": "Why?"}
    assert config_of(name, [*preset, *paths]).instruction == ""


def test_without_a_preset_the_presets_are_named() -> None:
    with pytest.raises(UserError, match=r"needs a preset.*quickstart"):
        config_of("generate", [])
    with pytest.raises(UserError, match="quickstart"):
        config_of("generate", ["quickstrat"])


def test_a_stopped_background_job_ends_resumable(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell without job control has those ignore SIGINT, which must not make SIGTERM ignored as well."""

    def stopped(_arguments: list[str]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10.0)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with patch.object(program, "import_module", return_value=SimpleNamespace(main=stopped)):
            assert program.main(["submit"]) == program.RESUMABLE
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "interrupted; run the same command again" in capsys.readouterr().err
