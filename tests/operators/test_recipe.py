from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from operators.errors import SampleRejected, UserError
from operators.prompts import from_row, messages, plain_messages, question_text, to_row
from operators.recipe import (
    MAX_INDEX,
    Recipe,
    check,
    make_sample_at,
    open_source,
    render_address,
    task_and_index,
)
from operators.records import Frames, Question, Scene

NOWHERE = Path("/nonexistent")


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    return recipe.model_copy(update=changes)


def test_a_sample_depends_on_the_recipe_and_its_number_alone(recipe: Recipe) -> None:
    forwards = [make_sample_at(recipe, open_source(recipe, NOWHERE), i) for i in range(recipe.num_samples)]
    source = open_source(recipe, NOWHERE)
    for i in reversed(range(recipe.num_samples)):
        made = make_sample_at(recipe, source, i)
        assert made.sample == forwards[i].sample
        assert np.array_equal(made.frames_THWC, forwards[i].frames_THWC)
        assert np.array_equal(made.frames_THWC, render_address(recipe, source, made.sample.address))
    assert len({made.sample.key for made in forwards}) == recipe.num_samples


def test_another_seed_shares_no_question(recipe: Recipe) -> None:
    source = open_source(recipe, NOWHERE)
    other = changed(recipe, seed=recipe.seed + 1)
    events = {make_sample_at(recipe, source, i).sample.events for i in range(12)}
    assert events.isdisjoint(make_sample_at(other, source, i).sample.events for i in range(12))


def test_tasks_come_by_weight_and_evenly_spread(recipe: Recipe) -> None:
    weighted = changed(recipe, num_samples=100, weights=(3.0, 1.0))
    places = [task_and_index(weighted, i) for i in range(100)]
    assert Counter(task for task, _, _ in places) == {"motion_direction": 75, "first_last": 25}
    assert len(set(places)) == 100
    assert {index for task, index, _ in places if task == "first_last"} == set(range(25))
    for start in range(0, 100, 20):
        assert Counter(task for task, _, _ in places[start : start + 20])["first_last"] in (4, 5, 6)


def test_twins_stand_side_by_side_and_share_all_but_the_answer(recipe: Recipe) -> None:
    paired = changed(recipe, twins=True)
    source = open_source(paired, NOWHERE)
    for i in range(0, 8, 2):
        main, twin = (make_sample_at(paired, source, j).sample for j in (i, i + 1))
        assert (main.address.twin, twin.address.twin) == (False, True)
        assert main.address.pair_id == twin.address.pair_id
        assert main.question.text == twin.question.text
        assert main.question.answer_index != twin.question.answer_index


def test_what_no_question_can_be_asked_of_is_replaced_from_a_reserved_range(recipe: Recipe) -> None:
    source = open_source(recipe, NOWHERE)
    many = changed(recipe, tasks=("first_last",), num_samples=60)
    made = [make_sample_at(many, source, i) for i in range(60)]
    retried = [m for m in made if m.rejected]
    assert retried, "two of the drawn names are equal now and then"
    for m in made:
        assert m.sample.address.index // MAX_INDEX == len(m.rejected)
        assert set(m.rejected) <= {"captions_alike"}


def test_a_broken_image_rejects_the_sample_and_is_not_replaced(recipe: Recipe) -> None:
    def broken(scene: Scene) -> Frames:
        raise SampleRejected("image_corrupt", "x.jpg")

    source = open_source(recipe, NOWHERE)
    for storage in ("mp4", "virtual"):
        only_images = changed(recipe, tasks=("first_last",), storage=storage)
        unreadable = type(source)(scenes=source.scenes, load_image=broken, fingerprint="", dropped={})
        with pytest.raises(SampleRejected, match=r"image_corrupt: x\.jpg"):
            make_sample_at(only_images, unreadable, 0)


