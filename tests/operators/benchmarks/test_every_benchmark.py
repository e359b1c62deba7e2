"""What holds of every benchmark: small files in its published layout, read, asked, answered and scored."""

import json
import pickle
from pathlib import Path
from statistics import fmean

import pytest
from temporay.operators.benchmarks._base import BENCHMARKS, PROTOCOLS, Benchmark, BenchmarkData, benchmark_called
from temporay.operators.benchmarks._intervals import headline, independent_units
from temporay.operators.benchmarks._priors import ALL, MEAN_OF_TASKS, priors
from temporay.operators.components import available
from temporay.operators.errors import UserError

from tests.operators.benchmarks.layouts import LAYOUTS

NAMES = available(BENCHMARKS)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def benchmark(name: str) -> Benchmark:
    return benchmark_called(name)


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    LAYOUTS[name](tmp_path)
    return tmp_path


@pytest.fixture
def data(benchmark: Benchmark, folder: Path) -> BenchmarkData:
    return benchmark.read(folder)


def test_every_benchmark_has_a_layout_here() -> None:
    assert set(LAYOUTS) == set(NAMES)


def test_it_says_where_it_comes_from(benchmark: Benchmark) -> None:
    assert benchmark.source.startswith("https://")
    assert all((benchmark.title, benchmark.license, benchmark.how_to_get, benchmark.metric))
    assert not benchmark.differs or {"official", "strict"} <= set(benchmark.differs.replace(";", " ").split())


def test_questions_are_of_published_tasks(benchmark: Benchmark, data: BenchmarkData) -> None:
    assert len(data.items) > 1
    assert not benchmark.sizes or {item.task for item in data.items} <= set(benchmark.sizes)
    assert sum(data.sizes.values()) == len(data.items)
    for item in data.items:
        assert item.videos and item.cluster and item.question
        assert not any(Path(video).is_absolute() for video in item.videos)


def test_missing_videos_are_named_and_no_obstacle(benchmark: Benchmark, folder: Path, data: BenchmarkData) -> None:
    videos = {video for item in data.items for video in item.videos}
    assert set(data.missing_videos) == videos
    for video in sorted(videos)[1:]:
        (folder / video).parent.mkdir(parents=True, exist_ok=True)
        (folder / video).write_bytes(b"")
    assert benchmark.read(folder).missing_videos == (min(videos),)


def test_a_missing_file_is_named_with_the_way_to_get_it(benchmark: Benchmark, folder: Path) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file())[:3]:
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(UserError, match=r"has no .*(download|copy|clone)"):
            benchmark.read(folder)
        path.write_bytes(kept)
    with pytest.raises(UserError, match="is no folder"):
        benchmark.read(folder / "elsewhere")


def test_a_damaged_file_is_one_sentence(benchmark: Benchmark, folder: Path) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file())[:3]:
        kept = path.read_bytes()
        for damage in (b"[1, 2]", b'{"a":', b"", b"\xff\xfe\x00", b'[{"a": 1}]'):
            path.write_bytes(damage)
            with pytest.raises(UserError, match="download it again"):
                benchmark.read(folder)
        path.write_bytes(kept)


def test_a_file_that_an_editor_wrote_is_read(benchmark: Benchmark, folder: Path, data: BenchmarkData) -> None:
    """It begins with the mark of Windows, and a question holds a separator of lines that ends no line of a file."""
    asked = data.items[0].question
    plain, parted = (json.dumps(one, ensure_ascii=False)[1:-1] for one in (asked, f"{asked[:3]}\u2028{asked[3:]}"))
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl", ".csv", ".txt")):
        text = path.read_text(encoding="utf-8")
        text = text if path.suffix == ".csv" else text.replace(plain, parted)
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = benchmark.read(folder)
    assert len(found.items) == len(data.items)
    assert {item.question.replace("\u2028", "") for item in found.items} == {item.question for item in data.items}


def test_prompts_ask_the_question_with_its_options(benchmark: Benchmark, data: BenchmarkData) -> None:
    for item in data.items:
        prompt = benchmark.prompt(item)
        assert item.question in prompt
        assert all(option in prompt for option in item.options if item.lettered)


def test_right_answers_score_one(benchmark: Benchmark, data: BenchmarkData) -> None:
    for protocol in PROTOCOLS:
        scored = [benchmark.score_text(i, benchmark.write_answer(i, i.gold), protocol) for i in data.items]
        assert [one.values["score"] for one in scored] == [1.0] * len(scored)
        assert next(iter(benchmark.table(scored, protocol).values())) == pytest.approx(100.0)


