"""Ask which word is spelled by keys that light up one after another.

The words are made up, so nothing but the order of the letters tells them apart. All options have the same letters, and
another order shows the same frames.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives._plan import grid_of
from temporay.operators.primitives._stated import Value
from temporay.operators.primitives.motion._drawn_motion import MotionClip, Setting
from temporay.operators.primitives.sequences._flashes import FlashSequence, Key, Sequenced, with_lengths
from temporay.operators.seeding import choose_one, shuffled

NUM_LETTERS_BY_LEVEL = (4, 5, 6, 7, 8)  # consonants and vowels in turn
NUM_KEYS_BY_LEVEL = (4, 6, 9, 12, 16)
REPEATING_LEVEL = 3  # from here on a vowel may come twice
NUM_OPTIONS = 4
CONSONANTS, VOWELS = "BCDFGHJKLMNPRSTVWZ", "AEIOU"


class LitWord(FlashSequence):
    """Question about the word that lit letters spell."""

    task = "lit_word"
    free_form = True
    twin = "reordered"

    wordings = (
        "Keys light up one after the other and spell a made-up word. Which word is it?",
        "Which made-up word do the keys spell that light up in turn?",
        "Read the letters in the order in which they light up. What do they spell?",
        "One key after the other is lit. Which word results?",
        "What is the word that is typed on the lit keys?",
        "Write down each letter when its key lights up. Which word do you get?",
        "The keyboard spells a made-up word, letter by letter. What is it?",
        "Which word is spelled by the keys as they light up?",
        "Someone types a made-up word, and each key lights up when it is pressed. What is the word?",
    )
    phrases: ClassVar[Phrases] = {
        "lit": (
            "From {start} s to {end} s the key {d1} is lit, so the letters so far are {d2}.",
            "The key {d1} lights up at {start} s, which makes the word so far {d2}.",
            "Then {d1} is lit, from {start} s to {end} s: so far that spells {d2}.",
        )
    }
    concise_phrases: ClassVar[Phrases] = {"lit": ("{d1} is lit, so far {d2}.",)}

    def num_units(self, level: int) -> int:
        return 2 * NUM_LETTERS_BY_LEVEL[level] + 1

    def arrange(self, setting: Setting) -> MotionClip:
        rng, level = setting.rng, setting.level
        options = [_choose_word(rng, level)]
        while len(options) < NUM_OPTIONS:
            other = _with_two_swapped(rng, choose_one(rng, options))
            options += [other] if other not in options else []
        options = shuffled(rng, options)
        truth = setting.choose_truth(options)
        used = sorted(set(truth))
        spare = [letter for letter in CONSONANTS + VOWELS if letter not in used]
        letters = shuffled(rng, [*used, *shuffled(rng, spare)[: NUM_KEYS_BY_LEVEL[level] - len(used)]])
        facts = {"keys": "".join(letters), "light": choose_one(rng, tuple(COLORS)), "options": options}
        return self.stage(setting, with_lengths(setting, truth), facts)

    def keys(self, facts: Facts, width: int, height: int) -> list[Key]:
        letters = facts["keys"]
        columns = round(len(letters) ** 0.5 + 0.25)
        places_xy, half_px = grid_of(columns, -(-len(letters) // columns), width, height)
        placed = zip(letters, places_xy, strict=False)
        return [Key(letter, (float(x), float(y)), 0.85 * half_px, letter) for letter, (x, y) in placed]

    def step(self, lit: Sequence[str], facts: Facts) -> tuple[str, str]:
        return "lit", "".join(lit)

    def what(self, kind: str, detail: str) -> dict[str, Value]:
        letter, _, so_far = detail.partition(" ")
        return {"letter": letter, "so far": tuple(so_far)}

    def answer(self, measured: Sequenced, facts: Facts) -> str:
        return "".join(measured)


def _choose_word(rng: np.random.Generator, level: int) -> str:
    length = NUM_LETTERS_BY_LEVEL[level]
    consonants = rng.choice(list(CONSONANTS), length - length // 2, replace=False)
    vowels = rng.choice(list(VOWELS), length // 2, replace=level >= REPEATING_LEVEL)
    return "".join(str((vowels if i % 2 else consonants)[i // 2]) for i in range(length))


def _with_two_swapped(rng: np.random.Generator, word: str) -> str:
    """Return the word with two consonants or two vowels swapped, which may be alike."""
    a = int(rng.integers(len(word)))
    b = choose_one(rng, [i for i in range(a % 2, len(word), 2) if i != a])
    letters = list(word)
    letters[a], letters[b] = letters[b], letters[a]
    return "".join(letters)
