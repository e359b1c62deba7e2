"""From a recipe and an index to sample and frames, and what takes the place of what cannot be made."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from temporay.operators.dataset.attempts import LOST_TO_SAMPLING
from temporay.operators.dataset.content_hash import SPLITS, content_hash, split_of
from temporay.operators.dataset.label_check import Verdict
from temporay.operators.dataset.recipe import MAX_INDEX, CocoPaths, Recipe, check, primitives_of
from temporay.operators.dataset.rows import from_row, messages, plain_messages, question_text, to_row
from temporay.operators.dataset.samples import Source, make_sample_at, make_unit, open_source, render_address
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.clip import decode
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.motion.event_order import EventOrder
from temporay.operators.records import Backdrop, Frames, Question, Scene

NOWHERE = Path("/nonexistent")


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    return recipe.model_copy(update=changes)


def test_a_sample_depends_only_on_recipe_and_index(recipe: Recipe) -> None:
    forwards = [make_sample_at(recipe, open_source(recipe, NOWHERE), i) for i in range(recipe.num_samples)]
    source = open_source(recipe, NOWHERE)
    for i in reversed(range(recipe.num_samples)):
        made = make_sample_at(recipe, source, i)
        assert made.sample == forwards[i].sample
        assert made.clip is not None and made.clip == forwards[i].clip
        frames_THWC = render_address(recipe, source, made.sample.address)
        assert np.abs(decode(made.clip.data).astype(int) - frames_THWC).mean() < 6
    assert len({made.sample.key for made in forwards}) == recipe.num_samples


def test_another_seed_shares_no_question(recipe: Recipe) -> None:
    source = open_source(recipe, NOWHERE)
    other = changed(recipe, seed=recipe.seed + 1)
    events = {make_sample_at(recipe, source, i).sample.events for i in range(12)}
    assert events.isdisjoint(make_sample_at(other, source, i).sample.events for i in range(12))


def test_fewer_wordings_when_asked(recipe: Recipe) -> None:
    source = open_source(recipe, NOWHERE)
    texts = {n: set[str]() for n in (1, 8)}
    for n, found in texts.items():
        only = changed(recipe, tasks=("scene_count",), num_samples=40, wordings=n)
        found |= {make_sample_at(only, source, i).sample.question.text for i in range(40)}
    assert len(texts[1]) == 1 < len(texts[8])
    assert texts[1] < texts[8]


def test_twins_are_neighbors_and_share_all_but_the_answer(recipe: Recipe) -> None:
    paired = changed(recipe, twins=True)
    source = open_source(paired, NOWHERE)
    for i in range(0, 8, 2):
        main, twin = (make_sample_at(paired, source, j).sample for j in (i, i + 1))
        assert (main.address.twin, twin.address.twin) == (False, True)
        assert main.address.pair_id == twin.address.pair_id
        assert main.question.text == twin.question.text
        assert main.question.answer_index != twin.question.answer_index


def test_rejected_addresses_are_replaced_from_a_reserved_range(recipe: Recipe) -> None:
    """Four scenes have two captions each, one of which is the same in all: some draws leave too few that differ."""
    source = open_source(recipe, NOWHERE)
    few = tuple(
        replace(scene, captions=(f"{name} on a table", "a kite in the sky"))
        for scene, name in zip(source.scenes[:4], ("an apple", "a clock", "a train", "a zebra"), strict=True)
    )
    many = changed(recipe, tasks=("first_last",), num_samples=60, check_pixels=False)
    made = [make_sample_at(many, replace(source, scenes=few), i) for i in range(60)]
    assert any(m.rejected for m in made), "three of four captions drawn are equal now and then"
    assert {m.sample.address.index % MAX_INDEX for m in made} == set(range(60))
    for m in made:
        assert m.sample.address.index // MAX_INDEX >= sum(m.rejected.values())
        assert set(m.rejected) <= {"captions_alike"}
        assert not m.failures, "nothing is broken"


def test_what_the_frames_shown_do_not_hold_is_replaced(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    one = changed(recipe, tasks=("event_order",), num_samples=4, check_pixels=False)
    kept = make_sample_at(one, open_source(one, NOWHERE), 0)
    monkeypatch.setattr(EventOrder, "survives", lambda self, plan, frames: plan.address != kept.plan.address)
    other = make_sample_at(one, open_source(one, NOWHERE), 0)
    assert other.rejected[LOST_TO_SAMPLING] == 1 and other.sample.key != kept.sample.key


def broken_for(source: Source, image_ids: Container[int]) -> Source:
    def load(scene: Scene) -> Frames:
        if scene.image_id in image_ids:
            raise SampleRejected("image_corrupt", Path(scene.path).name)
        return source.load_image(scene)

    return replace(source, load_image=load)


@pytest.mark.parametrize("storage", ["mp4", "virtual"])
@pytest.mark.parametrize("twins", [False, True])
def test_a_sample_with_a_broken_image_is_replaced_by_one_without(recipe: Recipe, storage: str, twins: bool) -> None:
    images = changed(recipe, tasks=("first_last",), storage=storage, twins=twins)
    source = open_source(images, NOWHERE)
    sound = make_unit(images, source, 0)
    ids = {s["image_id"] for s in sound[0].sample.sources}
    made = make_unit(images, broken_for(source, ids), 0)
    for one, before in zip(made, sound, strict=True):
        assert ids.isdisjoint(s["image_id"] for s in one.sample.sources)
        assert one.failures[0].address == before.sample.address
        assert one.sample.address.index > before.sample.address.index
    assert made[0].failures[0].reason == "image_corrupt"
    assert [one.failures[0].reason for one in made[1:]] == ["twin_image_corrupt"] * twins
    assert len({one.sample.address.pair_id for one in made}) == 1


def test_too_many_failures_in_a_row_are_a_user_error(recipe: Recipe) -> None:
    images = changed(recipe, tasks=("first_last",))
    source = open_source(images, NOWHERE)
    broken = broken_for(source, {scene.image_id for scene in source.scenes})
    with pytest.raises(UserError) as caught:
        make_sample_at(images, broken, 0)
    assert "gave no sample of first_last, most often for image_corrupt (50 times; the last: 0" in str(caught.value)
    assert "repair the images" in str(caught.value)


def lying(answer: int | None) -> Callable[[Primitive, Witness], int | None]:
    return lambda primitive, witness: answer


@pytest.mark.parametrize("storage", ["mp4", "virtual"])
def test_a_clip_that_does_not_show_its_answer_is_a_failure(
    recipe: Recipe, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = changed(recipe, tasks=("motion_direction",), storage=storage)
    source = open_source(motion, NOWHERE)
    primitive = type(primitives_of(motion.tasks)["motion_direction"])
    made = [make_sample_at(motion, source, i) for i in range(12)]
    assert {one.verdict for one in made} == {Verdict.AGREES} and not any(one.failures for one in made)
    monkeypatch.setattr(primitive, "recover", lying(0))
    first = [make_sample_at(motion, source, i) for i in range(12)]
    assert all(one.sample.question.answer_index == 0 for one in first)
    assert {failure.reason for one in first for failure in one.failures} == {"answer_not_seen"}
    monkeypatch.setattr(primitive, "recover", lying(99))
    with pytest.raises(UserError, match=r"answer_not_seen \(50 times.*--check-pixels"):
        make_sample_at(motion, source, 0)
    monkeypatch.setattr(primitive, "recover", lying(None))
    assert make_sample_at(motion, source, 0).verdict is Verdict.UNSURE
    monkeypatch.setattr(primitive, "recover", lying(99))
    assert make_sample_at(changed(motion, check_pixels=False), source, 0).verdict is None


def test_no_content_is_in_two_splits(recipe: Recipe) -> None:
    hashes: dict[str, set[str]] = {}
    for split in SPLITS:
        one = changed(recipe, split=split, test_fraction=0.4, num_samples=40, twins=True, check_pixels=False)
        source = open_source(one, NOWHERE)
        made = [m for unit in range(20) for m in make_unit(one, source, unit)]
        hashes[split] = {m.content_hash for m in made}
        assert {split_of(h) for h in hashes[split]} == {split}
        assert len(hashes[split]) == 40
        assert {m.sample.address.pair_id for m in made[::2]} == {m.sample.address.pair_id for m in made[1::2]}


def test_content_that_is_taken_is_not_made_again(recipe: Recipe) -> None:
    source = open_source(recipe, NOWHERE)
    first = make_sample_at(recipe, source, 0)
    other = make_sample_at(recipe, source, 0, taken={first.content_hash})
    assert other.content_hash != first.content_hash and other.rejected["duplicate"] == 1


def test_the_content_hash_covers_what_is_shown_and_asked(recipe: Recipe) -> None:
    plan = make_sample_at(recipe, open_source(recipe, NOWHERE), 0).plan
    moved = replace(plan.tracks[0], xy_T2=plan.tracks[0].xy_T2 + 0.5)
    assert content_hash(replace(plan, address=replace(plan.address, seed=99, index=5))) == content_hash(plan)
    assert content_hash(replace(plan, events=())) == content_hash(plan)
    assert content_hash(replace(plan, tracks=(moved, *plan.tracks[1:]))) != content_hash(plan)
    assert content_hash(replace(plan, facts={**plan.facts, "wording": 99})) != content_hash(plan)
    assert content_hash(replace(plan, fps=plan.fps + 1)) != content_hash(plan)
    flat, noise = (Backdrop(kind=kind, seed=5) for kind in ("flat", "noise"))
    assert content_hash(replace(plan, backdrop=flat)) == content_hash(replace(plan, backdrop=replace(flat, seed=6)))
    assert content_hash(replace(plan, backdrop=noise)) != content_hash(replace(plan, backdrop=replace(noise, seed=6)))


def licensed(coco: CocoPaths, folder: Path, licenses: dict[int, int | None]) -> CocoPaths:
    """Write a captions file of the same images with other licenses for some."""
    assert coco.captions is not None
    tree = json.loads(coco.captions.read_text())
    for image in tree["images"]:
        if image["id"] in licenses:
            image["license"] = licenses[image["id"]]
    path = folder / "captions.json"
    path.write_text(json.dumps(tree))
    return CocoPaths(captions=path, images=coco.images)


def test_images_are_shown_under_the_licenses_allowed(recipe: Recipe, tmp_path: Path) -> None:
    coco = licensed(recipe.coco, tmp_path, {1: 3, 2: 6, 3: 3, 4: None, 5: 1})
    one = changed(recipe, coco=coco, test_fraction=0.0)
    source = open_source(one, NOWHERE)
    assert {1, 2, 3, 4, 5}.isdisjoint(scene.image_id for scene in source.scenes) and len(source.scenes) == 67
    assert dict(source.dropped) == {"license_0": 1, "license_1": 1, "license_3": 2, "license_6": 1}
    more = changed(one, coco=coco.model_copy(update={"licenses": (0, 1, 4, 5, 7, 8)}))
    assert len(open_source(more, NOWHERE).scenes) == 69
    assert more.identity() != one.identity(), "what may be shown decides what is shown"
    none = changed(one, coco=coco.model_copy(update={"licenses": (8,)}))
    with pytest.raises(UserError, match=r"coco\.licenses is 8, but no image has one of these .*license_7"):
        open_source(none, NOWHERE)
    with pytest.raises(UserError, match=r"coco\.licenses holds no id"):
        check(changed(one, coco=coco.model_copy(update={"licenses": ()})))


def test_splits_show_different_photographs(recipe: Recipe) -> None:
    shown: dict[str, set[int]] = {}
    for split in ("train", "rl", "test"):
        one = changed(recipe, tasks=("first_last",), split=split, test_fraction=0.3, num_samples=40)
        source = open_source(one, NOWHERE)
        samples = [make_sample_at(one, source, i).sample for i in range(40)]
        shown[split] = {s["image_id"] for sample in samples for s in sample.sources}
    assert shown["test"].isdisjoint(shown["train"] | shown["rl"])


def test_more_scenes_than_images_is_named_with_both_numbers(recipe: Recipe) -> None:
    canvas = Recipe.model_validate({**recipe.model_dump(), "canvas": {**recipe.model_dump()["canvas"]}}).canvas
    greedy = changed(recipe, canvas=type(canvas)(**{**recipe.model_dump()["canvas"], "num_scenes": (2, 90)}))
    with pytest.raises(UserError, match=r"first_last needs S = 90 .* split 'train' has \d+ of the 72 images"):
        open_source(greedy, NOWHERE)


def test_a_recipe_of_drawn_motion_reads_no_images(recipe: Recipe) -> None:
    motion = changed(recipe, tasks=("motion_direction",), coco=type(recipe.coco)())
    assert open_source(motion, NOWHERE).scenes == ()


def test_the_question_is_written_in_one_place(recipe: Recipe) -> None:
    question = Question(text="Which way?", options=("left", "right"), answer_index=1)
    assert question_text(question) == "Which way?\n(A) left\n(B) right"
    assert question_text(question, "Think.") == "Which way?\n(A) left\n(B) right\nThink."
    sample = make_sample_at(recipe, open_source(recipe, NOWHERE), 0).sample
    assert [part["type"] for part in messages(sample)[0]["content"]] == ["video", "text"]
    assert [part["type"] for part in messages(sample, with_media=False)[0]["content"]] == ["text"]
    user, assistant = plain_messages(sample, instruction=recipe.instruction)
    assert user["content"].startswith("<video>\n") and user["content"].endswith(recipe.instruction)
    assert user["content"].count("<video>") == 1
    assert assistant["content"] == sample.target


@pytest.mark.parametrize("answer_format", ["free", "json"])
@pytest.mark.parametrize("task", ["lit_word", "cell_count", "event_order"])
def test_free_answers_have_no_options_in_the_prompt(recipe: Recipe, task: str, answer_format: str) -> None:
    formatted = changed(recipe, answer_format=answer_format, tasks=(task,), weights=(), wordings=None)
    sample = make_sample_at(formatted, open_source(formatted, NOWHERE), 0).sample
    assert question_text(sample.question) == sample.question.text
    assert sample.question.chance == 0.0
    assert from_row(to_row(sample, recipe_hash="", content_hash="", instruction="")) == sample


def test_free_answers_are_refused_where_options_are_needed(recipe: Recipe) -> None:
    with pytest.raises(UserError, match="answer_format is json, but answers of scene_order can only"):
        check(changed(recipe, answer_format="json", tasks=("lit_word", "scene_order"), weights=()))


@pytest.mark.parametrize("answer_format", ["letter", "text"])
def test_rows_keep_everything(recipe: Recipe, answer_format: str) -> None:
    formatted = changed(recipe, answer_format=answer_format)
    source = open_source(formatted, NOWHERE)
    for i in range(4):
        sample = make_sample_at(formatted, source, i).sample
        assert from_row(to_row(sample, recipe_hash="", content_hash="", instruction="")) == sample
    wanted = (
        sample.question.letter if answer_format == "letter" else sample.question.options[sample.question.answer_index]
    )
    assert sample.target.endswith(f"<answer>{wanted}</answer>")
