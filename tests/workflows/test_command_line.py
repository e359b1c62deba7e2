"""What a command line may hold: one sentence for whatever it may not."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from temporay.operators.errors import UserError
from temporay.workflows import __main__ as program
from temporay.workflows.command_line import parse
from temporay.workflows.data.generate import GenerateConfig
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.presets.datasets import PRESETS
from temporay.workflows.presets.training import GRPO_PRESETS


def given(*arguments: str) -> GenerateConfig:
    return parse("generate", GenerateConfig, PRESETS, ["quickstart", "--out", "x", *arguments])


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
    config = parse("grpo", GrpoConfig, GRPO_PRESETS, ["tiny", *paths, "--rewards.weights", "accuracy=1", "process=0.5"])
    assert config.rewards.weights == {"accuracy": 1.0, "process": 0.5}
    assert parse("grpo", GrpoConfig, GRPO_PRESETS, ["tiny", *paths]).rewards.weights == {"accuracy": 1.0}
    with pytest.raises(SystemExit):
        parse("grpo", GrpoConfig, GRPO_PRESETS, ["tiny", *paths, "--rewards.weights", "accuracy"])


def test_without_a_preset_the_presets_are_named() -> None:
    with pytest.raises(UserError, match=r"needs a preset.*quickstart"):
        parse("generate", GenerateConfig, PRESETS, [])
    with pytest.raises(UserError, match="quickstart"):
        parse("generate", GenerateConfig, PRESETS, ["quickstrat"])


def test_a_stopped_background_job_ends_resumable(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell without job control has those ignore SIGINT, which must not make SIGTERM ignored as well."""

    def stopped(_arguments: list[str]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10.0)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with patch.object(program.importlib, "import_module", return_value=SimpleNamespace(main=stopped)):
            assert program.main(["generate"]) == program.RESUMABLE
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "interrupted; run the same command again" in capsys.readouterr().err
