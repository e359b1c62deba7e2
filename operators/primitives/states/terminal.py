"""What do the commands of a terminal lead to? Each of them is read for a moment, and then the next.

A program changes numbers: ``x = x + 4``, ``y = y - x``. A shell moves files: ``mv p a``, ``rm q``, ``touch q``. The
state is read at the start or at the end, never in between. Only programs whose steps can be undone are asked about from
their end.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.lettering import ASPECT, read_text
from temporay.operators.pixels.render import TEXT
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Doubt, Facts, Phrases
from temporay.operators.primitives._plan import shape_track
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.primitives.states._play import Course, Layout, Operation, Play, Setup, State
from temporay.operators.primitives.states._slots import alike, in_turn
from temporay.operators.primitives.states._wordings import TimedWordings, told_states
from temporay.operators.records import Frames, Track
from temporay.operators.seeding import choose_one

NUM_NAMES_BY_LEVEL = (2, 2, 2, 3, 3)  # variables or files
VARIABLES, FILES, FOLDERS = ("x", "y", "z"), ("p", "q", "r"), ("home", "a", "b")
LARGEST = 99  # no number gets larger, or below 0
VARIABLE_SHARE = 0.4  # of steps that take another variable
PRODUCT_SHARE = 0.25  # of those with a number that multiply
DELETES_SHARE = 0.3  # of shell commands
GONE = "is gone"
NUM_ROWS, NUM_COLUMNS = 4, 10  # of letters: the command, and under it the state while it is shown
USED_SHARE = 0.94  # of the frame
SCREEN_COLOR = (12, 12, 20)
INKS = ("white", "cyan", "yellow")
LETTERS = "0123456789=+-*abceghimnopqrstuvxyz"
WHEN = {
    "forward": "after the last command",
    "retrodictive": "before the first command",
    "historical": "right after command {number}",
}
ASKS = {
    "value": (
        "what was the value of {name} {when}?",
        "which number did {name} hold {when}?",
        "work through the program: what was {name} {when}?",
        "{name} is a variable. What was its value {when}?",
    ),
    "where": (
        "where was file {name} {when}?",
        "what had become of file {name} {when}?",
        "follow file {name}. Where was it {when}?",
        "in which place was file {name}, if it existed, {when}?",
    ),
    "files": (
        "which files were in folder {name} {when}?",
        "what did folder {name} hold {when}?",
        "which files would a listing of folder {name} have shown {when}?",
        "what were the contents of folder {name} {when}?",
    ),
}
LINES = {"set": "{d1} = {d1} {d2} {d3}", "mv": "mv {d1} {d2}", "rm": "rm {d1}", "touch": "touch {d1}"}
INTROS = ("", "The terminal shows one command at a time: ")


class Terminal(OperationsGame):
    """Commands that change numbers or move files."""

    task = "terminal"
    subject = "terminal"
    timed_wordings: ClassVar = {
        ask: TimedWordings(templates=tuple(intro + text for intro in INTROS for text in texts), when=WHEN)
        for ask, texts in ASKS.items()
    }
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the terminal shows {detail}.",
            "Between {start} s and {end} s it says: {detail}.",
            "The lines from {start} s to {end} s say: {detail}.",
        ),
        **{
            kind: (
                f"From {{start}} s to {{end}} s the command is {line}.",
                f"Between {{start}} s and {{end}} s it reads {line}.",
                f"The line from {{start}} s to {{end}} s is {line}.",
            )
            for kind, line in LINES.items()
        },
        **told_states("{detail}"),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("It shows {detail}.",),
        **{kind: (f"Command {line}.",) for kind, line in LINES.items()},
        **told_states("{detail}"),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        number, ink = NUM_NAMES_BY_LEVEL[level], choose_one(rng, INKS)
        if rng.integers(2) or not facts["at_start"]:
            values = tuple(f"{name} = {rng.integers(1, 10)}" for name in VARIABLES[:number])
            asked = {"ask": "value", "name": choose_one(rng, VARIABLES[:number]), "ink": ink}
            return Setup(revealed=(*values, ""), facts=asked, num_answers=LARGEST)
        places = tuple(f"{name} in {choose_one(rng, FOLDERS)}" for name in FILES[:number])
        ask = choose_one(rng, ("where", "files"))
        asked = {"ask": ask, "name": choose_one(rng, FILES[:number] if ask == "where" else FOLDERS[1:]), "ink": ink}
        return Setup(revealed=(*places, ""), facts=asked, num_answers=4)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        names = [entry[0] for entry in setup.revealed[:-1]]
        if facts["ask"] == "value":
            return tuple(_choose_step(rng, names, facts["at_start"]) for _ in range(facts["num_operations"]))
        return self.walked(setup.revealed, facts, lambda _: _choose_command(rng, names))

    def inverse(self, operation: Operation) -> Operation:
        if operation[0] != "set" or operation[2] == "*":
            return operation
        return (*operation[:2], "-" if operation[2] == "+" else "+", operation[3])

    def apply(self, state: State, operation: Operation) -> State | None:
        """Return the new lines and, as the last of them, how the changed one is worked out."""
        kind, name, *rest = operation
        lines = {line[0]: line[2:] for line in state[:-1]}
        if kind == "set":
            sign, operand = rest
            one, other = (int(lines[n][2:]) if n in lines else int(n) for n in (name, operand))
            value = {"+": one + other, "-": one - other, "*": one * other}[sign]
            if not 0 <= value <= LARGEST:
                return None
            lines[name], work = f"= {value}", f"{name} = {one} {sign} {other} = {value}"
        else:
            after = {"mv": f"in {rest[0] if rest else ''}", "rm": GONE, "touch": "in home"}[kind]
            if after == lines[name] or (lines[name] == GONE) != (kind == "touch"):
                return None
            lines[name], work = after, f"{name} {after}"
        return (*(f"{name} {line}" for name, line in lines.items()), work)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        lines = {line[0]: line[2:] for line in states[facts["asked_after"]][:-1]}
        if facts["ask"] == "value":
            return lines[facts["name"]].removeprefix("= ")
        if facts["ask"] == "where":
            return {GONE: "deleted", "in home": "in home"}.get(
                lines[facts["name"]], f"in folder {lines[facts['name']][-1]}"
            )
        return " and ".join(name for name, line in lines.items() if line == f"in {facts['name']}") or "none"

    def carried(self, facts: Facts, state: State) -> str:
        return state[-1]

    def written(self, state: State) -> str:
        return ", ".join(state[:-1])

    def parsed(self, written: str) -> State:
        return (*written.split(", "), "")

    def resolved(self, revealed: State, seen: Sequence[Operation], at_start: bool) -> Course:
        return tuple(seen)

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return the center of the first letter of each row, and half the height of a letter."""
        half_px = USED_SHARE * min(width / NUM_COLUMNS / ASPECT, height / NUM_ROWS) / 2
        left = (width - 2 * ASPECT * half_px * (NUM_COLUMNS - 1)) / 2
        rows = height / 2 + 2 * half_px * (np.arange(NUM_ROWS) - (NUM_ROWS - 1) / 2)
        return Layout(np.stack([np.full(NUM_ROWS, left), rows], axis=1), half_px)

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the dark screen, the state while it is shown, and each command in its time."""
        (rows_xy, half_px), num_frames = play.layout, play.timing.num_frames
        middle = np.array([play.canvas.width, play.canvas.height]) / 2
        still_T2 = np.tile(middle, (1, num_frames, 1))
        screen = alike("screen", "square", SCREEN_COLOR, float(middle.max()) / 0.9 + 1, still_T2)
        shown = [(play.timing.revealed_T, xy, line) for xy, line in zip(rows_xy[1:], play.revealed[:-1], strict=False)]
        for operation, moving in play.steps:
            visible_T = np.zeros(num_frames, np.bool_)
            visible_T[moving] = True
            shown.append((visible_T, rows_xy[0], _command(operation)))
        ink = COLORS[play.facts["ink"]]
        lines = [
            shape_track(text, TEXT, ink, half_px, np.tile(xy, (num_frames, 1)), visible_T, label=text)
            for visible_T, xy, text in shown
        ]
        return (*screen, *lines)

    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]]:
        """Read every row of letters in every frame; a letter that cannot be read leaves a doubt."""
        rows = []
        for x, y in layout.places_xy:
            row = read_text(frames_THWC, (x, y), layout.radius_px, NUM_COLUMNS, LETTERS)
            if row is None or any("?" in text for text in row):
                raise Doubt
            rows.append(row)
        states = Counter(lines for lines in zip(*rows[1:], strict=True) if lines[0])
        if not states:
            raise Doubt
        revealed = tuple(line for line in states.most_common(1)[0][0] if line)
        return (*revealed, ""), in_turn(_parsed(text) if text else None for text in rows[0])


def _choose_step(rng: np.random.Generator, names: Sequence[str], multiplies: bool) -> Operation:
    name = choose_one(rng, names)
    if rng.uniform() < VARIABLE_SHARE:
        return "set", name, choose_one(rng, "+-"), choose_one(rng, [other for other in names if other != name])
    if multiplies and rng.uniform() < PRODUCT_SHARE:
        return "set", name, "*", str(rng.integers(2, 4))
    return "set", name, choose_one(rng, "+-"), str(rng.integers(1, 10))


def _choose_command(rng: np.random.Generator, names: Sequence[str]) -> Operation:
    name = choose_one(rng, names)
    if rng.uniform() < DELETES_SHARE:
        return choose_one(rng, ("rm", "touch")), name
    return "mv", name, choose_one(rng, FOLDERS)


def _command(operation: Operation) -> str:
    kind, name, *rest = operation
    return f"{name} = {name} {' '.join(rest)}" if kind == "set" else " ".join(operation)


def _parsed(text: str) -> Operation:
    words = text.split()
    return ("set", words[0], *words[3:]) if "=" in words else tuple(words)
