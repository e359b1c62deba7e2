"""The metrics of every benchmark against computations by hand, of small files in the published layout."""

import math
from pathlib import Path

import pytest
from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, benchmark_called
from temporay.operators.benchmarks._boxes import box_iou, boxes_in
from temporay.operators.benchmarks.aotbench import divergence
from temporay.operators.benchmarks.video_mme_logical import normal_form
from temporay.operators.benchmarks.video_mme_v2 import group_score

from tests.operators.benchmarks.layouts import LAYOUTS, write_json


def scored(
    name: str, folder: Path, replies: list[str | None], protocol: ScoringProtocol
) -> tuple[Benchmark, list[ScoredItem]]:
    """Score one reply per question; the last is given to all that are left. ``gold`` stands for the right answer."""
    LAYOUTS[name](folder)
    benchmark = benchmark_called(name)
    items = benchmark.read(folder).items
    replies = replies + [replies[-1]] * (len(items) - len(replies))
    texts = [benchmark.write_answer(i, i.gold) if r == "gold" else r for i, r in zip(items, replies, strict=True)]
    return benchmark, [benchmark.score_text(item, text, protocol) for item, text in zip(items, texts, strict=True)]


def table(name: str, folder: Path, replies: list[str | None], protocol: ScoringProtocol) -> dict[str, float]:
    benchmark, found = scored(name, folder, replies, protocol)
    return benchmark.table(found, protocol)


def test_accuracy_and_the_mean_of_tasks(tmp_path: Path) -> None:
    """Ten tasks of three questions: two right in the first task, all right in the second, and nothing else."""
    found = table("tvbench", tmp_path, ["gold", "gold", "?", "gold", "gold", "gold", "?"], "strict")
    assert found["accuracy"] == pytest.approx(100 * 5 / 30)
    assert found["accuracy, action_antonym"] == pytest.approx(100 * 2 / 3)
    assert found["accuracy, mean of tasks"] == pytest.approx((200 / 3 + 100) / 10)


def test_mvbench_leaves_empty_replies_out_of_its_official_count(tmp_path: Path) -> None:
    replies: list[str | None] = ["gold", "gold", "(Z)", "(Z)", ""]
    assert table("mvbench", tmp_path, replies, "official")["accuracy"] == 50
    assert table("mvbench", tmp_path, replies, "strict")["accuracy"] == 5  # 2 of 40


def test_next_gqa(tmp_path: Path) -> None:
    """The spans of the first question are [2, 6]; of all others [2, 6] and [20, 30.5]."""
    replies: list[str | None] = [
        "A <> [4.0, 8.0]",  # right; IoP 2/4, IoU 2/6
        "B <> [21.0, 26.0]",  # right; IoP 1, IoU 5/10.5 with the second span
        "A <> [2.0, 6.0]",  # wrong; IoP 1, IoU 1
        "D <> [3.0, 3.0]",  # right; a span without length, inside: official IoP 1, strict 0; IoU 0
        "E",  # right without a span: skipped by official
        None,
    ]
    official, strict = (table("next_gqa", tmp_path, replies, protocol) for protocol in ("official", "strict"))
    assert official["Acc@GQA"] == 100 * 3 / 4
    assert official["mIoP"] == pytest.approx(100 * (0.5 + 1 + 1 + 1) / 4)
    assert official["mIoU"] == pytest.approx(100 * (2 / 6 + 5 / 10.5 + 1 + 0) / 4)
    assert (official["IoU@0.3"], official["IoU@0.5"], official["IoP@0.5"]) == (75, 25, 100)
    assert strict["Acc@GQA"] == pytest.approx(100 * 2 / 6)
    assert strict["mIoP"] == pytest.approx(100 * (0.5 + 1 + 1) / 6)
    assert strict["mIoU"] == pytest.approx(100 * (2 / 6 + 5 / 10.5 + 1) / 6)
    assert official["accuracy"] == strict["accuracy"] == pytest.approx(100 * 4 / 6)


