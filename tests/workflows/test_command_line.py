"""What a command line may hold: one sentence for whatever it may not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints
from unittest.mock import patch

import pytest
from temporay.operators.dataset.rows import INSTRUCTIONS
from temporay.operators.errors import UserError
from temporay.workflows import __main__ as program
from temporay.workflows import interruption
from temporay.workflows.__main__ import COMMANDS, config_of, module_of
from temporay.workflows.command_line import flags_of, presets_in
from temporay.workflows.config import fields_from
from temporay.workflows.data.generate import GenerateConfig


def given(*arguments: str) -> GenerateConfig:
    config: GenerateConfig = config_of("generate", ["quickstart", "--out", "x", *arguments])
    return config


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.module])
def test_every_command_lists_its_settings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.dispatch([name, "--help"])
    assert ended.value.code == 0 and f"usage: temporay {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.module])
def test_a_misspelled_flag_is_one_line_in_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where flags that the command needs are missing. What is proposed is among all flags that help lists."""
    kind = get_type_hints(module_of(COMMANDS[name].module).run)["config"]
    presets = presets_in(module_of(f"presets.{COMMANDS[name].presets}")) if COMMANDS[name].presets else {}
    command = [*name.split(), *list(presets)[:1]]
    with pytest.raises(SystemExit):
        program.dispatch([*command, "--help"])
    listed = set(re.findall(r"^[│| ]*(--[a-z][\w.-]*) ", capsys.readouterr().out, re.MULTILINE)) - {"--help"}
    assert listed == set(flags_of(kind))
    for flag in sorted(listed)[:: max(1, len(listed) // 3)] or ["--"]:
        wrong = f"{flag}q"
        assert program.main([*command, wrong, "1"]) == program.USER
        said = capsys.readouterr().err
        proposed = f"; did you mean '{flag}'? `" if flag in listed else "; `"
        assert said == (
            f"temporay: unknown setting '{wrong}'{proposed}temporay {' '.join(command)} --help` lists every setting\n"
        )


def test_a_flag_without_its_dotted_name_is_answered_with_those_that_end_in_it() -> None:
    with pytest.raises(UserError, match=r"unknown setting '--lr'; did you mean '--optimizer.lr'\? `temporay sft tiny"):
        config_of("sft", ["tiny", "--data", "d", "--model", "m", "--out", "o", "--lr", "1"])


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--num-samples", "many"), "--num-samples: 'many' is not a whole number; `temporay"),
        (("--canvas.fps", "fast"), "--canvas.fps: 'fast' is not a number; `temporay"),
        (("--num-samples",), "--num-samples needs a value; `temporay"),
        (("--split", "dev"), "--split: 'dev' is not one of 'train', 'rl', 'test'; `temporay"),
    ],
)
def test_a_value_that_cannot_be_read_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["generate", "quickstart", "--out", "x", *arguments]) == program.USER
    said = capsys.readouterr().err
    assert said.startswith(f"temporay: {sentence}") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        ("sft tiny", "--optimizer.lr inf", "optimizer.lr: Input should be a finite number (given: inf)"),
        (
            "sft tiny",
            "--trained.lora.rank 0",
            "trained.lora.rank: Input should be greater than or equal to 1 (given: 0)",
        ),
        ("sft tiny", "--num-steps 0", "num_steps: Input should be greater than or equal to 1 (given: 0)"),
        (
            "run quickstart",
            "--grpo.optimizer.lr nan",
            "grpo.optimizer.lr: Input should be a finite number (given: nan)",
        ),
        ("grpo tiny", "--rewards.weights accuracy=0 number=0", "rewards: weights is accuracy=0 number=0, so that"),
        ("plan sft tiny", "--machine 8xH100", "machine: machine is '8xH100'; give COUNTxNAME-MEMORYGB"),
    ],
)
def test_a_value_that_is_not_valid_is_named_by_its_flag(
    command: str, arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--model", "m"] if command.startswith("plan") else ["--data", "d", "--model", "m", "--out", "o"]
    paths = ["--out", "o"] if command.startswith("run") else paths
    assert program.main([*command.split(), *paths, *arguments.split()]) == program.USER
    said = capsys.readouterr().err
    assert said.startswith(f"temporay: {sentence}") and said.count("given") <= 1 and said.count("\n") == 1


def test_a_missing_path_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["grpo", "tiny", "--model", "m", "--out", "o"]) == program.USER
    said = capsys.readouterr().err
    assert said.startswith("temporay: missing: --data PATH") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rewards.weights", "acuracy=1"), "rewards: unknown reward 'acuracy'; did you mean 'accuracy'"),
        (("--rewards.weights", "accuracy"), "--rewards.weights: 'accuracy' is not NAME=NUMBER"),
        (("--rewards.weights", "no_such_module:reward=1"), "rewards: cannot load 'no_such_module:reward'"),
        (("--scale-rewards", "grup"), "scale_rewards: unknown advantage 'grup'; did you mean 'group'"),
        (("--loss.loss-type", "dappo"), "loss: unknown loss 'dappo'; did you mean 'dapo'"),
        (("--pool.engine", "vlm"), "pool.engine: unknown engine 'vlm'; did you mean 'vllm'"),
        (("--pool.engine", "no_such_module:Engine"), "pool.engine: cannot load 'no_such_module:Engine'"),
    ],
)
def test_a_component_that_does_not_exist_is_named_before_anything_starts(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--data", "d", "--model", "m", "--out", str(tmp_path / "out")]
    assert program.main(["grpo", "tiny", *paths, *arguments]) == program.USER
    said = capsys.readouterr().err
    assert said.startswith(f"temporay: {sentence}") and "given" not in said
    assert not (tmp_path / "out").exists()


def test_a_reader_that_leaves_is_no_fault() -> None:
    """As ``temporay … --help | head`` does, before the help is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "temporay.workflows", "sft", "tiny", "--help"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (program.RESUMABLE, "")


def test_rewards_are_chosen_by_name() -> None:
    paths = ["--data", "d", "--model", "m", "--out", "o"]
    config = config_of("grpo", ["tiny", *paths, "--rewards.weights", "accuracy=1", "process=0.5"])
    assert config.rewards.weights == {"accuracy": 1.0, "process": 0.5}
    assert config_of("grpo", ["tiny", *paths]).rewards.weights == {"accuracy": 1.0}


def test_fields_of_rewards_are_given_by_dotted_names(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["grpo", "tiny", "--data", "d", "--model", "m", "--out", "o", "--rewards.weights", "overlong=1"]
    fields = ["overlong.max_completion_len=200", "overlong.soft_punish_cache=50"]
    config = config_of("grpo", [*chosen[1:], "--rewards.settings", *fields])
    assert config.rewards.settings == {"overlong": {"max_completion_len": 200, "soft_punish_cache": 50}}
    assert fields_from(["my.rewards:Own.name=word"]) == {"my.rewards:Own": {"name": "word"}}
    for wrong, said in {
        "overlong.max_completion_len": "'overlong.max_completion_len' is not NAME.FIELD=VALUE",
        "overlong.length=3": "its settings: --rewards.settings overlong.max_completion_len=… overlong.soft_punish",
        "repetition.ngram_size=3": "unknown reward in settings 'repetition'",
    }.items():
        assert program.main([*chosen, "--rewards.settings", wrong]) == program.USER
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["sft tiny", "grpo tiny", "evaluate"])
def test_instructions_are_given_by_name_or_in_words(command: str) -> None:
    name, *preset = command.split()
    paths = ["--data", "d", "--model", "m", "--out", "o"]
    given = {word: config_of(name, [*preset, *paths, "--instruction", word]).instruction for word in ("letter", "Why?")}
    assert given == {"letter": INSTRUCTIONS["letter"], "Why?": "Why?"}
    assert config_of(name, [*preset, *paths]).instruction == ""


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("instruction", "Answer <|im_end|> now", "<|im_end|> is a special token"),
        ("instruction", "<video>", "<video> is a special token"),
        ("validation-arms", "ordered ordered", "named once each"),
    ],
)
def test_texts_and_arms_that_mean_nothing_are_refused(flag: str, value: str, said: str) -> None:
    paths = ["--data", "d", "--model", "m", "--out", "o"]
    words = value.split() if flag.endswith("arms") else [value]
    with pytest.raises(UserError, match=re.escape(said)):
        config_of("sft", ["tiny", *paths, f"--{flag}", *words])


@pytest.mark.parametrize("arms", [[], ["blind", "blind"]])
def test_an_evaluation_has_each_arm_once(arms: list[str]) -> None:
    with pytest.raises(UserError, match="there is at least one"):
        config_of("evaluate", ["--data", "d", "--model", "m", "--out", "o", "--arms", *arms])


@pytest.mark.parametrize(("flag", "value"), [("num-samples", "0"), ("num-samples", "-3"), ("max-tokens", "0")])
def test_an_evaluation_of_nothing_is_refused(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["evaluate", "--data", "d", "--model", "m", "--out", "o", f"--{flag}", value]) == program.USER
    said = capsys.readouterr().err
    name = flag.replace("-", "_")
    assert said == f"temporay: {name}: Input should be greater than or equal to 1 (given: {value})\n"


def test_a_home_folder_is_found_behind_an_equals_sign() -> None:
    """A shell replaces the ``~`` of ``--out ~/x``, and leaves that of ``--out=~/x``."""
    paths = ["--data=~/d", "--model", "m", "--out=~/o", "--video-reading.videos=~/v"]
    config = config_of("sft", ["tiny", *paths])
    home = Path.home()
    assert (config.data, config.out, config.video_reading.videos) == (home / "d", home / "o", home / "v")
    assert config_of("sft", ["tiny", *paths[1:], "--data", "hf:a/b"]).absolute().data == Path("hf:a/b")


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
        in_time = patch.object(interruption, "CLEANUP_S", 3600.0)  # or it would end this process by force
        with in_time, patch.object(program, "import_module", return_value=SimpleNamespace(main=stopped)):
            assert program.main(["submit"]) == program.RESUMABLE
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "interrupted; run the same command again" in capsys.readouterr().err
