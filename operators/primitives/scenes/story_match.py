"""Ask which description tells the video (after the hard negatives of VideoComp: reordered, replaced, cut).

The four descriptions are two tellings in two orders each. The tellings are a story, and the same story with one scene
replaced or left out. The orders differ by two scenes exchanged. Any of the four may be rendered, and each differs from
two others in one change and from the last in two, so no option stands out.

Which scenes appear leaves two descriptions, so a bag of frames gives 50 %, where chance is 25 %. No scene takes part in
both changes, so one frame gives at most 50 % too, and with both ends it is the same. With five scenes or more, both
changes lie between the ends.
"""

from collections.abc import Sequence
from typing import ClassVar

from numpy.random import Generator
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import CaptionedScene, choose_scenes, split_length, tell_order
from temporay.operators.records import AnswerValue
from temporay.operators.seeding import choose_one, shuffled

MIN_SCENES = 3  # two are exchanged, and another is changed
NEIGHBORS_FROM_LEVEL = 3


class StoryMatch(PseudoVideo):
    """The description that has the right scenes in the right order."""

    task = "story_match"
    # The scenes tell one of two changes.
    inherent: ClassVar[Inherent] = {
        "one_frame": 0.5,
        "two_frames": 0.5,
        "any_two_frames": 0.75,
        "few_frames": 0.6,
        "bag_of_frames": 0.5,
    }
    answer_kind = "order"
    needs_time = False  # a scene that only two of the descriptions have rules out the others
    wordings = (
        "Which description tells the whole video, all of it in the right order?",
        "Which of these stories is the one that the video shows?",
        "Choose the description that matches the video from start to end.",
        "Only one description has all scenes of the video, no other, and in their order. Which one?",
        "Which summary fits the video exactly?",
        "How does the video go, from its first scene to its last?",
        "Which caption describes the complete course of the video?",
        "What happens in the video? Choose the account that is complete and in order.",
    )

    def num_distinct_scenes(self, canvas: Canvas) -> int:
        """Return one more than a video shows: the scene that may replace another."""
        return canvas.num_scenes[1] + 1

    def arrange(self, choices: Choices) -> Arrangement:
        rng, minimum = choices.rng, min(MIN_SCENES, choices.canvas.num_scenes[1])
        *told, spare = choose_scenes(choices, minimum=minimum, num_spare=1)
        exchanged = _choose_exchanged(rng, len(told), neighbors=choices.level >= NEIGHBORS_FROM_LEVEL)
        pairs = _with_exchange(_choose_tellings(rng, told, spare, exchanged), exchanged)
        telling, order = int(rng.integers(2)), choices.choose_truth((0, 1))  # a twin differs in its order alone
        stories = [story for pair in pairs for story in pair]
        captions = [[scene.caption for scene in story] for story in shuffled(rng, stories)]
        # A length belongs to a scene, not to a place, so that a twin shows the same frames.
        first, shown = pairs[telling][0], pairs[telling][order]
        lengths = split_length(len(first), len(told), choices)
        facts = {"stories": captions, "options": [tell_order(story) for story in captions]}
        return Arrangement(order=shown, facts=facts, lengths=[lengths[first.index(scene)] for scene in shown])

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return tuple(tuple(story) for story in facts["stories"])

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        options: list[str] = facts["options"]
        return options[facts["stories"].index(list(order))] if list(order) in facts["stories"] else None


Story = list[CaptionedScene]


def _choose_exchanged(rng: Generator, num_scenes: int, *, neighbors: bool) -> tuple[int, int]:
    """Choose two places between the ends; the ends themselves where there are not two between."""
    inner = num_scenes - 2
    if inner < 2:
        return 0, num_scenes - 1
    first, second = sorted(int(i) for i in 1 + rng.choice(inner, 2, replace=False))
    return (first, first + 1) if neighbors else (first, second)


def _choose_tellings(
    rng: Generator, told: Story, spare: CaptionedScene, exchanged: tuple[int, int]
) -> tuple[Story, Story]:
    """Return the story, and the story with one scene replaced, or left out between its ends.

    It is a scene that is not exchanged, if there is one.
    """
    others = [place for place in range(len(told)) if place not in exchanged]
    between = [place for place in others if 0 < place < len(told) - 1]
    free = between or others or list(exchanged)
    changed, cut = choose_one(rng, free), bool(rng.integers(2)) and bool(between)
    if cut:
        return told, [scene for place, scene in enumerate(told) if place != changed]
    return told, [spare if place == changed else scene for place, scene in enumerate(told)]


def _with_exchange(tellings: tuple[Story, Story], exchanged: tuple[int, int]) -> list[tuple[Story, Story]]:
    """Return each telling with its other order: in both, the scenes of these places of the first are exchanged."""
    pairs = []
    for telling in tellings:
        was_cut = len(telling) < len(tellings[0])
        one, another = (telling.index(tellings[0][place]) if was_cut else place for place in exchanged)
        other = list(telling)
        other[one], other[another] = telling[another], telling[one]
        pairs.append((list(telling), other))
    return pairs
