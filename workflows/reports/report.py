"""``temporay report``: one offline page of a run: what training did, one sample's words, and then everything else.

of temporay run:          summary.json, metrics.jsonl, evaluation/*.jsonl, data/, sft/, grpo/ -> RUN/report.html
of temporay sft and grpo: workflows.reports.stage_report                           -> RUN/report.html
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import tyro
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.errors import UserError
from temporay.operators.files import read_json
from temporay.operators.pages.page import cell_table, escape, page, section, tiles, why, write_page
from temporay.operators.settings import Settings
from temporay.workflows.grpo.log import ends_words, trend_words
from temporay.workflows.reports import learned, stage_report
from temporay.workflows.reports.accuracies import accuracy_table, arms_chart, mean_chance
from temporay.workflows.reports.curves import GRPO_CURVES, PARITY_WORDS, curve, is_curve, logged, noise_words
from temporay.workflows.reports.rollout_cards import section_of
from temporay.workflows.reports.sample_cards import MODELS, Answers, samples
from temporay.workflows.runs.run_dir import BEGIN_AGAIN, RunDir

PAGE = "report.html"
DATA = "data"  # folder of a run
SPLITS = ("train", "rl", "test")


class ReportConfig(Settings):
    """Settings of ``temporay report``."""

    run: tyro.conf.Positional[Path]  # of ``temporay run``, finished; of ``temporay sft`` or ``grpo``, also meanwhile


def write(run: Path, result: Mapping[str, Any]) -> Path:
    """Write RUN/report.html.

    Args:
        result: content of summary.json.

    Raises:
        UserError: a part of the run is missing, or the page cannot be written.
    """
    answers = Answers.read(run)
    test = Dataset.open(run / DATA / "test")
    body = "\n".join(
        (
            section("What training did", learned.figures(run, result, answers, mean_chance(result))),
            section("One held-out sample, in the models' own words", learned.one_sample(test, answers)),
            section("Main figures", first_figures(result, answers)),
            section("Accuracy on held-out videos", accuracy_table(result, answers)),
            section("Does it look at time?", arms_chart(result)),
            section("Other curves", learning_curves(run, result["grpo"].get("noise_scale"))),
            section("Samples, with the models' own words", samples(test, answers)),
            section("Rollouts of GRPO", section_of(run / "grpo")),
            section("Data", data(run)),
            section("Where the time goes", stage_report.time_shares(run)),
        )
    )
    return write_report(run, lead(run, result, answers), body)


def write_report(run: Path, lead: str, body: str) -> Path:
    """Write RUN/report.html from its parts and return its path."""
    path = run / PAGE
    write_page(path, page(f"Report of {run.absolute().name}", lead, body), "make the run's folder writable")
    return path


def lead(run: Path, result: Mapping[str, Any], answers: Answers) -> str:
    """Describe the run in one or two sentences."""
    (fine_tuned,) = result["sft"]["data"]
    num_train = min(fine_tuned["num_samples"], fine_tuned["drawn"])
    num_rl = min(len(Dataset.open(run / DATA / "rl")), sum(result["grpo"]["groups"].values()))
    num_test = sum(entry["n"] for entry in result["accuracy"].values())
    tasks = ", ".join(result["accuracy"])
    scores = ", ".join(f"{answers.mean(name, 'ordered').value:.1%} {words}" for name, words in MODELS.items())
    return (
        f"{tasks}: fine-tuned on {num_train:,} videos, improved on {num_rl:,} others, measured on {num_test:,} more. "
        f"Mean accuracy {scores}; chance is {mean_chance(result):.1%}.{lenient_words(result)}"
    )


def lenient_words(result: Mapping[str, Any]) -> str:
    """Say how much of the gain is the form of answers; "" where some are not read leniently."""
    known = [entry["lenient"] for entry in result["accuracy"].values()]
    if any(scores[name] is None for scores in known for name in ("sft", "grpo")):
        return ""
    sft, grpo = (f"{fmean(scores[name] for scores in known):.1%}" for name in ("sft", "grpo"))
    return f" Read leniently, thoughts inside the answer's tag let pass: {sft} after SFT, {grpo} after GRPO."


def first_figures(result: Mapping[str, Any], answers: Answers) -> str:
    """Return the four main figures."""
    rl = result["grpo"]
    values = [f"{100 * answers.mean(name, 'ordered').value:.1f}" for name in MODELS]
    low, high = rl["reward_last_interval"]
    steps = f"{ends_words(rl['steps'])} (last: {low:.3f} to {high:.3f})"
    figures = [
        (" → ".join(values), f"mean accuracy in %: before, after SFT, after GRPO (chance {mean_chance(result):.1%})"),
        (
            f"{rl['reward_first']:.3f} → {rl['reward_last']:.3f}",
            f"GRPO reward, {steps}{trend_words(rl)}",
        ),
        (f"{rl['useful_groups']:.0%}", "of the groups had rewards that differ, and so something to learn from"),
        (f"{rl['parity_max_abs']:.1e}", f"{PARITY_WORDS}; the engine is {result['engine']}"),
    ]
    return tiles(figures)


def learning_curves(run: Path, scale: float | None) -> str:
    """Return charts of what stages logged beside what the page begins with.

    Args:
        scale: the gradient noise scale over all steps of GRPO.
    """
    base, grpo = logged(run, "base_model"), logged(run / "grpo", "grpo")
    noise = "".join(
        curve(f"GRPO: {title[0].lower()}{title[1:]}", grpo, name, "grpo")
        for name, title in GRPO_CURVES.items()
        if name.startswith("noise_scale") and is_curve(grpo, name)
    )
    words = noise_words(grpo, scale)
    return (
        f'<div class="charts">{curve("Base model: loss, reading text", base, "loss", "base")}'
        f"{noise}"
        f"{curve('GRPO: completion length, tokens', grpo, 'completion_tokens', 'grpo')}"
        f"{curve('GRPO: engine against trainer, nats', grpo, 'parity_max_abs', 'grpo')}</div>"
        f"{why(words) if words else ''}"
    )


def data(run: Path) -> str:
    """Return the three splits with their dataset cards and the result of the audit."""
    rows = []
    for split in SPLITS:
        dataset = Dataset.open(run / DATA / split)
        tasks = ", ".join(f"{task} {n:,}" for task, n in sorted(Counter(dataset.table["task"].to_pylist()).items()))
        path = dataset.path / AUDIT_FILE
        passed = read_json(path, "run `temporay audit` again")["passed"] if path.is_file() else None
        audit = {True: "passed", False: "FAILED", None: "not audited"}[passed]
        link = f'<a href="{DATA}/{split}/README.md">dataset card</a>'
        rows.append([*map(escape, (split, f"{len(dataset):,}", tasks, audit)), link])
    header = ("split", "samples", "primitives", "audit", "card")
    return (
        f'<div class="card">{cell_table(header, rows, [""] * len(header))}</div>'
        '<p class="note">The audit measures what can be guessed without watching: from the wording, the options, the '
        'length. All settings: <a href="config.json">config.json</a>.</p>'
    )


def run(config: ReportConfig) -> Path:
    """Write the page of a run: of ``temporay run`` once it is finished, of sft and grpo at any time.

    Raises:
        UserError: the folder is not such a run.
    """
    described = config.run / "config.json"
    settings = read_json(described, BEGIN_AGAIN) if described.is_file() else {}
    if settings.get("command") in ("sft", "grpo"):
        body = stage_report.grpo_body if settings["command"] == "grpo" else stage_report.sft_body
        path = write_report(config.run, stage_report.lead(config.run, settings), body(config.run))
    else:
        path = write(config.run, finished(config.run))
    print(f"report: {path}")
    return path


def finished(run: Path) -> dict[str, Any]:
    """Read the summary of a run of ``temporay run``.

    Raises:
        UserError: the folder is not one, or it is not finished.
    """
    summary = RunDir(path=run, resumed=True).summary()
    if summary is None:
        raise UserError(f"{run} is not a finished run (no summary.json); run it to its end first")
    if "grpo" not in summary or "accuracy" not in summary:
        raise UserError(
            f"{run} is not a run of `temporay run`, `temporay sft` or `temporay grpo`; give the --out of one"
        )
    return summary
