"""The real annotation files, where TEMPORAY_BENCHMARKS names their folder: sizes, priors, published results."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
from temporay.operators.benchmarks._base import PROTOCOLS, Benchmark, BenchmarkData, benchmark_called
from temporay.operators.benchmarks._priors import ALL, MEAN_OF_TASKS, Prior, priors

ROOT = Path(os.environ.get("TEMPORAY_BENCHMARKS", "/nowhere"))
FOLDERS = {
    "charades_sta": ("Charades-STA", 3720),
    "mvbench": ("MVBench", 4000),
    "next_gqa": ("NExT-GQA", 5553),
    "tvbench": ("TVBench", 2525),
    "vcrbench": ("VCRBench", 365),
    "vsi_bench": ("VSI-Bench", 5130),
    # Not all who have the six above have these.
    "cvbench": ("CVBench", 1000),
    "tempcompass": ("TempCompass", 1580),
    "tomato": ("TOMATO", 1484),
    "video_holmes": ("Video-Holmes", 1837),
    "video_mme": ("Video-MME", 2700),
}
TVBENCH_CHANCE_AND_FIRST = {  # percent
    "action_antonym": (50, 45.31),
    "action_count": (25, 25.0),
    "action_localization": (25, 27.5),
    "action_sequence": (50, 49.66),
    "egocentric_sequence": (25, 26.0),
    "moving_direction": (25, 23.71),
    "object_count": (25, 23.65),
    "object_shuffle": (33.33, 33.33),
    "scene_transition": (50, 51.89),
    "unexpected_action": (25, 21.95),
}
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="TEMPORAY_BENCHMARKS names no folder")


@cache
def read(name: str) -> tuple[Benchmark, BenchmarkData]:
    folder = ROOT / FOLDERS[name][0]
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    benchmark = benchmark_called(name)
    return benchmark, benchmark.read(folder)


def found_priors(name: str) -> dict[str, Prior]:
    benchmark, data = read(name)
    return {prior.task: prior for prior in priors(benchmark, data.items)}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_question_is_read(name: str) -> None:
    benchmark, data = read(name)
    assert len(data.items) == benchmark.size == FOLDERS[name][1]
    assert data.sizes == dict(benchmark.sizes)


@pytest.mark.parametrize("name", FOLDERS)
def test_right_answers_score_one_and_others_do_not(name: str) -> None:
    benchmark, data = read(name)
    for protocol in PROTOCOLS:
        texts = [benchmark.write_answer(item, item.gold) for item in data.items]
        scored = [benchmark.score_text(item, text, protocol) for item, text in zip(data.items, texts, strict=True)]
        assert all(one.values["score"] == 1.0 for one in scored)
        assert next(iter(benchmark.table(scored, protocol).values())) == pytest.approx(100)
        for item in data.items[::7]:  # a part, because every wrong option of every question takes long
            wrong = [n for n, option in enumerate(item.options) if option != item.options[_gold_index(item.gold)]]
            for index in wrong:
                text = benchmark.write_answer(item, benchmark.choose(item, index))
                assert benchmark.score_text(item, text, protocol).values["score"] == 0.0


def _gold_index(gold: object) -> int:
    index = gold[0] if isinstance(gold, tuple) else gold
    assert isinstance(index, int)
    return index


@pytest.mark.parametrize("name", ["mvbench", "next_gqa", "tvbench"])
def test_a_model_that_always_says_a_scores_the_prior(name: str) -> None:
    benchmark, data = read(name)
    scored = [benchmark.score_text(item, "A", "strict") for item in data.items]
    table = benchmark.table(scored, "strict")
    prior = found_priors(name)
    first = prior[ALL].first
    assert first is not None
    assert table["accuracy"] == pytest.approx(100 * first)
    if name != "next_gqa":
        assert all(table[f"accuracy, {task}"] == pytest.approx(100 * (prior[task].first or 0)) for task in data.sizes)


def test_priors_of_tvbench() -> None:
    prior = found_priors("tvbench")
    for task, (chance, first) in TVBENCH_CHANCE_AND_FIRST.items():
        found = prior[task]
        assert found.chance is not None and found.first is not None
        assert 100 * found.chance == pytest.approx(chance, abs=0.005)
        assert 100 * found.first == pytest.approx(first, abs=0.005)
    best = {task: 100 * (prior[task].best or 0) for task in ("unexpected_action", "object_count")}
    assert best == pytest.approx({"unexpected_action": 34.15, "object_count": 31.76}, abs=0.005)
    assert 100 * (prior[ALL].first or 0) == pytest.approx(34.50, abs=0.005)
    assert 100 * (prior[MEAN_OF_TASKS].chance or 0) == pytest.approx(33.33, abs=0.005)


def test_chance_of_vcrbench() -> None:
    benchmark, data = read("vcrbench")
    chances = [chance for chance in map(benchmark.chance, data.items) if chance is not None]
    places = sum(len(item.gold) for item in data.items)
    assert 100 * sum(chances) / len(data.items) == pytest.approx(7.15, abs=0.005)
    assert 100 * len(data.items) / places == pytest.approx(23.61, abs=0.005)  # one place of each order is right


def test_questions_of_mvbench_with_one_option() -> None:
    _, data = read("mvbench")
    counts = [len(item.options) for item in data.items if item.task == "counterfactual_inference"]
    assert [counts.count(n) for n in (1, 2)] == [5, 53]


@pytest.mark.parametrize("run", [1, 2, 3])
def test_published_results_of_vcrbench_to_the_last_digit(run: int) -> None:
    benchmark, data = read("vcrbench")
    folder = ROOT / "VCRBench"
    replies = {reply["qid"]: reply for reply in json.loads((folder / f"response_{run}.json").read_text())}
    official = json.loads((folder / f"response_{run}_result.json").read_text())
    scored = [benchmark.score_text(item, replies[item.id]["pred"], "official") for item in data.items]
    table = benchmark.table(scored, "official")
    for name in ("avg_accuracy", "avg_step_accuracy", "weighted_avg_accuracy"):
        assert table[name] == official[name]
    assert {name: table[f"accuracy, {name}"] for name in official["scores_per_class"]} == official["scores_per_class"]
    clips = {num: table[f"accuracy, {num} clips"] for num in official["scores_per_step"]}
    assert clips == official["scores_per_step"]
    updated = json.loads((folder / f"response_{run}_updated.json").read_text())
    orders = {reply["qid"]: reply["pred_order"] for reply in updated}
    for one in scored:
        assert list(one.answer or [0] * len(one.item.gold)) == orders[one.item.id]


def test_the_prompt_of_vcrbench_is_the_published_one() -> None:
    benchmark, data = read("vcrbench")
    replies = {reply["qid"]: reply for reply in json.loads((ROOT / "VCRBench/response_1.json").read_text())}
    assert all(benchmark.prompt(item) == replies[item.id]["question"] for item in data.items)


def test_the_other_split_of_next_gqa() -> None:
    benchmark = benchmark_called("next_gqa", {"split": "val"})
    data = benchmark.read(ROOT / "NExT-GQA")
    assert data.sizes == dict(benchmark.sizes)
    assert len(data.items) == 3358


@pytest.mark.parametrize("form", ["multi-choice", "yes_no", "caption_matching"])
def test_published_ratings_of_tempcompass(form: str) -> None:
    """The authors publish what models replied and how their rules rated it, for all 410 videos."""
    folder = ROOT / "TempCompass"
    published = sorted(folder.glob(f"auto_eval_results/*/{form}.json"))
    if not published:
        pytest.skip(f"there are no ratings in {folder}")
    benchmark = benchmark_called("tempcompass", {"form": form})
    items = {(item.cluster, item.task, item.extra["asked"]): item for item in benchmark.read(folder).items}
    for path in published:
        for video, aspects in json.loads(path.read_text()).items():
            for aspect, replies in aspects.items():
                for reply in replies:
                    if reply["match_success"]:  # the others were rated by a language model
                        item = items[video, aspect, reply["question"]]
                        found = benchmark.score_text(item, reply["video-llm-prediction"], "official")
                        assert found.values["score"] == reply["rating"]
