"""A chain of thought is paid for the true claims in it, however it is written."""

from dataclasses import replace
from itertools import product

import pytest
from temporay.operators.dataset.rows import make_sample
from temporay.operators.primitives._base import Style
from temporay.operators.primitives._claims import Claim, read_claims, tell
from temporay.operators.primitives._stated import Stated, share_right
from temporay.operators.primitives.scenes._shots import tell_order
from temporay.operators.records import Sample
from temporay.operators.rewards.process import Process, Tally, claims_by_sentence, readings
from temporay.operators.scoring.scores import inapplicable, load_rewards

from tests.operators.primitives.planning import CANVAS, SCENES, TASKS, make_plan, make_primitive
from tests.operators.rewards.spoiling import STYLES, samples_of, spoiled
from tests.operators.samples import answered, real_sample, score_of


def own_claims(sample: Sample) -> list[Claim]:
    primitive = make_primitive(sample.address.task)
    return claims_by_sentence(primitive, sample.rationale, primitive.names(sample.events))


ONE_EVENT = ("attribute_change", "event_span", "relative_position", "scene_count", "rotation")  # may tell one alone


def value(sample: Sample, thought: str) -> float:
    score = score_of(answered("A", thought), sample, load_rewards({"process": 1}))
    assert score.reward is not None, score.detail
    return score.reward


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_the_chain_of_thought_that_is_taught_is_worth_one_and_spoiled_it_is_worth_less(task: str, style: Style) -> None:
    primitive = make_primitive(task)
    for sample in samples_of(task, style, num_each=2):
        assert value(sample, sample.rationale) == 1.0
        gold = readings(primitive, sample.rationale, sample.events)
        told = set().union(*(claim.events for claim in gold))
        assert len(told) >= min(2, len(sample.events)) or task in ONE_EVENT, "not all that is told is read back"
        thoughts = list(spoiled(sample))
        assert thoughts or not any(claim.stated.what or claim.stated.when for claim in gold)
        for thought in thoughts:
            worth = value(sample, thought)
            assert worth < 1.0, thought
            assert worth > 0.0 or len(gold) == 1, thought


def test_no_caption_is_too_odd_to_be_read() -> None:
    """A caption may hold quotes, periods and the words between two scenes."""
    odd = 'a{0} b{0}. It says "c{0}." and, then d{0}, last e{0}?'
    scenes = tuple(replace(scene, captions=(odd.format(i),)) for i, scene in enumerate(SCENES))
    for task, style in product((t for t in TASKS if make_primitive(t).family == "pseudo_video"), STYLES):
        for index, level in product(range(4), (0, 2, 4)):
            sample = make_sample(make_primitive(task), make_plan(task, index, level, scenes=scenes), style)
            assert value(sample, sample.rationale) == 1.0, sample.rationale


def test_a_long_list_of_scenes_is_read_whole() -> None:
    captions = [" ".join(f"w{i}x{k}" for k in range(25)) for i in range(len(SCENES))]
    scenes = tuple(replace(scene, captions=(caption,)) for scene, caption in zip(SCENES, captions, strict=True))
    plan = make_plan("story_match", 0, 4, replace(CANVAS, num_scenes=(7, 7)), scenes=scenes)
    sample = make_sample(make_primitive("story_match"), plan, "concise")
    assert len(sample.rationale) > 700
    assert value(sample, sample.rationale) == 1.0


def test_a_subject_is_read_without_the_words_before_it() -> None:
    primitive, sample = make_primitive("playback_speed"), real_sample("playback_speed", style="concise")
    names = primitive.names(sample.events)
    first = sample.rationale.split(". ")[0] + "."
    for before in (
        "In my view, ",
        "In all of it: ",
        "In the video the two are shown. ",
        "In a word, in short, ",
        "In the ",
    ):
        [claim] = primitive.claims(before + first, names)
        assert (claim.text, claim.subject in names) == (first, True)
        assert value(sample, before + sample.rationale) == 1.0
    [unknown] = primitive.claims("In the lower corner the red circle takes 1.2 s to move by two of its widths.", names)
    assert unknown.subject == "lower corner"  # a name that is not in the log is read whole too
    [claim] = read_claims(
        "The frame is dark, and The red dot gets wider.", [{"drop": ("The {subject} gets {detail}.",)}]
    )
    assert claim.subject == "red dot"


