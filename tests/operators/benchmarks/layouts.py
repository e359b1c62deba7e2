"""Small annotation files in the layout in which each benchmark is published, drawn by the tests."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

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


def tvbench(folder: Path) -> None:
    for task in [
        "action_antonym",
        "action_count",
        "action_localization",
        "action_sequence",
        "egocentric_sequence",
        "moving_direction",
        "object_count",
        "object_shuffle",
        "scene_transition",
        "unexpected_action",
    ]:
        bounds = {"start": 1.5, "end": 8.0} if task in ("action_localization", "action_sequence") else {}
        write_json(folder / f"json/{task}.json", [candidates(n, n % 2) | bounds for n in range(3)])


def mvbench(folder: Path) -> None:
    bounded = ("action_localization", "action_prediction", "action_sequence", "object_interaction")
    for task in [
        "action_antonym",
        "action_count",
        "action_localization",
        "action_prediction",
        "action_sequence",
        "character_order",
        "counterfactual_inference",
        "egocentric_navigation",
        "episodic_reasoning",
        "fine_grained_action",
        "fine_grained_pose",
        "moving_attribute",
        "moving_count",
        "moving_direction",
        "object_existence",
        "object_interaction",
        "object_shuffle",
        "scene_transition",
        "state_change",
        "unexpected_action",
    ]:
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


LAYOUTS: dict[str, Callable[[Path], None]] = {
    draw.__name__: draw for draw in (charades_sta, mvbench, next_gqa, tvbench, vcrbench, vsi_bench)
}
