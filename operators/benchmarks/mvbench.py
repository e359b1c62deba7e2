"""MVBench (arXiv 2311.17005): 20 tasks of 200 questions over videos of eleven other datasets.

The official protocol is that of lmms-eval. Five tasks ask about a part of the video. Their videos come whole, and then
that part is shown, or already cut, in folders whose name ends with "segment".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol
from temporay.operators.benchmarks._choice import ChoiceBenchmark, accuracies, letter_index, lettered
from temporay.operators.benchmarks._files import placed
from temporay.operators.benchmarks._task_files import read_task

NUM_QUESTIONS = 200  # of every task
FRAME_FOLDERS_FPS = 3.0  # of the folders of frames that episodic_reasoning asks about
CUT = "segment"  # ends the name of a folder of videos that are already cut
STAR = ("star/Charades_v1_480", "star/Charades_segment")
CLEVRER = ("clevrer/video_validation",)
PERCEPTION = ("perception/videos",)
FOLDERS: dict[str, Sequence[str]] = {  # of every task's videos; the first that has the video is taken
    "action_antonym": ("ssv2_video", "ssv2_video_mp4"),
    "action_count": PERCEPTION,
    "action_localization": ("sta/sta_video", "sta/sta_video_segment"),
    "action_prediction": STAR,
    "action_sequence": STAR,
    "character_order": PERCEPTION,
    "counterfactual_inference": CLEVRER,
    "egocentric_navigation": ("vlnqa",),
    "episodic_reasoning": ("tvqa/frames_fps3_hq", "tvqa/video_fps3_hq_segment"),
    "fine_grained_action": ("Moments_in_Time_Raw/videos",),
    "fine_grained_pose": ("nturgbd", "nturgbd_convert"),
    "moving_attribute": CLEVRER,
    "moving_count": CLEVRER,
    "moving_direction": CLEVRER,
    "object_existence": CLEVRER,
    "object_interaction": STAR,
    "object_shuffle": PERCEPTION,
    "scene_transition": ("scene_qa/video",),
    "state_change": PERCEPTION,
    "unexpected_action": ("FunQA_test/test",),
}
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"\.(?!\d)")
_LETTERED = re.compile(r"([A-E])\.\s*.+", re.IGNORECASE)
_ALONE = re.compile(r"\b[A-E]\b", re.IGNORECASE)


class Mvbench(ChoiceBenchmark):
    """4,000 questions with one to five options."""

    title = "MVBench"
    source = "https://huggingface.co/datasets/OpenGVLab/MVBench"
    license = "MIT"
    how_to_get = "download the dataset OpenGVLab/MVBench from the Hub and unpack the archives in video"
    metric = "mean of the accuracies of 20 tasks"
    differs = (
        "official takes the first lone letter of a reply, also the article a, and leaves empty replies out of the "
        "count; strict reads one option or none and counts an empty reply as wrong"
    )
    num_frames = 16
    max_tokens = 16
    published_sizes = dict.fromkeys(FOLDERS, NUM_QUESTIONS)

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for task, places in FOLDERS.items():
            for row, item in read_task(folder, task, self.how_to_get):
                name = item.videos[0]
                video = placed(folder, [f"{top}{place}/{name}" for top in ("video/", "") for place in places])
                cut = video.removesuffix(f"/{name}").endswith(CUT)
                yield replace(
                    item,
                    videos=(video,),
                    cluster=video,
                    start_s=None if cut else item.start_s,
                    end_s=None if cut else item.end_s,
                    fps=FRAME_FOLDERS_FPS if task == "episodic_reasoning" else None,
                    extra={"subtitle": row.fields["subtitle"]} if "subtitle" in row.fields else {},
                )

    def prompt(self, item: BenchmarkItem) -> str:
        options = lettered(item.options, "({letter}) {option}")
        return f"Question:{item.question}\nOption:\n{options}\nOnly give the best option.\n"

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        match = _LETTERED.fullmatch(text.strip())
        found = [match[1]] if match else _ALONE.findall(_without_punctuation(" ".join(text.split())))
        return letter_index(found[0], len(item.options)) if found else None

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        counted = scored if protocol == "strict" else [one for one in scored if one.text]
        return accuracies(counted)


def _without_punctuation(text: str) -> str:
    """Replace marks by spaces, or by nothing where they stand beside a space, as VQA's official code does."""
    cleaned = text
    for mark in _MARKS:
        beside_space = f"{mark} " in text or f" {mark}" in text or re.search(r"\d,\d", text)
        cleaned = cleaned.replace(mark, "" if beside_space else " ")
    return _PERIOD.sub("", cleaned)