def test_a_path_that_leaves_numbers_out_is_paid_for_those_it_tells() -> None:
    sample = real_sample("motion_direction", level=1, style="concise")
    x = sample.rationale.partition(" y ")[0]
    y = sample.rationale.partition(" y ")[2].partition(".")[0]
    n = len(y.split())
    assert value(sample, f"{x} y {y}.") == 1.0
    assert value(sample, f"{x} y {y[:-2]}.") == pytest.approx(((n - 0.5) / n) ** 2)
    assert value(sample, f"{x} y {y[0]}.") == pytest.approx(((n + 1) / 2 / n) ** 2)


def test_each_shape_of_a_path_has_its_own() -> None:
    sample = real_sample("path_crossings", level=0, style="concise")
    paths = sample.rationale.partition(". ")[0].split(", ")
    names = [path.partition(" x ")[0] for path in paths]
    swapped = [
        path.replace(name, other) for path, name, other in zip(paths, names, [*names[1:], names[0]], strict=True)
    ]
    assert value(sample, ", ".join(paths) + ".") == 1.0
    assert value(sample, paths[0] + ".") == pytest.approx(1 / len(paths))
    assert value(sample, ", ".join(swapped) + ".") < 0.5


def test_a_claim_is_worth_the_share_of_its_fields_that_are_right() -> None:
    near, scale = Stated(what={"1": 10.0}), (10.0, 11.0, 12.0, 30.0)
    assert [share_right(Stated(what={"1": v}), near, near) for v in scale] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    board = Stated(what={"1": "2", "2": "3", "before": tuple("12-3"), "after": tuple("1-23")})
    one_cell_off = replace(board, what={**board.what, "after": tuple("1-24")})
    assert share_right(one_cell_off, board, board) == pytest.approx(15 / 16)
    timed = Stated(what={"1": "left"}, when={"start": 0.0, "end": 900.0})
    off, blind = replace(timed, when={"start": 0.0, "end": 500.0}), replace(timed, what={"1": "up"})
    assert share_right(off, timed, timed) == pytest.approx(2 / 3)
    assert share_right(blind, timed, timed) == 0.0
    left_out = Stated(what={"1": "left"})
    assert share_right(left_out, timed, timed) == pytest.approx(1 / 3)
    assert share_right(timed, timed, left_out) == 1.0


def test_one_scene_of_a_list_that_is_swapped_leaves_the_others() -> None:
    sample = next(
        one for i in range(9) if len(own_claims(one := real_sample("first_last", index=i, style="concise"))) > 2
    )
    told = [claim.subject or "" for claim in own_claims(sample)]
    n = len(told)
    assert value(sample, tell_order([told[1], told[0], *told[2:]])) == pytest.approx(((n - 1) / n) ** 2)
    assert value(sample, tell_order(told[:-1])) == pytest.approx((n - 1) / n)
    assert value(sample, tell_order([*told[:-1], "a dog that nobody sees"])) == pytest.approx(((n - 1) / n) ** 2)


def test_every_phrase_is_worth_as_much() -> None:
    sample = real_sample("event_order")
    for phrase in make_primitive("event_order").phrases["appears"]:
        assert value(sample, " ".join(tell(event, phrase) for event in sample.events)) == 1.0


@pytest.mark.parametrize("task", TASKS)
def test_the_rationale_of_another_clip_is_worth_less(task: str) -> None:
    sample = real_sample(task)
    others = [real_sample(task, index=index) for index in range(1, 9)]
    assert sum(value(sample, other.rationale) < 0.7 for other in others) >= 6


@pytest.mark.parametrize("task", TASKS)
def test_one_sentence_alone_is_worth_less_and_so_is_one_falsehood_more(task: str) -> None:
    sample = real_sample(task)
    assert value(sample, sample.rationale.split(". ")[0] + ".") < 1.0
    phrases = make_primitive(task).phrases
    kind = next(event.kind for event in sample.events if event.kind in phrases)
    event = next(event for event in sample.events if event.kind == kind)
    false = tell(replace(event, start_ms=77_000.0, end_ms=78_000.0), phrases[kind][0])
    assert value(sample, f"{sample.rationale} {false}") < 1.0


