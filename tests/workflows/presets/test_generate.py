from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.components import available
from temporay.operators.dataset.recipe import CocoPaths, Recipe, check, task_and_index
from temporay.operators.dataset.samples import make_sample_at, open_source
from temporay.operators.errors import UserError
from temporay.workflows.command_line import presets_in
from temporay.workflows.config import converted
from temporay.workflows.presets import generate, run

NOWHERE = Path("/nonexistent")


def shares(config: generate.GenerateConfig) -> Counter[str]:
    """How many samples of each task."""
    return Counter(task_and_index(config.recipe, i)[0] for i in range(config.num_samples))


def test_the_quickstart_makes_what_its_run_trains_on() -> None:
    assert converted(Recipe, run.quickstart()) == generate.quickstart().recipe


def test_synrl_has_the_papers_sizes_over_all_its_primitives() -> None:
    first, second, third = generate.synrl(), generate.synrl_rl(), generate.synrl_rl_long()
    assert [preset.num_samples for preset in (first, second, third)] == [6_700, 7_000, 3_000]
    assert [preset.split for preset in (first, second, third)] == ["train", "rl", "rl"]
    assert set(first.tasks) == set(generate.SHORT_TERM + generate.LONG_TERM) and len(first.tasks) == 18
    assert set(shares(first).values()) == {6_700 // 18, 6_700 // 18 + 1}
    assert third.canvas.num_frames == tuple(2 * n for n in second.canvas.num_frames)
    assert third.seed != second.seed  # the rounds share no sample
    assert first.style == "detailed" and first.camera_drift and len(first.backdrops) == 4


def test_combined_asks_everything_half_of_it_about_scenes() -> None:
    config = generate.combined()
    assert set(config.tasks) == set(available("temporay.operators.primitives"))
    assert (
        sum(shares(config)[task] for task in (*generate.PSEUDO_VIDEO, "recurring_scenes", "story_match"))
        == config.num_samples // 2
    )


PUBLISHED_LIMITS = {  # scenes and frames of each
    "pseudo-video": {"scene_order": (4, 20), "first_last": (6, 5)},
    "pseudo-video-qwen": {"scene_order": (4, 5)},
    "pseudo-video-all": {
        "scene_order": (4, 5),
        "before_after": (4, 5),
        "first_last": (6, 5),
        "adjacent_scene": (6, 5),
        "scene_at": (6, 5),
    },
}


@pytest.mark.parametrize("name", PUBLISHED_LIMITS)
def test_pseudo_videos_have_the_papers_numbers_of_scenes_and_frames(name: str, drawn_coco: CocoPaths) -> None:
    config = presets_in(generate)[name]()
    changes = {"num_samples": 80 * len(config.tasks), "storage": "virtual", "coco": drawn_coco, "check_pixels": False}
    recipe = Recipe.model_validate({**dict(config.recipe), **changes})
    source = open_source(recipe, NOWHERE)
    plans = [make_sample_at(recipe, source, i).plan for i in range(recipe.num_samples)]
    for task, (most_scenes, most_frames) in PUBLISHED_LIMITS[name].items():
        own = [plan for plan in plans if plan.address.task == task]
        assert {len(plan.shots) for plan in own} == set(range(2, most_scenes + 1))
        lengths = {shot.end_frame - shot.start_frame for plan in own for shot in plan.shots}
        assert lengths == set(range(1, most_frames + 1))
        (frames,) = {choice for plan in own[:1] for choice in recipe.canvas.sampling.choices(plan.num_frames, plan.fps)}
        assert len(frames) == own[0].num_frames, "every frame is shown"


def test_pseudo_videos_offer_as_many_answers_as_the_paper(drawn_coco: CocoPaths) -> None:
    config = generate.pseudo_video_all()
    changes = {"num_samples": 240, "storage": "virtual", "coco": drawn_coco, "check_pixels": False}
    recipe = Recipe.model_validate({**dict(config.recipe), **changes})
    source = open_source(recipe, NOWHERE)
    made = [make_sample_at(recipe, source, i) for i in range(recipe.num_samples)]
    num_options = {task: Counter[int]() for task in recipe.tasks}
    for one in made:
        scenes, task = len(one.plan.shots), one.plan.address.task
        num_options[task][len(one.sample.question.options)] += 1
        if task == "scene_order":
            assert len(one.sample.question.options) == (2 if scenes == 2 else 4)
    assert set(num_options["scene_count"]) == {4} and set(num_options["before_after"]) == {2}
    assert max(num_options["first_last"]) == max(num_options["adjacent_scene"]) == max(num_options["scene_at"]) == 4
    assert config.num_samples == 100_000 * len(config.tasks) and not config.weights


def test_a_canvas_beyond_the_limits_of_a_task_is_refused() -> None:
    config = generate.pseudo_video()
    canvas = replace(config.canvas, num_scenes=(40, 40))
    with pytest.raises(UserError, match="40 scenes of 1 frames at least, but limits_by_task allows scene_order 4"):
        check(config.recipe.model_copy(update={"canvas": canvas}))
    check(config.recipe)


def test_limits_of_a_task_that_is_not_asked_are_refused(recipe: Recipe) -> None:
    with pytest.raises(UserError, match="limits_by_task names 'scene_at', which is not among tasks"):
        check(recipe.model_copy(update={"limits_by_task": (("scene_at", 3, 4),)}))
    with pytest.raises(UserError, match=r"canvas\.num_scenes is 0 0"):
        check(recipe.model_copy(update={"limits_by_task": (("first_last", 0, 4),)}))


def test_every_preset_is_a_recipe_that_can_be_made() -> None:
    found = presets_in(generate)
    assert list(found)[:2] == ["quickstart", "pseudo-video"] and len(found) >= 8
    for preset in found.values():
        check(preset().recipe)
