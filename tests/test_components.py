"""The contract of every primitive in the directory: determinism, a truthful log, nothing that tells the answer."""

from __future__ import annotations

import hashlib
import pickle
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.dataset.label_check import Verdict, check_pixels
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.render import render
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, EASY_SHAPES, paint
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives._claims import holds
from temporay.operators.records import Address, Frames, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

PACKAGE = "temporay.operators.primitives"
TASKS = available(PACKAGE)
NUM_SAMPLES = 320
SMALL = Canvas(
    width=48, height=48, fps=4.0, num_frames=(8, 8), num_scenes=(2, 3), frames_per_scene=(2, 4), jitter="smooth"
)
LARGE = Canvas(
    width=96, height=72, fps=8.0, num_frames=(14, 30), num_scenes=(2, 6), frames_per_scene=(1, 20), jitter="paper"
)
CLEAR = Canvas(
    width=160, height=120, fps=8.0, num_frames=(24, 40), num_scenes=(2, 5), frames_per_scene=(3, 8), jitter="paper"
)
SCENES = tuple(
    Scene(
        image_id=i,
        path=f"{color} {shape}",
        captions=(f"a {color} {shape}", f"a {shape} that is {color}"),
        license_id=None,
        source_url="",
    )
    for i, (color, shape) in enumerate((color, shape) for color in EASY_COLORS for shape in EASY_SHAPES)
)
Sampled = tuple[ScenePlan, Question]


def load_scene(scene: Scene) -> Frames:
    image_HWC = np.full((60, 80, 3), 30, np.uint8)
    color, shape = scene.path.split()
    paint(image_HWC, shape, COLORS[color], (40.0, 30.0), 20.0)
    return image_HWC


def make_primitive(task: str) -> Primitive:
    primitive: Primitive = load(PACKAGE, task)()
    return primitive


def make_plan(task: str, index: int, level: int, canvas: Canvas, *, twin: bool = False) -> ScenePlan:
    primitive = make_primitive(task)
    address = Address(task=task, split="train", index=index, seed=7, level=level, twin=twin)
    rng = rng_at("test scenes", task, index)
    chosen = rng.choice(len(SCENES), primitive.num_distinct_scenes(canvas), replace=False)
    return primitive.plan(tuple(SCENES[i] for i in chosen), canvas, address)


@cache
def sampled(task: str, level: int) -> tuple[Sampled, ...]:
    """Many samples of one primitive; nothing may be rejected, because these captions differ."""
    primitive = make_primitive(task)
    plans = [make_plan(task, index, level, LARGE) for index in range(NUM_SAMPLES)]
    return tuple((plan, primitive.ask(plan)) for plan in plans)


# Guessing without watching.


def z_score(hits: Sequence[bool], questions: Sequence[Question]) -> float:
    """Standard errors between a guesser's hits and chance, each question with its own number of options."""
    chances = np.array([question.chance for question in questions])
    return float((np.sum(hits) - chances.sum()) / np.sqrt((chances * (1 - chances)).sum()))


def lookup_z(samples: Sequence[Sampled], feature: Callable[[ScenePlan, Question], Hashable], *, by_text: bool) -> float:
    """How well a table of ``feature`` and option (its text or its letter) guesses, learnt on the other half."""
    hits, questions = [], []
    for fold in (0, 1):
        shown: Counter[Hashable] = Counter()
        right: Counter[Hashable] = Counter()
        for plan, question in samples[1 - fold :: 2]:
            for i, option in enumerate(question.options):
                cell = (feature(plan, question), option if by_text else i)
                shown[cell] += 1
                right[cell] += i == question.answer_index
        for plan, question in samples[fold::2]:
            cells = [(feature(plan, question), o if by_text else i) for i, o in enumerate(question.options)]
            rates = [(right[cell] + question.chance) / (shown[cell] + 1) for cell in cells]
            hits.append(int(np.argmax(rates)) == question.answer_index)
            questions.append(question)
    return z_score(hits, questions)


