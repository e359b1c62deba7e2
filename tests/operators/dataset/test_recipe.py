"""Settings of a dataset: what is refused, and how indices become addresses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from temporay.operators.dataset.recipe import Recipe, check, task_and_index
from temporay.operators.errors import UserError

from tests.operators.dataset.test_samples import changed


def test_tasks_come_by_weight_and_evenly_spread(recipe: Recipe) -> None:
    weighted = changed(recipe, num_samples=100, weights=(3.0, 1.0))
    places = [task_and_index(weighted, i) for i in range(100)]
    assert Counter(task for task, _, _ in places) == {"motion_direction": 75, "first_last": 25}
    assert len(set(places)) == 100
    assert {index for task, index, _ in places if task == "first_last"} == set(range(25))
    for start in range(0, 100, 20):
        assert Counter(task for task, _, _ in places[start : start + 20])["first_last"] in (4, 5, 6)


@pytest.mark.parametrize(("per_shard", "sizes"), [(5, [6, 6, 1]), (4, [4, 4, 4, 1])])
def test_the_two_of_a_pair_are_in_one_shard(recipe: Recipe, per_shard: int, sizes: list[int]) -> None:
    paired = changed(recipe, twins=True, samples_per_shard=per_shard, num_samples=13)
    assert [len(paired.shard_indices(n)) for n in range(paired.num_shards)] == sizes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("first_lst",)}, "unknown primitive 'first_lst'; did you mean 'first_last'"),
        ({"tasks": ()}, "tasks is empty"),
        ({"tasks": ("first_last", "first_last")}, "names a primitive twice"),
        ({"weights": (1.0,)}, "weights is 1.0; give 2 positive numbers"),
        ({"weights": (1.0, 0.0)}, "weights is 1.0 0.0; give 2 positive numbers"),
        ({"canvas": {"width": 47}}, "canvas is 47 x 48 px; both sides must be even"),
        ({"canvas": {"fps": 0.0}}, "canvas.fps is 0"),
        ({"canvas": {"num_scenes": (3, 2)}}, "canvas.num_scenes is 3 2"),
        ({"canvas": {"frames_per_scene": (0, 2)}}, "canvas.frames_per_scene is 0 2"),
        ({"codec": {"crf": 99}}, "crf goes from 0 to 51"),
        ({"coco": {"captions": Path("x"), "images": None}}, "coco.images is missing"),
    ],
)
def test_settings_that_do_not_fit_are_user_errors(recipe: Recipe, changes: dict[str, Any], message: str) -> None:
    tree = recipe.model_dump()
    for name, value in changes.items():
        tree[name] = {**tree[name], **value} if isinstance(value, dict) else value
    with pytest.raises(UserError) as caught:
        check(Recipe.model_validate(tree))
    assert message in str(caught.value)


@pytest.mark.parametrize("change", [{"num_samples": 0}, {"level": 5}, {"storage": "zip"}, {"sed": 1}])
def test_fields_are_checked_by_themselves(recipe: Recipe, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({**recipe.model_dump(), **change})


def test_identity_leaves_out_where_files_are_and_nothing_else(recipe: Recipe) -> None:
    assert set(recipe.identity()) == set(Recipe.model_fields) - {"coco"} | {"generator_version", "coco_licenses"}