def test_vcrbench(tmp_path: Path) -> None:
    """True orders: 3 1 2, 1 2 3 4, 5 4 3 2 1 and 2 3 1; goals Jam, Tea, Jam, Tea."""
    replies: list[str | None] = [
        "Correct order: Clip 3, Clip 1, Clip 2",
        "1, 2, 4, 3",
        "1, 2, 3",
        "I see 1, 2, 3.\n2, 3, 1",
    ]
    official, strict = (table("vcrbench", tmp_path, replies, protocol) for protocol in ("official", "strict"))
    assert official["avg_accuracy"] == 25
    assert official["avg_step_accuracy"] == round(100 * 5 / 15, 2)  # 3 + 2 + 0 + 0 of 3 + 4 + 5 + 3 places
    assert (official["accuracy, Make Jam"], official["accuracy, Make Tea"], official["weighted_avg_accuracy"]) == (
        50,
        0,
        25,
    )
    assert strict["avg_accuracy"] == 25  # two orders in the last reply are none
    assert strict["avg_step_accuracy"] == pytest.approx(100 * 5 / 15)


def test_vsi_bench(tmp_path: Path) -> None:
    """Three directions and a route with options A, B; then the numbers 4, 2.9 and 26.4."""
    replies: list[str | None] = ["A", "A", "B. right", "gold", "5", "2.9 meters", "26.4"]
    official, strict = (table("vsi_bench", tmp_path, replies, protocol) for protocol in ("official", "strict"))
    # Right: easy A; wrong: medium B; hard is A, said B. An error of 1/4 is at most 6 of the thresholds 0.05 … 0.5.
    assert official["object_counting"] == pytest.approx(60)
    assert strict["object_counting"] == pytest.approx(50)
    assert official["object_rel_direction"] == strict["object_rel_direction"] == pytest.approx(100 / 3)
    assert strict["object_abs_distance"] == 100  # one number with its unit
    assert official["overall"] == pytest.approx((60 + 100 + 100 + 100 + 100 / 3) / 5)


def test_charades_sta(tmp_path: Path) -> None:
    """True spans: [24.3, 30.4], [0, 5.25] and [1.1, 19]."""
    replies: list[str | None] = [
        "The event happens in the 30.4 - 24.3 seconds.",  # reversed: turned round by official
        "It starts at 0.0 and ends at 10.5 seconds.",  # IoU 0.5
        "from 00:01 to 00:19",  # IoU 17.9/18
    ]
    official, strict = (table("charades_sta", tmp_path, replies, protocol) for protocol in ("official", "strict"))
    assert official["mIoU"] == pytest.approx(100 * (1 + 0 + 17.9 / 18) / 3)  # one number a sentence is not enough
    assert strict["mIoU"] == pytest.approx(100 * (0 + 0.5 + 17.9 / 18) / 3)
    assert (strict["R@0.3"], strict["R@0.5"], strict["R@0.7"]) == pytest.approx((200 / 3, 200 / 3, 100 / 3))


def test_timelens_takes_the_mean_of_three_sets(tmp_path: Path) -> None:
    """Of each set: [1.5, 4], [10, 20.25], [1.5, 5] and [10, 20.25]. Only the first set is answered."""
    replies: list[str | None] = ["1.5 - 4.0 seconds", "20.25 - 10", "0 - 5", "gold", "?"]
    official, strict = (table("timelens", tmp_path, replies, protocol) for protocol in ("official", "strict"))
    assert official == strict
    assert official["mIoU, charades"] == pytest.approx(100 * (1 + 0 + 3.5 / 5 + 1) / 4)
    assert official["mIoU, mean of sets"] == pytest.approx(100 * (1 + 0 + 3.5 / 5 + 1) / 4 / 3)