BLIND_FEATURES: dict[str, Callable[[ScenePlan, Question], Hashable]] = {
    "nothing": lambda plan, question: len(question.options),
    "num_frames": lambda plan, question: (plan.num_frames, len(question.options)),
    "coarse_num_frames": lambda plan, question: (plan.num_frames // 8, len(question.options)),
    "option_set": lambda plan, question: tuple(sorted(question.options)),
    "wording": lambda plan, question: question.text,
    "background": lambda plan, question: plan.backdrop.color[0] // 20,
}


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("task", TASKS)
def test_text_and_length_do_not_tell_the_answer(task: str, level: int) -> None:
    samples = sampled(task, level)
    for name, feature in BLIND_FEATURES.items():
        for by_text in (False, True):
            z = lookup_z(samples, feature, by_text=by_text)
            assert z < 4, f"{task}: a lookup of {name} (by_text={by_text}) beats chance by {z:.1f} standard errors"


@pytest.mark.parametrize("task", TASKS)
def test_answer_letters_are_balanced(task: str) -> None:
    by_size: dict[int, list[int]] = defaultdict(list)
    for _, question in sampled(task, 0) + sampled(task, 3):
        by_size[len(question.options)].append(question.answer_index)
    for size, letters in by_size.items():
        expected, n = 1 / size, len(letters)
        for letter in range(size):
            z = (letters.count(letter) - n * expected) / np.sqrt(n * expected * (1 - expected))
            assert abs(z) < 4, f"{task}: letter {letter} of {size} is right {letters.count(letter)} times in {n}"


@pytest.mark.parametrize("task", TASKS)
def test_no_option_stands_out(task: str) -> None:
    """Longest, shortest, and the one most like the others (the medoid, which gave 64 % on near-miss permutations)."""
    samples = sampled(task, 3)
    questions = [question for _, question in samples]
    attacks: dict[str, Callable[[tuple[str, ...]], int]] = {
        "longest": lambda options: int(np.argmax([len(o) for o in options])),
        "shortest": lambda options: int(np.argmin([len(o) for o in options])),
        "medoid": lambda options: int(np.argmax([sum(_alike(o, p) for p in options) for o in options])),
    }
    for name, attack in attacks.items():
        z = z_score([attack(q.options) == q.answer_index for q in questions], questions)
        assert z < 4, f"{task}: the {name} option is right {z:.1f} standard errors above chance"


def _alike(one: str, other: str) -> float:
    pairs = list(zip(one.split(), other.split(), strict=False))
    return sum(a == b for a, b in pairs) / max(1, len(pairs))


def test_the_lookup_finds_a_leak() -> None:
    """Were the clip longer for option B, the same table would say so."""
    leaky = []
    for plan, question in sampled("before_after", 0):
        answer = plan.num_frames % 2
        leaky.append((plan, Question(text=question.text, options=question.options, answer_index=answer)))
    assert lookup_z(leaky, BLIND_FEATURES["num_frames"], by_text=False) > 10


# Guessing from one frame.


@pytest.mark.parametrize("task", ["scene_at", "first_last", "adjacent_scene"])
def test_the_scene_of_one_frame_is_not_the_answer(task: str) -> None:
    samples = sampled(task, 0) + sampled(task, 3)
    hits, questions = [], []
    for plan, question in samples:
        frame = int(rng_at(*plan.address.parts(), "probe").integers(plan.num_frames))
        ms = 1000 * frame / plan.fps
        seen = next(e.subject for e in plan.events if e.start_ms <= ms < e.end_ms)
        if seen in question.options:
            hits.append(question.options[question.answer_index] == seen)
            questions.append(question)
    assert abs(z_score(hits, questions)) < 4


SINGLE_FRAMES = [
    (task, when)
    for task in ("motion_direction", "acceleration", "bounce_count", "distance_estimation")
    for when in ("first", "middle", "random")
]


@pytest.mark.parametrize(("task", "when"), SINGLE_FRAMES)
def test_the_place_of_a_shape_in_one_frame_does_not_tell_the_answer(task: str, when: str) -> None:
    def place(plan: ScenePlan, question: Question) -> Hashable:
        rng = rng_at(*plan.address.parts(), "probe")
        frame = {"first": 0, "middle": plan.num_frames // 2, "random": int(rng.integers(plan.num_frames))}[when]
        x, y = plan.tracks[-1].xy_T2[frame] / (plan.width, plan.height)
        return int(4 * x), int(4 * y)

    samples = sampled(task, 0) + sampled(task, 3)
    assert lookup_z(samples, place, by_text=True) < 4


def test_the_pixels_of_one_frame_do_not_tell_the_direction() -> None:
    samples = [(plan, make_primitive("motion_direction").ask(plan)) for plan in _small_plans("motion_direction")]

    def place(plan: ScenePlan, question: Question) -> Hashable:
        frame_HW = render(plan)[int(rng_at(*plan.address.parts(), "probe").integers(plan.num_frames))].max(axis=-1)
        rows, columns = np.nonzero(frame_HW > 150)
        return int(columns.mean() // 16), int(rows.mean() // 16)

    assert lookup_z(samples, place, by_text=True) < 4


def _small_plans(task: str) -> list[ScenePlan]:
    return [make_plan(task, index, 0, SMALL) for index in range(NUM_SAMPLES)]


# What every sample keeps.


@pytest.mark.parametrize("canvas", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("task", TASKS)
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


@pytest.mark.parametrize("task", TASKS)
def test_every_wording_is_used_and_there_are_at_least_eight(task: str) -> None:
    wordings = {(plan.facts.get("mode"), plan.facts["wording"]) for plan, _ in sampled(task, 0)}
    assert len({wording for _, wording in wordings}) >= 8


# Twins, chains of thought, and what the pixels say.


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("task", TASKS)
def test_a_twin_has_the_same_question_another_answer_and_the_frames_it_declares(task: str, level: int) -> None:
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


@pytest.mark.parametrize("task", TASKS)
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


@pytest.mark.parametrize("task", TASKS)
def test_a_false_claim_is_found_false(task: str) -> None:
    """The story of one clip does not hold of another."""
    primitive = make_primitive(task)
    (plan, question), *others = sampled(task, 3)[:40]
    claims = primitive.claims(primitive.explain(plan, question, "detailed"))
    refuted = [any(not holds(claim, other.events) for claim in claims) for other, _ in others]
    assert sum(refuted) > 0.8 * len(refuted)


@pytest.mark.parametrize("level", [0, 2, 4])
@pytest.mark.parametrize("task", TASKS)
def test_decoded_pixels_never_contradict_the_answer(task: str, level: int) -> None:
    primitive = make_primitive(task)
    verdicts: Counter[Verdict] = Counter()
    for index in range(16):
        plan = make_plan(task, index, level, CLEAR)
        clip = encode(render(plan, load_scene), plan.fps, Codec(crf=18))
        verdicts[check_pixels(primitive, plan, primitive.ask(plan), decode(clip.data), load_scene)] += 1
    assert verdicts[Verdict.DIFFERS] == 0
    if type(primitive).recover is not Primitive.recover:
        assert verdicts[Verdict.AGREES] >= 12, verdicts


@pytest.mark.parametrize("task", TASKS)
def test_shots_cover_the_clip_and_show_an_image_twice_only_where_scenes_recur(task: str) -> None:
    for plan, _ in sampled(task, 3)[:40]:
        spans = [(shot.start_frame, shot.end_frame) for shot in plan.shots]
        if not spans:
            continue
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == plan.num_frames
        assert all(end > start for start, end in spans)
        images = [shot.scene.image_id for shot in plan.shots]
        assert all(one != other for one, other in pairwise(images)), "a cut nobody can see"
        assert task == "recurring_scenes" or len(set(images)) == len(images)


def fingerprint(index: int) -> str:
    """Plan, question and frames of every primitive at one index."""
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
        width=48, height=48, fps=4.0, num_frames=(2, 2), num_scenes=(1, 1), frames_per_scene=(1, 2), jitter="none"
    )
    with pytest.raises(UserError, match="num_scenes"):
        make_plan("scene_order", 0, 0, one_scene)
    with pytest.raises(UserError, match="num_frames"):
        make_plan("motion_direction", 0, 0, one_scene)
