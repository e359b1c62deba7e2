"""Small annotation files in the layout in which each benchmark is published, drawn by the tests."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.benchmarks._base import benchmark_called

Rows = list[dict[str, Any]]


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_lines(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_csv(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def candidates(
    number: int, answer: int, options: tuple[str, ...] = ("To the left.", "To the right.")
) -> dict[str, Any]:
    return {
        "video": f"v{number}.mp4",
        "question": f"Where does ball {number} go?",
        "candidates": list(options),
        "answer": options[answer],
    }


def tvbench(folder: Path, per_task: int = 3) -> None:
    for task in benchmark_called("tvbench").sizes:
        bounds = {"start": 1.5, "end": 8.0} if task in ("action_localization", "action_sequence") else {}
        write_json(folder / f"json/{task}.json", [candidates(n, n % 2) | bounds for n in range(per_task)])


def mvbench(folder: Path) -> None:
    bounded = ("action_localization", "action_prediction", "action_sequence", "object_interaction")
    for task in benchmark_called("mvbench").sizes:
        extra: dict[str, Any] = {"start": 0.0, "end": 4.0} if task in bounded else {}
        if task == "episodic_reasoning":
            extra = {"start": 0.0, "end": 38.3, "fps": 3, "show_name": "Castle", "subtitle": "(Castle:) Go ahead."}
        options = ("Up.", "Down.", "Left.") if task == "counterfactual_inference" else ("To the left.", "To the right.")
        write_json(folder / f"json/{task}.json", [candidates(n, n % 2, options) | extra for n in range(2)])


def next_gqa(folder: Path) -> None:
    rows = []
    for number, kind in enumerate(("CW", "TN", "TC", "CH", "TP", "CW")):
        options = {f"a{n}": f"action {n}" for n in range(5)}
        rows.append(
            {"video_id": str(100 + number // 2), "frame_count": 300, "width": 320, "height": 240}
            | {"question": f"what did the baby do at {'abcdef'[number]}", "answer": f"action {number % 5}"}
            | {"qid": number, "type": kind, **options}
        )
    write_csv(folder / "nextgqa/test.csv", rows)
    ground: dict[str, Any] = {}
    for row in rows:
        video = ground.setdefault(row["video_id"], {"duration": 35, "fps": 29.97, "location": {}})
        video["location"][str(row["qid"])] = [[2.0, 6.0], [20.0, 30.5]] if row["qid"] else [[2.0, 6.0]]
    write_json(folder / "nextgqa/gsub_test.json", ground)


def vcrbench(folder: Path) -> None:
    orders = ([2, 0, 1], [0, 1, 2, 3], [4, 3, 2, 1, 0], [1, 2, 0])
    rows = [
        {
            "qid": str(n),
            "goal": f"Make {'Tea' if n % 2 else 'Jam'}",
            "ground_truth": order,
            "video_file": f"video_{n}.mp4",
        }
        for n, order in enumerate(orders)
    ]
    write_json(folder / "data.json", rows)


def vsi_bench(folder: Path) -> None:
    def row(number: int, kind: str, truth: str, options: list[str] | None = None) -> dict[str, Any]:
        asked = {"question_type": kind, "question": f"Question {'abcdefghijk'[number]}?", "ground_truth": truth}
        return {"id": number, "dataset": "scannet", "scene_name": f"scene{number // 2}", **asked, "options": options}

    two = ["A. left", "B. right"]
    kinds = ("object_rel_direction_easy", "object_rel_direction_medium", "object_rel_direction_hard")
    rows = [row(n, kind, "AB"[n % 2], two) for n, kind in enumerate((*kinds, "route_planning"))]
    rows += [
        row(4, "object_counting", "4"),
        row(5, "object_abs_distance", "2.9"),
        row(6, "room_size_estimation", "26.4"),
    ]
    write_lines(folder / "test.jsonl", rows)


def charades_sta(folder: Path) -> None:
    lines = [
        "3MSZA 24.3 30.4##person turn a light on.",
        "3MSZA 0.0 5.25##person starts to eat.",
        "AMT7R 1.1 19##a person runs.",
    ]
    (folder / "charades_sta_test.txt").write_text("\n".join(lines) + "\n")


TWO_CAPTIONS = "Which caption best describes this video?\nA. The {} falls first.\nB. The {} falls last."


def tempcompass(folder: Path) -> None:
    asked = "What does ball {} do in the video?\nA. rolling left\nB. rolling right\nC. lying still"
    answers = ("A. rolling left", "B. rolling right", "C. lying still")
    aspects = ("action", "direction", "speed", "order", "attribute_change")
    rows = [
        {"video_id": str(n // 2), "question": asked.format(n), "answer": answers[n % 3], "dim": aspect}
        for n, aspect in enumerate(aspects)
    ]
    write_parquet(folder / "multi-choice/test-00000-of-00001.parquet", rows)


def tomato(folder: Path) -> None:
    for task in benchmark_called("tomato").sizes:
        rows = {
            str(n): {
                "question": f"How does object {n} turn?",
                "options": ["Left", "Right", "Not at all"],
                "answer": n % 3,
            }
            | {"key": f"0{n}-03", "video_source_url": "", "motion_type": task, "demonstration_type": "human"}
            for n in range(3)
        }
        write_json(folder / f"data/{task}.json", rows)


def video_mme(folder: Path) -> None:
    options = ["A. Apples.", "B. Candles.", "C. Berries.", "D. None of them."]
    rows = [
        {
            "video_id": "001",
            "duration": length,
            "domain": "Knowledge",
            "sub_category": "Law",
            "url": "",
            "videoID": "fFj",
        }
        | {"question_id": f"001-{n}", "task_type": "Counting Problem", "question": f"Which is number {n}?"}
        | {"options": options, "answer": "ABCD"[n]}
        for n, length in enumerate(("short", "medium", "long", "long"))
    ]
    write_parquet(folder / "videomme/test-00000-of-00001.parquet", rows)


def video_mme_v2(folder: Path) -> None:
    options = "\n".join(f"{letter}. choice {letter.lower()}" for letter in "ABCDEFGH")
    groups = (("relevance", ""), ("logic", "[1, 2, 3, 4]"), ("logic", "[1, [2, 3], 4]"), ("logic", "[[1, 2], 3, 4]"))
    rows = [
        {"video_id": f"00{video}", "question_id": f"00{video}-{n}", "question": f"What is step {n} of {video}?"}
        | {"options": options, "answer": "ABCDEFGH"[2 * n - 1], "group_type": kind, "group_structure": structure}
        | {"level": str(n % 3 + 1), "second_head": "x", "third_head": "y"}
        for video, (kind, structure) in enumerate(groups)
        for n in (1, 2, 3, 4)
    ]
    write_parquet(folder / "test-00000-of-00001.parquet", rows)


def vinoground(folder: Path) -> None:
    names = ("index", "major", "minor", "pos_vid", "pos_cap", "neg_vid", "neg_cap")
    pairs = [("0", "object", "cyclical;contextual"), ("1", "action", "")]
    write_csv(
        folder / "vinoground.csv",
        [dict(zip(names, (*pair, "a", "a b", "b", "b a"), strict=True)) for pair in pairs],
    )
    which = "Which video segment matches this caption?\nA. The first segment of {}\nB. The second segment of {}"
    for task, question in (("text", TWO_CAPTIONS), ("video", which)):
        rows = [
            {
                "idx": f"{pair}_{side}",
                "video_name": f"vinoground_videos{'' if task == 'text' else '_concated'}/{pair}_{side}.mp4",
            }
            | {"question": question.format(f"{pair}{side}", f"{pair}{side}"), "GT": "AB"[(n + int(pair)) % 2]}
            for pair, _, _ in pairs
            for n, side in enumerate(("pos", "neg"))
        ]
        write_json(folder / f"vinoground_{task}score.json", rows)


def video_holmes(folder: Path) -> None:
    options = {letter: f"suspect {letter.lower()}" for letter in "ABCDEF"}
    rows = [
        {"video ID": f"v{n // 3}", "Question ID": n, "Question Type": kind, "Question": f"Who took ring {n}?"}
        | {"Options": options, "Answer": "ABCDEF"[n % 6], "Explanation": "It is seen."}
        for n, kind in enumerate(benchmark_called("video_holmes").sizes)
    ]
    write_json(folder / "test_Video-Holmes.json", rows)


def timeblind(folder: Path) -> None:
    answers = {"yes_no": ("Yes", "No", "No", "Yes"), "multiple_choice": ("A", "B", "B", "A")}
    rows = []
    for instance, kind in enumerate(answers):
        for role in range(4):
            words = f"Does ball {role // 2} of {instance} speed up?"
            if kind == "multiple_choice":
                words += " A. yes, it speeds up B. no, it slows down"
            video = f"TimeBlind/videos/vid_{instance}_{role % 2}.mp4"
            row = {"index": 4 * instance + role, "video_path": video, "question": words}
            rows.append(row | {"answer": answers[kind][role], "type": kind})
    write_lines(folder / "data.jsonl", rows)


def video_mme_logical(folder: Path) -> None:
    answers = ("3", "B.", '["red", "blue"]', "The Left Cup.")
    rows = [
        {"id": f"q{n}", "question": f"Where is ball {n}?", "answer": answer, "video_path": f"videos/{n}.mp4"}
        | {"parent_major": "state", "major": "cups", "category": f"cups_{n % 2}", "difficulty": "easy"}
        for n, answer in enumerate(answers)
    ]
    write_json(folder / "three_level_testset.json", {"items": rows})


def next_qa(folder: Path) -> None:
    rows = [
        {
            "video": str(100 + n // 2),
            "frame_count": 300,
            "width": 320,
            "height": 240,
            "question": f"why is ball {n} red",
        }
        | {"answer": n % 5, "qid": n, "type": kind, **{f"a{option}": f"reason {option}" for option in range(5)}}
        for n, kind in enumerate(("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO"))
    ]
    write_csv(folder / "nextqa/test.csv", rows)


def timelens(folder: Path) -> None:
    for name in ("charades", "activitynet", "qvhighlights"):
        videos = {
            f"v{n}": {
                "duration": 40.0,
                "spans": [[1.5, 4.0 + n], [10, 20.25]],
                "queries": ["a  dog runs.", "a cat sits"],
            }
            for n in range(2)
        }
        write_json(folder / f"{name}-timelens.json", videos)


def cvbench(folder: Path) -> None:
    def row(number: int, options: list[str], answer: str) -> dict[str, Any]:
        videos = {f"video_{n + 1}": f"{number}/v{n}.mp4" if n < 2 + number % 3 else None for n in range(4)}
        asked = {"question": f"Which video shows ball {number}?", "options": options, "answer": answer}
        return {"id": number, "task_type": "Joint-video Counting", **videos, **asked}

    four = ["A. Video 1.", "B. Video 2.", "C. Both of them.", "D. None of them."]
    together = ["A. the same color paper, B. wings with tape, C. folds and symmetry, D. wider wings"]
    rows = [
        row(0, ["Yes.", "No."], "No"),
        row(1, four, "A"),
        row(2, four, "D"),
        row(3, together, "C"),
        row(4, four, "B"),
    ]
    write_json(folder / "CVBench.json", rows)


def temporalbench(folder: Path) -> None:
    rows = [
        {"idx": f"short_video/{n // 2}.mp4_{n}", "video_name": f"short_video/{n // 2}.mp4", "category": category}
        | {"question": TWO_CAPTIONS.format(n, n) + "\nAnswer with the option's letter from the given choices directly."}
        | {"GT": "AB"[n % 2], "dataset": ("Charades", "COIN")[n // 2 % 2]}
        for n, category in enumerate(("Action Order", "Action Type", "Event Order", "Others"))
    ]
    write_json(folder / "temporalbench_short_qa.json", rows)


def aotbench(folder: Path) -> None:
    for name in ("ReverseFilm", "UCF101", "Rtime_t2v", "Rtime_v2t", "AoTBench_QA"):
        asked = "Is video {} played\nA. forward\nB. backward"
        rows = [
            {"qa_idx": n, "video_name": f"{name}/{n}.mp4", "question": asked.format(n), "ans": "AB"[n % 2]}
            for n in range(2)
        ]
        write_json(folder / f"data_files/input/{name}.json", rows)


def vstar(folder: Path) -> None:
    boxes = [
        {"timestamp": second, "frame_index": 30 * second, "xmin": 10, "ymin": 20, "xmax": 60, "ymax": 80 + second}
        for second in (3, 4, 5)
    ]
    rows = [
        {"vid": f"v{n}", "domain": "Daily Life", "fps": 30.0, "width": 640, "height": 360, "frame_count": 900}
        | {"question": f"What does person {n} hold?", "chain": "x", "object": "cup", "answer": "A red cup."}
        | {"temporal_question": f"When does person {n} hold the cup?", "timestamps": [2.5, 5.75]}
        | {"spatial_question": f"Where is the cup of {n}?", "spatial_question_2": f"Where is cup {n}?", "bboxes": boxes}
        for n in range(2)
    ]
    write_json(folder / "V_STaR_test.json", rows)


def vstat(folder: Path) -> None:
    def row(number: int, answer: Any, **more: Any) -> dict[str, Any]:
        asked = {
            "video_id": f"v{number}",
            "video_path": f"videos/synthetic/v{number}.mp4",
            "question": f"How many in {number}?",
        }
        return asked | {"answer": answer, "answer_type": "numeric", "source_task": "", "choices": None} | more

    choices = {"answer_type": "mcq", "choices": ["left", "right", "middle"]}
    color = {"question": "Where is it? A. left B. right C. middle", **choices}
    data = {
        "cards": [row(0, 4, source_task="showing_card_count_heart"), row(1, "-2", source_task="book")],
        "cups": [row(2, "B", **color), row(3, "middle", answer_index=2, **color)],
    }
    write_json(folder / "vstat_qa_clean.json", {"data": data})


LAYOUTS: dict[str, Callable[[Path], None]] = {
    draw.__name__: draw
    for draw in (
        aotbench,
        charades_sta,
        cvbench,
        mvbench,
        next_gqa,
        next_qa,
        tempcompass,
        temporalbench,
        timeblind,
        timelens,
        tomato,
        tvbench,
        vcrbench,
        video_holmes,
        video_mme,
        video_mme_logical,
        video_mme_v2,
        vinoground,
        vsi_bench,
        vstar,
        vstat,
    )
}