@pytest.mark.parametrize(
    ("right", "kind", "structure", "score"),
    [
        ("1111", "relevance", "", 1),
        ("0110", "relevance", "", 4 / 16),
        ("1011", "relevance", "", 9 / 16),
        ("1101", "logic", "[1, 2, 3, 4]", 4 / 16),  # up to the first error
        ("0111", "logic", "[1, 2, 3, 4]", 0),
        ("1000", "logic", "[1, [2, 3], 4]", 1 / 12),
        ("1010", "logic", "[1, [2, 3], 4]", 4 / 12),  # the second of two equal steps
        ("1011", "logic", "[1, [2, 3], 4]", 4 / 12),
        ("1110", "logic", "[1, [2, 3], 4]", 7 / 12),
        ("0100", "logic", "[[1, 2], 3, 4]", 1 / 10),
        ("1100", "logic", "[[1, 2], 3, 4]", 2 / 10),
        ("1110", "logic", "[[1, 2], 3, 4]", 5 / 10),
        ("1111", "logic", "[[1, 2], 3, 4]", 1),
    ],
)
def test_groups_of_video_mme_v2(right: str, kind: str, structure: str, score: float) -> None:
    item = BenchmarkItem(id="", task=kind, question="", gold=0, videos=(), cluster="", extra={"structure": structure})
    group = [ScoredItem(item=item, text="", answer=None, values={"score": float(digit)}) for digit in right]
    assert group_score(group) == pytest.approx(score)


def test_video_mme_v2(tmp_path: Path) -> None:
    """Four groups of four: three right, then all, none and none."""
    found = table("video_mme_v2", tmp_path, ["gold"] * 3 + ["?"] + ["gold"] * 4 + ["?"], "strict")
    assert found["group score"] == pytest.approx(100 * (9 / 16 + 1) / 4)
    assert found["group score, logic"] == pytest.approx(100 / 3)
    assert found["accuracy"] == pytest.approx(100 * 7 / 16)


def test_vinoground(tmp_path: Path) -> None:
    """Questions come as text 0 pos, 0 neg, 1 pos, 1 neg, then video likewise. One pair is all right."""
    replies: list[str | None] = ["gold", "gold", "gold", "gold", "gold", "gold", "gold", "?"]
    found = table("vinoground", tmp_path, replies, "strict")
    assert (found["text score"], found["video score"], found["group score"]) == (100, 50, 50)
    assert (found["group score, object"], found["group score, action"], found["accuracy"]) == (100, 0, 100 * 7 / 8)


def test_timeblind(tmp_path: Path) -> None:
    """Roles come as q0 i0, q0 i1, q1 i0, q1 i1. The first instance has one error, the second lacks one reply."""
    replies: list[str | None] = ["gold", "gold", "?", "gold", "gold", "gold", "gold", None]
    official, strict = (table("timeblind", tmp_path, replies, protocol) for protocol in ("official", "strict"))
    assert (strict["I_Acc"], strict["Acc"]) == (0, 75)
    assert (strict["Q_Acc"], strict["V_Acc"]) == (50, 50)  # q0 of both; i1 of the first and i0 of the second
    assert (official["Acc"], official["Q_Acc"]) == (100 * 3 / 8, 25)  # the second instance counts as wrong


def test_temporalbench(tmp_path: Path) -> None:
    """Two videos with two questions each: three right."""
    found = table("temporalbench", tmp_path, ["gold", "gold", "gold", "?"], "strict")
    assert (found["MBA"], found["BA"], found["MBA, Charades"], found["MBA, COIN"]) == (50, 75, 100, 0)
    assert table("temporalbench", tmp_path, ["gold", "gold", "gold", None], "official")["MBA"] == 100


def test_vstat(tmp_path: Path) -> None:
    """The numbers 4 and -2, then two questions with options."""
    official, strict = (
        table("vstat", tmp_path, ["There were 3, so 5", "-2", "B", "A"], protocol)
        for protocol in ("official", "strict")
    )
    assert official["MRA of numbers"] == pytest.approx((60 + 100) / 2)  # 5 to a true 4
    assert strict["MRA of numbers"] == 50
    assert official["accuracy with options"] == strict["accuracy with options"] == 50
    assert official["average score"] == pytest.approx((60 + 100 + 100 + 0) / 4)


