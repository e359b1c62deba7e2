"""The contract of every primitive in the directory: determinism, a truthful log, nothing that tells the answer.

Parametrized over the directory alone, so a new primitive is held to all of it. All cases of a task are one xdist group,
because they share its samples.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from temporay.operators.audit.gate import family_z, judge, measure
from temporay.operators.audit.priors import ATTACKS, RULES, Attack, letter_balance, lookup
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.label_check import Verdict, check_pixels
from temporay.operators.dataset.rows import SampleRow, make_sample, to_row
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.render import render
from temporay.operators.primitives._claims import holds
from temporay.operators.records import Address, Question, Scene, ScenePlan
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

from tests.operators.primitives.planning import CLEAR, TASKS, load_scene, make_plan, make_primitive

EACH_TASK = [pytest.param(task, marks=pytest.mark.xdist_group(task), id=task) for task in TASKS]
DRAWN = [case for case, task in zip(EACH_TASK, TASKS, strict=True) if make_primitive(task).family == "shapes"]
SHOWN = [case for case in EACH_TASK if case not in DRAWN]
NUM_SAMPLES = 320
AGREEING_SHARE = 0.75
NUM_DECODED = {"shapes": 8, "pseudo_video": 4}  # clips per level; pseudo-videos share one way to recognize pictures
SMALL = Canvas(
    width=48,
    height=48,
    fps=4.0,
    num_frames=(8, 8),
    num_scenes=(2, 3),
    frames_per_scene=(2, 4),
    jitter="smooth",
    sampling=EVERY_FRAME,
)
LARGE = Canvas(
    width=96,
    height=72,
    fps=8.0,
    num_frames=(14, 30),
    num_scenes=(2, 6),
    frames_per_scene=(1, 20),
    jitter="paper",
    sampling=EVERY_FRAME,
)
Sampled = tuple[ScenePlan, Question]


@cache
def sampled(task: str, level: int) -> tuple[Sampled, ...]:
    """Plan many samples of one primitive. None may be rejected, because these captions differ."""
    primitive = make_primitive(task)
    plans = [make_plan(task, index, level, LARGE) for index in range(NUM_SAMPLES)]
    return tuple((plan, primitive.ask(plan)) for plan in plans)


@cache
def rows_of(task: str, level: int) -> tuple[SampleRow, ...]:
    """Return samples as the audit reads them, with their plans."""
    hashes = {"recipe_hash": "", "content_hash": "", "instruction": ""}
    primitive = make_primitive(task)
    return tuple(
        {**to_row(make_sample(primitive, plan, "concise"), **hashes), "nbytes": 0, "plan": plan}
        for plan, _ in sampled(task, level)
    )


# Guessing without watching.


def _text(row: SampleRow, option: str) -> str:
    return option


def _letter(row: SampleRow, option: str) -> int:
    letter: int = row["options"].index(option)
    return letter


LOOKUPS: dict[str, Attack] = {  # not among the audit's attacks
    "length": lambda rows: lookup(rows, lambda row: row["num_frames"], _text),
    "letter_of_length": lambda rows: lookup(rows, lambda row: row["num_frames"], _letter),
    "background": lambda rows: lookup(rows, lambda row: row["plan"].backdrop.color[0] // 20, _text),
    "letter_of_wording": lambda rows: lookup(rows, lambda row: row["question"], _letter),
    "letter_of_options": lambda rows: lookup(rows, lambda row: tuple(sorted(row["options"])), _letter),
}
NUM_COMPARISONS = 2 * len(TASKS) * (1 + len(ATTACKS) + len(LOOKUPS))


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("task", EACH_TASK)
def test_text_letters_and_length_do_not_tell_the_answer(task: str, level: int) -> None:
    """Run the audit's own attacks on more samples and other levels than test_audit_primitives does."""
    rows = rows_of(task, level)
    for name, attack in {**ATTACKS, **LOOKUPS}.items():
        result = judge(measure("priors", name, attack(rows), rows, learned=attack not in RULES), NUM_COMPARISONS)
        assert result.passed, f"{task}: {name} is right in {result.accuracy:.1%}, z {result.z:.1f}"
    assert letter_balance(rows)[1] < family_z(NUM_COMPARISONS)


def test_a_lookup_finds_a_leak() -> None:
    """If the clip were longer for option B, the same attack would fail the test."""
    leaky = []
    for row in rows_of("before_after", 0):
        answer = row["num_frames"] % 2
        leaky.append({**row, "answer": "AB"[answer], "answer_text": row["options"][answer]})
    credits_N = LOOKUPS["letter_of_length"](leaky)
    assert not judge(measure("priors", "length", credits_N, leaky), NUM_COMPARISONS).passed


# Guessing from one frame.


