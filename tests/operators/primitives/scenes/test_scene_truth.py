"""The answer of every primitive about scenes, worked out again from the shots and not from the event log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from temporay.operators.records import Question, ScenePlan

from tests.operators.primitives.planning import SCENES, Oracle, make_plan, make_primitive

WITH_ONE_CAPTION = tuple(replace(scene, captions=scene.captions[:1]) for scene in SCENES)
NONE = "none of the other answers is correct"


def shown(plan: ScenePlan) -> list[str]:
    return [shot.scene.captions[0] for shot in plan.shots]


def listed_or_none(caption: str, question: Question) -> str:
    return caption if caption in question.options or NONE not in question.options else NONE


def scene_order(plan: ScenePlan, question: Question) -> str:
    return " ".join(f"Scene {i}: {caption}." for i, caption in enumerate(shown(plan), start=1))


def before_after(plan: ScenePlan, question: Question) -> str:
    asked, anchors = plan.facts["asked"], [caption for caption in shown(plan) if f'"{caption}"' in question.text]
    assert asked in anchors
    anchors.remove(asked)
    earlier = sum(shown(plan).index(anchor) < shown(plan).index(asked) for anchor in anchors)
    if len(anchors) == 1:
        return ("before", "after")[earlier]
    if earlier in (0, len(anchors)):
        return f"{'after' if earlier else 'before'} all of them"
    return f"after just {('one', 'two', 'three')[earlier - 1]} of them"


def first_last(plan: ScenePlan, question: Question) -> str:
    listed = [caption for caption in shown(plan) if f'"{caption}"' in question.text]
    assert set(question.options) - {NONE} <= set(listed)
    assert ("first" in question.text) != ("last" in question.text.replace("at last", ""))
    return listed_or_none(listed[0] if " first" in question.text else listed[-1], question)


def adjacent_scene(plan: ScenePlan, question: Question) -> str:
    place = shown(plan).index(plan.facts["anchor"])
    if " after " in question.text:
        last = place + 1 == len(plan.shots)
        return "there is no scene after it" if last else listed_or_none(shown(plan)[place + 1], question)
    return listed_or_none(shown(plan)[place - 1], question) if place else "there is no scene before it"


def scene_count(plan: ScenePlan, question: Question) -> str:
    return str(len(plan.shots) if "shot" in question.text else len(set(shown(plan))))


def scene_at(plan: ScenePlan, question: Question) -> str:
    number: int = plan.facts["number"]
    assert str(number) in question.text and str(len(plan.shots)) in question.text
    return listed_or_none(shown(plan)[number - 1], question)


def story_match(plan: ScenePlan, question: Question) -> str:
    first, *between, last = shown(plan)
    return ", ".join([f"First {first}", *(f"then {caption}" for caption in between), f"last {last}."])


def recurring_scenes(plan: ScenePlan, question: Question) -> str:
    order = shown(plan)
    if plan.facts["mode"] == "count":
        return str(order.count(plan.facts["anchor"]))
    if plan.facts["mode"] == "which":
        return next(caption for caption in order if order.count(caption) == 2)
    assert order.count(plan.facts["anchor"]) == 3
    _, first, second, _ = " ".join(order).split(plan.facts["anchor"])
    return (first if "first and second" in question.text else second).strip()


ORACLES: dict[str, Oracle] = {
    "scene_order": scene_order,
    "before_after": before_after,
    "first_last": first_last,
    "adjacent_scene": adjacent_scene,
    "scene_count": scene_count,
    "scene_at": scene_at,
    "story_match": story_match,
    "recurring_scenes": recurring_scenes,
}


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("task", ORACLES)
def test_answer_holds_in_what_is_shown(task: str, level: int) -> None:
    for index in range(40):
        plan = make_plan(task, index, level, scenes=WITH_ONE_CAPTION)
        question = make_primitive(task).ask(plan)
        assert question.options[question.answer_index] == ORACLES[task](plan, question), plan.address


def test_no_scene_is_an_option_of_every_adjacent_question_and_right_at_chance() -> None:
    right, chance = 0, 0.0
    for index in range(400):
        plan = make_plan("adjacent_scene", index, 2, scenes=WITH_ONE_CAPTION)
        question = make_primitive("adjacent_scene").ask(plan)
        listed = [option for option in question.options if option.startswith("there is no scene")]
        assert len(listed) == 1
        assert set(question.options) - set(listed) <= set(shown(plan)), "a scene outside the video is an easy wrong one"
        right += question.options[question.answer_index] == listed[0]
        chance += question.chance
    assert abs(right - chance) < 4 * np.sqrt(chance * 0.75)


def test_a_scene_is_compared_with_more_scenes_from_level_to_level() -> None:
    modes = [{make_plan("before_after", i, level).facts["mode"] for i in range(40)} for level in range(5)]
    assert modes == [{"one"}, {"one"}, {"one", "two"}, {"one", "three"}, {"four"}]


def test_more_scenes_are_counted_from_level_to_level() -> None:
    counted = [[len(make_plan("scene_count", i, level).shots) for i in range(60)] for level in range(5)]
    means = [np.mean(counts) for counts in counted]
    assert means == sorted(means)