def test_vstar(tmp_path: Path) -> None:
    """Rows of what, when, where, when with boxes, where without time. Three boxes of 50 pixels width, 63 to 65 high."""
    replies: list[str | None] = [
        "a red cup",
        "2.5 - 4.125",  # half of 3.25 s
        '{"3": [10, 20, 60, 83], "4": [10, 20, 35, 84]}',  # overlaps 1, 1/2 and 0
        "When: 2.5, 5.75",
        "no idea",
        "?",
    ]
    benchmark, found = scored("vstar", tmp_path, replies, "strict")
    assert [one.values["score"] for one in found[:5]] == pytest.approx([1, 0.5, 0.5, 1, 0])
    figures = benchmark.table(found, "strict")
    assert figures["mtIoU, chain 1"] == pytest.approx(25)
    assert figures["mvIoU, chain 1"] == pytest.approx(25)
    assert figures["AP@0.5, chain 1"] == pytest.approx(100 * (2 / 3) / 2)
    assert figures["AP@0.9, chain 1"] == pytest.approx(100 * (1 / 3) / 2)
    assert figures["mtIoU, chain 2"] == pytest.approx(50)
    assert figures["what, same words (not judged)"] == 50


def test_boxes() -> None:
    assert box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert (
        box_iou((0, 0, 1, 1), (2, 2, 3, 3)) == box_iou(None, (0, 0, 1, 1)) == box_iou((1, 1, 0, 0), (0, 0, 0, 0)) == 0
    )
    assert boxes_in("```json\n[{'3': [1, 2, 3, 4]}, {'4': [[5, 6, 7, 8]]}]\n```") == {
        "3": (1, 2, 3, 4),
        "4": (5, 6, 7, 8),
    }
    assert boxes_in('{"3": [1, 2, 3]}') is boxes_in('{"3": [1, 2, 3, NaN]}') is boxes_in("[1, 2") is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("B.", "b"),
        ("The answer is B", "b"),
        ('{"b": 1, "a": [2,  3]}', '{"a":[2,3],"b":1}'),
        ("The  Left Cup.", "the left cup"),
        ("3", "3"),
        ("Answer: 3!", "3"),
    ],
)
def test_normal_forms_of_video_mme_logical(text: str, form: str) -> None:
    assert normal_form(text) == form


def test_divergence_of_two_directions() -> None:
    assert divergence([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert divergence([2, 2], [1, 1]) == 0  # scaled to sum 1
    with pytest.raises(ValueError, match="positive"):
        divergence([0.5, 0.5], [1.0, 0.0])


@pytest.mark.parametrize(("form", "right"), [("yes_no", "Yes, it is."), ("caption_matching", "Caption B")])
def test_other_forms_of_tempcompass(form: str, right: str, tmp_path: Path) -> None:
    question = (
        "Which caption matches?\nCaption A: It falls.\nCaption B: It rises." if form != "yes_no" else "Does it rise?"
    )
    answer = "yes" if form == "yes_no" else "Caption B: It rises."
    write_json(tmp_path / f"questions/{form}.json", {"1": {"speed": [{"question": question, "answer": answer}]}})
    benchmark = benchmark_called("tempcompass", {"form": form})
    (item,) = benchmark.read(tmp_path).items
    assert benchmark.score_text(item, right, "official").values["score"] == 1
    assert benchmark.score_text(item, "None of them", "official").values["score"] == 0
    replies = {"yes_no": "yes", "caption_matching": "B"}
    assert benchmark.score_text(item, replies[form], "strict").values["score"] == 1
    assert benchmark.read_leniently(item, right) == item.gold
    assert item.question in benchmark.prompt(item)