def test_distractors_do_not(benchmark: Benchmark, data: BenchmarkData) -> None:
    for item in data.items:
        answers = [benchmark.choose(item, n) for n in range(len(item.options))]
        texts = [benchmark.write_answer(item, answer) for answer in answers]
        assert len(set(texts)) == len(texts)
        for protocol in PROTOCOLS:
            scores = [benchmark.score_text(item, text, protocol).values["score"] for text in texts]
            assert not scores or sorted(scores) == [0.0] * (len(scores) - 1) + [1.0]


def test_empty_and_missing_answers_are_wrong(benchmark: Benchmark, data: BenchmarkData) -> None:
    for text in ("", None, "<think>It is B", "I cannot tell."):
        scored = [benchmark.score_text(item, text, "strict") for item in data.items]
        assert not any(one.values["score"] for one in scored)
        figures = benchmark.table(scored, "strict")
        assert not any(value for name, value in figures.items() if name != "unread replies")
        assert all(0 <= value <= 100 for value in benchmark.table(scored, "official").values())


def test_no_text_makes_it_fail(benchmark: Benchmark, data: BenchmarkData) -> None:
    for text in (
        "(",
        "A",
        "[1, 2",
        "0 - 0",
        "-1 to 9",
        "Clip 9, Clip 9",
        "1e999",
        "nan",
        "<>",
        "²",
        "{}",
        "\n",
        "[[1]]",
    ):
        for item in data.items:
            for protocol in PROTOCOLS:
                assert 0 <= benchmark.score_text(item, text, protocol).values["score"] <= 1
            benchmark.score(item, benchmark.read_leniently(item, text), "strict")


def test_a_model_that_always_names_the_first_option_scores_the_prior(benchmark: Benchmark, data: BenchmarkData) -> None:
    asked = [item for item in data.items if item.options]
    found = {prior.task: prior for prior in priors(benchmark, data.items)}
    for task in sorted({item.task for item in asked}):
        items = [item for item in asked if item.task == task]
        texts = [benchmark.write_answer(item, benchmark.choose(item, 0)) for item in items]
        scores = [benchmark.score_text(i, t, "strict").values["score"] for i, t in zip(items, texts, strict=True)]
        assert fmean(scores) == found[task].first
        assert found[task].best is not None and found[task].best >= found[task].first
    assert {ALL, MEAN_OF_TASKS} < set(found)
    assert bool(asked) == (found[ALL].first is not None)


def test_the_lenient_reader_reads_what_the_strict_one_does(benchmark: Benchmark, data: BenchmarkData) -> None:
    for item in data.items:
        assert benchmark.read_leniently(item, benchmark.write_answer(item, item.gold)) == item.gold


def test_items_survive_pickling(benchmark: Benchmark, data: BenchmarkData) -> None:
    assert pickle.loads(pickle.dumps((benchmark, data))) == (benchmark, data)


def test_a_headline_has_an_interval_around_it(benchmark: Benchmark, data: BenchmarkData) -> None:
    texts = [benchmark.write_answer(item, item.gold) if n % 3 else "" for n, item in enumerate(data.items)]
    for protocol in PROTOCOLS:
        scored = [benchmark.score_text(i, t, protocol) for i, t in zip(data.items, texts, strict=True)]
        found = headline(benchmark, scored, protocol, num_resamples=20)
        assert (found.name, found.interval.value) == next(iter(benchmark.table(scored, protocol).items()))
        assert found.interval.low <= found.interval.value <= found.interval.high
        units = independent_units(scored)
        assert sorted(one.item.id for unit in units for one in unit) == sorted(item.id for item in data.items)
        for name in ("cluster", "group"):
            holders = [{getattr(one.item, name) for one in unit} - {""} for unit in units]
            assert sum(map(len, holders)) == len(set().union(*holders))
        if found.by == "bootstrap":
            assert found.interval.n == len(units)
            assert headline(benchmark, scored, protocol, num_resamples=20) == found


def test_an_unknown_benchmark_or_setting_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'tvbench'"):
        benchmark_called("tv_bench")
    with pytest.raises(UserError, match="settings: split"):
        benchmark_called("next_gqa", {"splits": "test"})
    with pytest.raises(UserError, match="no class that derives"):
        benchmark_called("temporay.operators.records:Sample")
