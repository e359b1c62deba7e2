"""Ask which description tells the video (after the hard negatives of VideoComp: reordered, replaced, cut).

The four descriptions are two tellings in two orders each. The tellings are a story, and the same story with one scene
replaced or left out. The orders differ by two scenes exchanged. Any of the four may be rendered, and each differs from
two others in one change and from the last in two, so no option stands out. Which scenes appear leaves two descriptions;
only the order tells which of them is right.
"""

from collections.abc import Sequence

from numpy.random import Generator
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Facts, choose_truth
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import CaptionedScene, choose_scenes, split_length, tell_order
from temporay.operators.records import Address, AnswerValue, Scene

MIN_SCENES_TO_CUT = 3  # so that the scenes left have an order
EXCHANGED_BY_LEVEL = ("any", "any", "any", "neighbors", "neighbors")


class StoryMatch(PseudoVideo):
    """The description that has the right scenes in the right order."""

    task = "story_match"
    answer_kind = "order"
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

    def arrange(self, rng: Generator, scenes: Sequence[Scene], canvas: Canvas, address: Address) -> Arrangement:
        *told, spare = choose_scenes(rng, scenes, canvas, address, num_spare=1)
        exchanged = _choose_exchanged(rng, len(told), EXCHANGED_BY_LEVEL[address.level])
        pairs = _with_exchange(_choose_tellings(rng, told, spare, exchanged), exchanged)
        telling, order = int(rng.integers(2)), choose_truth(rng, 2, address)  # a twin differs in its order alone
        stories = [story for pair in pairs for story in pair]
        captions = [[scene.caption for scene in stories[i]] for i in rng.permutation(len(stories))]
        # A length belongs to a scene, not to a place, so that a twin shows the same frames.
        first, shown = pairs[telling][0], pairs[telling][order]
        lengths = split_length(len(first), len(told), canvas, address, min_shots=len(told) - 1)
        facts = {"stories": captions, "options": [tell_order(story) for story in captions]}
        return Arrangement(order=shown, facts=facts, lengths=[lengths[first.index(scene)] for scene in shown])

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return tuple(tuple(story) for story in facts["stories"])

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        options: list[str] = facts["options"]
        return options[facts["stories"].index(list(order))] if list(order) in facts["stories"] else None


Story = list[CaptionedScene]


def _choose_exchanged(rng: Generator, num_scenes: int, which: str) -> tuple[int, int]:
    if which == "neighbors":
        first = int(rng.integers(num_scenes - 1))
        return first, first + 1
    first, second = sorted(int(i) for i in rng.choice(num_scenes, 2, replace=False))
    return first, second


def _choose_tellings(
    rng: Generator, told: Story, spare: CaptionedScene, exchanged: tuple[int, int]
) -> tuple[Story, Story]:
    """Return the story, and the story with one scene replaced or, if enough remain, one unexchanged scene left out."""
    changed = int(rng.integers(len(told)))
    can_be_cut = [place for place in range(len(told)) if place not in exchanged]
    cut = bool(rng.integers(2)) and len(told) >= MIN_SCENES_TO_CUT
    if cut:
        left_out = can_be_cut[int(rng.integers(len(can_be_cut)))]
        return told, [scene for place, scene in enumerate(told) if place != left_out]
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