@pytest.mark.parametrize("task", SHOWN)
def test_the_scene_of_one_frame_is_not_the_answer(task: str) -> None:
    if not make_primitive(task).needs_time:
        pytest.skip("one frame may tell the answer")
    surplus, variance = 0.0, 0.0
    for plan, question in sampled(task, 0) + sampled(task, 3):
        ms = 1000 * int(rng_at(*plan.address.parts(), "probe").integers(plan.num_frames)) / plan.fps
        seen = next(event.subject for event in plan.events if event.start_ms <= ms < event.end_ms)
        if seen in question.options:
            surplus += (question.options[question.answer_index] == seen) - question.chance
            variance += question.chance * (1 - question.chance)
    assert abs(surplus) <= 4 * np.sqrt(variance)


@pytest.mark.parametrize("task", DRAWN)
def test_the_place_of_a_shape_in_one_frame_does_not_tell_the_answer(task: str) -> None:
    if not make_primitive(task).needs_time:
        pytest.skip("one frame may tell the answer")
    rows = rows_of(task, 0) + rows_of(task, 3)
    for when in ("first", "middle", "random"):
        credits_N = lookup(rows, lambda row, when=when: _place(row["plan"], when), _text)
        assert measure("pixels", when, credits_N, rows).z < 4, when