def test_values_follow_the_formula() -> None:
    sample = real_sample("event_order", level=0)
    phrase = make_primitive("event_order").phrases["appears"][0]
    truths = [tell(event, phrase) for event in sample.events]
    lie = tell(replace(sample.events[0], subject="gray cube"), phrase)
    n = len(truths)
    assert n >= 2
    assert value(sample, truths[0]) == pytest.approx(1 / n)
    assert value(sample, f"{truths[0]} {lie}") == pytest.approx(1 / 2 * 1 / max(n, 2))
    assert value(sample, " ".join([truths[0]] * 50)) == pytest.approx(1 / 50 * 1 / 50)
    assert value(sample, " ".join([*truths, lie])) == pytest.approx((n / (n + 1)) ** 2)
    assert value(sample, lie) == 0.0
    assert value(sample, "") == 0.0
    assert value(sample, "Let me look at the video again.") == 0.0


def test_positions_without_times_must_come_in_their_order() -> None:
    sample = real_sample("motion_direction", style="concise")
    places = [event.detail.split() for event in sample.events if event.kind == "at"]
    assert len({tuple(place) for place in places}) > 2

    def path(order: list[list[str]]) -> str:
        return f"x {' '.join(x for x, _ in order)} y {' '.join(y for _, y in order)}."

    subject = sample.rationale.partition(" x ")[0]
    assert value(sample, f"{subject} {path(places[::-1])}") < value(sample, sample.rationale) == 1.0


def test_listing_every_possibility_is_worth_less_than_committing_to_one() -> None:
    """Compute exact means over all truths: n events with k possibilities each, ``named`` of them listed."""
    for n, k in product((1, 2, 3, 4), (2, 3)):

        def expected(named: int, n: int = n, k: int = k) -> float:
            truths = list(product(range(k), repeat=n))
            told = [sum(t < named for t in truth) for truth in truths]
            return sum(Tally(told=t, wasted=n * named - t, to_tell=n).value for t in told) / len(truths)

        committed = expected(1)
        assert all(expected(named) <= committed + 1e-12 for named in range(2, k + 1))


def test_saying_more_never_helps_unless_it_is_true_and_new() -> None:
    for told, wasted, to_tell in product(range(5), range(6), range(1, 5)):
        if told <= to_tell:
            now = Tally(told=told, wasted=wasted, to_tell=to_tell).value
            assert Tally(told=told, wasted=wasted + 1, to_tell=to_tell).value <= now
            if told < to_tell:
                assert Tally(told=told + 1, wasted=wasted, to_tell=to_tell).value > now


def test_a_run_is_told_where_a_reward_does_not_apply() -> None:
    own = replace(real_sample("event_order"), rationale="")
    samples = [real_sample("first_last"), own, replace(own, address=replace(own.address, task="video_qa"))]
    rewards = load_rewards({"process": 1.0, "order": 1.0})
    process, order = inapplicable(rewards, [*samples, real_sample("event_order")], "detailed")
    assert (
        "process does not apply to a part of event_order, video_qa (style of reasoning: none): its samples" in process
    )
    assert "order does not apply to first_last (style of reasoning: detailed): its answers are of kind choice" in order
    assert not inapplicable(load_rewards({"process": 1.0}), [real_sample(task) for task in TASKS], "detailed")
    for sample in samples:
        scored = score_of("a", sample, load_rewards({"process": 1.0, "accuracy": 1.0})).breakdown
        assert ("process" in scored) == (Process().inapplicable(sample) == "")


def test_process_does_not_apply_without_a_rationale() -> None:
    sample = replace(real_sample("event_order"), rationale="")
    score = score_of("<think>a</think>", sample, load_rewards({"process": 1.0, "accuracy": 1.0}))
    assert set(score.breakdown) == {"accuracy"}
    own = replace(sample, address=replace(sample.address, task="video_qa"))
    assert set(score_of("a", own, load_rewards({"process": 1, "accuracy": 1})).breakdown) == {"accuracy"}


def test_claims_outside_the_thought_are_not_paid() -> None:
    sample = real_sample("event_order")
    rewards = load_rewards({"process": 1.0})
    for text in (
        sample.rationale,
        f"<answer>{sample.rationale}</answer>",
        f"<think></think>{sample.rationale}<answer>A</answer>",
        f"<think>{sample.rationale}",
    ):
        assert score_of(text, sample, rewards).reward == 0.0