def test_splits_show_different_photographs(recipe: Recipe) -> None:
    shown: dict[str, set[int]] = {}
    for split in ("train", "rl", "test"):
        one = changed(recipe, tasks=("first_last",), split=split, test_fraction=0.3, num_samples=40)
        source = open_source(one, NOWHERE)
        samples = [make_sample_at(one, source, i).sample for i in range(40)]
        shown[split] = {s["image_id"] for sample in samples for s in sample.sources}
    assert shown["test"].isdisjoint(shown["train"] | shown["rl"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("first_lst",)}, "unknown primitive 'first_lst'; did you mean 'first_last'"),
        ({"tasks": ()}, "tasks is empty"),
        ({"tasks": ("first_last", "first_last")}, "names a primitive twice"),
        ({"weights": (1.0,)}, "weights is 1.0; give 2 positive numbers"),
        ({"weights": (1.0, 0.0)}, "weights is 1.0 0.0; give 2 positive numbers"),
        ({"weights": (1.0, float("nan"))}, "give 2 positive numbers"),
        ({"canvas": {"width": 47}}, "canvas is 47 x 48 px; both sides must be even"),
        ({"canvas": {"fps": float("nan")}}, "canvas.fps is nan"),
        ({"canvas": {"num_scenes": (3, 2)}}, "canvas.num_scenes is 3 2"),
        ({"canvas": {"frames_per_scene": (0, 2)}}, "canvas.frames_per_scene is 0 2"),
        ({"codec": {"crf": 99}}, "crf goes from 0 to 51"),
        ({"coco": {"captions": Path("x"), "images": None}}, "coco.images is missing"),
    ],
)
def test_settings_that_do_not_fit_are_the_users_errors(recipe: Recipe, changes: dict[str, Any], message: str) -> None:
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


def test_more_scenes_than_images_is_named_with_both_numbers(recipe: Recipe) -> None:
    canvas = Recipe.model_validate({**recipe.model_dump(), "canvas": {**recipe.model_dump()["canvas"]}}).canvas
    greedy = changed(recipe, canvas=type(canvas)(**{**recipe.model_dump()["canvas"], "num_scenes": (2, 90)}))
    with pytest.raises(UserError, match=r"first_last needs S = 90 .* split 'train' has \d+ of the 72 images"):
        open_source(greedy, NOWHERE)


def test_a_recipe_of_drawn_motion_reads_no_images(recipe: Recipe) -> None:
    motion = changed(recipe, tasks=("motion_direction",), coco=type(recipe.coco)())
    assert open_source(motion, NOWHERE).scenes == ()


def test_identity_leaves_out_where_files_are_and_nothing_else(recipe: Recipe) -> None:
    assert set(recipe.identity()) == set(Recipe.model_fields) - {"coco"} | {"generator_version"}


def test_the_question_is_written_in_one_place(recipe: Recipe) -> None:
    question = Question(text="Which way?", options=("left", "right"), answer_index=1)
    assert question_text(question) == "Which way?\n(A) left\n(B) right"
    assert question_text(question, "Think.") == "Which way?\n(A) left\n(B) right\nThink."
    sample = make_sample_at(recipe, open_source(recipe, NOWHERE), 0).sample
    assert [part["type"] for part in messages(sample)[0]["content"]] == ["video", "text"]
    assert [part["type"] for part in messages(sample, with_video=False)[0]["content"]] == ["text"]
    user, assistant = plain_messages(sample, instruction=recipe.instruction)
    assert user["content"].startswith("<video>\n") and user["content"].endswith(recipe.instruction)
    assert user["content"].count("<video>") == 1
    assert assistant["content"] == sample.target


@pytest.mark.parametrize("answer_format", ["letter", "text"])
def test_rows_keep_everything(recipe: Recipe, answer_format: str) -> None:
    formatted = changed(recipe, answer_format=answer_format)
    source = open_source(formatted, NOWHERE)
    for i in range(4):
        sample = make_sample_at(formatted, source, i).sample
        assert from_row(to_row(sample, recipe_hash="", instruction="")) == sample
    wanted = (
        sample.question.letter if answer_format == "letter" else sample.question.options[sample.question.answer_index]
    )
    assert sample.target.endswith(f"<answer>{wanted}</answer>")