def _place(plan: ScenePlan, when: str) -> tuple[int, int]:
    """Return the cell, of 4 x 4, in which the last shape is in one frame."""
    rng = rng_at(*plan.address.parts(), "probe")
    frame = {"first": 0, "middle": plan.num_frames // 2, "random": int(rng.integers(plan.num_frames))}[when]
    x, y = plan.tracks[-1].xy_T2[frame] / (plan.width, plan.height)
    return int(4 * x), int(4 * y)


# What every sample keeps.


@pytest.mark.parametrize("canvas", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("task", EACH_TASK)
def test_contract(task: str, level: int, canvas: Canvas) -> None:
    primitive = make_primitive(task)
    assert primitive.task == task
    for index in range(6):
        plan = make_plan(task, index, level, canvas)
        question = primitive.ask(plan)
        assert 2 <= len(question.options) == len(set(question.options))
        assert 0 <= question.answer_index < len(question.options)
        assert "{" not in question.text
        assert plan.events
        for event in plan.events:
            assert 0 <= event.start_ms < event.end_ms <= plan.duration_ms + 1e-6, event
        for track in plan.tracks:
            assert track.xy_T2.shape == (plan.num_frames, 2)
        answer = question.options[question.answer_index].rstrip(".")
        for style in ("concise", "detailed"):
            told = primitive.explain(plan, question, style)
            assert told.rstrip(".").endswith(answer), told
            assert told[:1] == told[:1].strip() and "{" not in told


@pytest.mark.parametrize("task", EACH_TASK)
def test_every_wording_is_used_and_there_are_at_least_eight(task: str) -> None:
    wordings = {(plan.facts.get("mode"), plan.facts["wording"]) for plan, _ in sampled(task, 0)}
    assert len({wording for _, wording in wordings}) >= 8


@pytest.mark.parametrize("task", EACH_TASK)
def test_a_question_that_is_asked_without_options_never_speaks_of_them(task: str) -> None:
    primitive = make_primitive(task)
    if primitive.free_form:
        for plan, _ in sampled(task, 0)[:40]:
            texts = primitive.wordings_of(plan.facts)
            assert not [text for text in texts if re.search(r"\boptions?\b|\bof these\b", text)]


# Twins, chains of thought, and what the pixels say.


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("task", EACH_TASK)
def test_a_twin_has_another_answer_and_the_frames_it_declares(task: str, level: int) -> None:
    primitive = make_primitive(task)
    for index in range(8):
        plan, twin = (make_plan(task, index, level, LARGE, twin=is_twin) for is_twin in (False, True))
        question, other = primitive.ask(plan), primitive.ask(twin)
        assert plan.facts == twin.facts, "facts must hold nothing of the truth"
        assert (question.text, question.options) == (other.text, other.options)
        assert question.answer_index != other.answer_index
        assert (plan.num_frames, plan.backdrop) == (twin.num_frames, twin.backdrop)
        frames, twin_frames = (list(map(bytes, render(one, load_scene))) for one in (plan, twin))
        if primitive.twin == "reversed":
            assert frames == twin_frames[::-1]
        elif primitive.twin == "reordered":
            assert sorted(frames) == sorted(twin_frames)
            assert frames != twin_frames
        else:
            assert frames != twin_frames


@pytest.mark.parametrize("task", EACH_TASK)
def test_every_claim_of_a_chain_of_thought_is_in_the_log(task: str) -> None:
    primitive = make_primitive(task)
    for plan, question in sampled(task, 3)[:60]:
        told = primitive.explain(plan, question, "detailed")
        claims = primitive.claims(told)
        assert claims, told
        for claim in claims:
            assert holds(claim, plan.events), f"{claim} is not in {plan.events}"
        for sentence in re.findall(r"[^.]*\d\.\d s[^.]*", told):
            assert any(sentence.strip(" .") in claim.text for claim in claims), f"{sentence!r} claims nothing: {told}"
        assert "answer was given" not in told
    assert all(len(variants) >= 3 for variants in primitive.phrases.values())


@pytest.mark.parametrize("task", EACH_TASK)
def test_a_false_claim_is_found_false(task: str) -> None:
    """The story of one clip is false for another."""
    primitive = make_primitive(task)
    (plan, question), *others = sampled(task, 3)[:40]
    claims = primitive.claims(primitive.explain(plan, question, "detailed"))
    refuted = [any(not holds(claim, other.events) for claim in claims) for other, _ in others]
    assert sum(refuted) > 0.8 * len(refuted)


@pytest.mark.parametrize("level", [0, 2, 4])
@pytest.mark.parametrize("task", EACH_TASK)
def test_decoded_pixels_never_contradict_the_answer(task: str, level: int) -> None:
    primitive = make_primitive(task)
    verdicts: Counter[Verdict] = Counter()
    num_clips = NUM_DECODED[primitive.family]
    for index in range(num_clips):
        plan = make_plan(task, index, level, CLEAR)
        clip = encode(render(plan, load_scene), plan.fps, Codec(crf=18))
        verdicts[check_pixels(primitive, plan, primitive.ask(plan), decode(clip.data), load_scene)] += 1
    assert verdicts[Verdict.DIFFERS] == 0
    assert verdicts[Verdict.AGREES] >= AGREEING_SHARE * num_clips, verdicts


@pytest.mark.parametrize("task", EACH_TASK)
def test_shots_cover_the_clip_and_images_repeat_only_where_scenes_recur(task: str) -> None:
    recur = getattr(make_primitive(task), "scenes_recur", False)
    for plan, _ in sampled(task, 3)[:40]:
        spans = [(shot.start_frame, shot.end_frame) for shot in plan.shots]
        if not spans:
            continue
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == plan.num_frames
        assert all(end > start for start, end in spans)
        images = [shot.scene.image_id for shot in plan.shots]
        assert all(one != other for one, other in pairwise(images)), "a cut nobody can see"
        assert recur or len(set(images)) == len(images)


def fingerprint(index: int) -> str:
    """Hash plan, question and frames of every primitive at one index."""
    digest = hashlib.sha256()
    for task in TASKS:
        plan = make_plan(task, index, 2, SMALL)
        digest.update(repr((plan.events, plan.facts, make_primitive(task).ask(plan))).encode())
        digest.update(render(plan, load_scene).tobytes())
    return digest.hexdigest()


def test_same_address_same_sample_other_index_another() -> None:
    assert fingerprint(0) == fingerprint(0)
    assert fingerprint(0) != fingerprint(1)


def test_plans_survive_pickling_to_a_fresh_process(tmp_path: Path) -> None:
    """Another process asks the same questions of the pickled plans, whatever its hash seed."""
    pairs = [(make_primitive(task), make_plan(task, 0, 2, SMALL)) for task in TASKS]
    path = tmp_path / "plans.pickle"
    path.write_bytes(pickle.dumps(pairs))
    script = (
        "import pickle, sys; from pathlib import Path\n"
        "for primitive, plan in pickle.loads(Path(sys.argv[1]).read_bytes()):\n"
        "    question = primitive.ask(plan); print(repr((question, primitive.explain(plan, question, 'concise'))))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
        env={"PYTHONHASHSEED": "11"},
    )
    here = [(p.ask(plan), p.explain(plan, p.ask(plan), "concise")) for p, plan in pairs]
    assert result.stdout.splitlines() == [repr(pair) for pair in here]


def test_alike_captions_are_rejected_with_a_reason() -> None:
    twins = tuple(
        Scene(image_id=i, path="", captions=(f"a red circle number {i}",), license_id=None, source_url="")
        for i in range(3)
    )
    with pytest.raises(SampleRejected) as rejected:
        make_primitive("first_last").plan(twins, SMALL, Address(task="first_last", split="x", index=0, seed=0, level=0))
    assert rejected.value.reason == "captions_alike"


def test_a_canvas_with_too_little_is_refused() -> None:
    one_scene = Canvas(
        width=48,
        height=48,
        fps=4.0,
        num_frames=(2, 2),
        num_scenes=(1, 1),
        frames_per_scene=(1, 2),
        jitter="none",
        sampling=EVERY_FRAME,
    )
    with pytest.raises(UserError, match="num_scenes"):
        make_plan("scene_order", 0, 0, one_scene)
    assert make_plan("motion_direction", 0, 0, one_scene).num_frames > 2  # a clip is as long as its course
