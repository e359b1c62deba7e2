"""Games of hidden states: S0 -> o1 .. oT -> ST (SynRL, arXiv 2603.17693, long-term primitives).

Only the first or only the last state is shown, every operation is seen. ``forward`` asks for the last state,
``retrodictive`` for the first, ``historical`` for one in between.

The revealed state and the set of operations are chosen first. Different orders of these operations lead to different
answers. These answers are the options, and one of them is then made true. An operation looks the same whatever is
hidden, so all options have the same frames in another order: text, length, one frame or a bag of frames tell nothing.

One frame of an operation tells which one it is, given the state before it. So a clip can be read at any sampling that
shows a frame of each. The clip gets as long as that needs.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Choices, Facts, Inherent, TwinKind, by_start
from temporay.operators.primitives._plan import choose_num_frames, drawn_plan, event_in
from temporay.operators.primitives._stated import Value, words_of
from temporay.operators.primitives.states._operations import Operations, Played
from temporay.operators.primitives.states._play import (
    EDGE_SHARE,
    Course,
    Layout,
    Operation,
    Play,
    Setup,
    State,
    check_sides,
    choose_query,
    choose_timing,
    room_for,
)
from temporay.operators.primitives.states._wordings import TimedWordings
from temporay.operators.records import Address, Event, Frames, Scene, ScenePlan, Track
from temporay.operators.seeding import choose_one, rng_at

MAX_OPTIONS = 4
GOOD_PROPOSALS = 8  # sets of operations tried for as many answers as there shall be options
MAX_PROPOSALS = 400  # sets of operations tried for two answers
NUM_ORDERS = 16  # orders of one set that are looked at
NUM_OPERATIONS_BY_LEVEL = ((3, 3), (4, 4), (5, 6), (7, 9), (10, 15))  # the least and the most
STATES = ("before", "after")  # kinds of events that tell the state beside an operation; a word may precede
CELL = re.compile(r"[^\s,]+")


class OperationsGame(Operations):
    """A primitive whose course is a list of operations on a hidden state."""

    family = "shapes"
    order_dependent = True
    needs_time = True
    twin: ClassVar[TwinKind] = "reordered"
    # A game of three steps is nearly whole when two of them are seen, and one step that is missing may not matter.
    # Reveal and two steps give at most what is said here, by level; all frames without their order give nothing.
    inherent: ClassVar[Inherent] = {
        "all_but_one": 1.0,
        "first_operation": (1.0, 0.9, 0.6, 0.5, 0.45),
        "first_two_operations": (1.0, 0.9, 0.6, 0.5, 0.45),
    }
    subject: ClassVar[str]  # what is operated on; the subject of all events
    legend: ClassVar[str] = ""  # added to every wording
    timed_wordings: ClassVar[Mapping[str, TimedWordings]] = {}  # by ``facts["ask"]``; "" in games that ask one thing
    num_operations_by_level: ClassVar[Sequence[tuple[int, int]]] = NUM_OPERATIONS_BY_LEVEL

    @abstractmethod
    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        """Choose the state that is shown and what is asked; ``facts`` say which state is shown and asked for."""

    @abstractmethod
    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Choose operations, in one of their orders; ``facts`` include those of the setup."""

    @abstractmethod
    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        """Return the answer, given the states before the first and after each operation; None where there is none."""

    def open_part(self, facts: Facts, answer: str) -> str:
        """Return what the operations show of an answer, without the reveal; the options have it in common."""
        return ""

    def carried(self, facts: Facts, state: State) -> str:
        """Return what a chain of thought tells of a state, word by word what had to be worked out; "" for nothing."""
        return self.written(state)

    def told_state(self, facts: Facts, beside: str) -> str:
        """Return the kind of the event that tells the state ``beside``, before or after, an operation."""
        return beside

    @abstractmethod
    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return where things stand in a frame of this size, in px."""

    @abstractmethod
    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out everything that is drawn, from the back to the front."""

    @abstractmethod
    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]]:
        """Return the revealed state and the operations that the frames show.

        Raises:
            Doubt: they are not clear.
        """

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        check_sides(canvas, self.task)
        choices = Choices(rng=rng_at(*address.parts(), "plan"), canvas=canvas, address=address, scenes=scenes)
        rng, (fewest, most) = choices.rng, self.num_operations_by_level[address.level]
        num_operations = int(rng.integers(fewest, most + 1))
        room = room_for(canvas, num_operations)
        num_frames = choose_num_frames(address, canvas, room.clip)
        query = choose_query(rng, num_operations)
        setup = self.set_up(rng, canvas, address.level, query)
        facts, courses = self.courses(rng, setup, {**query, **setup.facts})
        answers = sorted(courses)
        options = [answers[i] for i in rng.choice(len(answers), min(MAX_OPTIONS, len(answers)), replace=False)]
        course = choose_one(choices.rng_for("course"), courses[choices.choose_truth(options)])
        states = self.states(setup.revealed, course, facts["at_start"])
        assert states is not None, f"{address.key}: the chosen course has an operation that cannot be done"
        play = Play(
            facts=facts,
            canvas=canvas,
            timing=choose_timing(rng, num_frames, room, canvas.fps, num_operations, facts["at_start"]),
            course=course,
            states=states,
            revealed=setup.revealed,
            layout=self.layout(facts, canvas.width, canvas.height),
        )
        facts = self.worded({**facts, "options": options}, choices)
        return drawn_plan(choices, self.tracks(play), self._events(play), facts)

    def courses(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Find courses by the answer that they lead to: orders of one set of operations.

        Raises:
            SampleRejected: no set was found whose order matters.
        """
        best: dict[str, list[Course]] = {}
        for attempt in range(MAX_PROPOSALS):
            wanted = min(MAX_OPTIONS, setup.num_answers) if attempt < GOOD_PROPOSALS else 2
            course, found = self.propose(rng, setup, facts), dict[str, dict[str, list[Course]]]()
            for _ in range(NUM_ORDERS):
                order = self.reordered(rng, setup.revealed, course, facts["at_start"])
                answer = self.answer((setup.revealed, order), facts) if order else None
                if answer is not None:
                    alike = found.setdefault(self.open_part(facts, answer), {})
                    alike.setdefault(answer, []).append(order)
                    if len(alike) == wanted:
                        return facts, alike
            best = max([best, *found.values()], key=len)
            if len(best) >= wanted:
                return facts, best
        raise SampleRejected("order_without_effect", f"{MAX_PROPOSALS} sets of operations lead to one answer each")

    def drawn_anew(
        self, rng: np.random.Generator, revealed: State, facts: Facts, course: Course, hidden: slice
    ) -> Course:
        """Draw some of the operations in a row anew, from the state on their side of the reveal; () if nothing can be.

        An audit guesses by it what it was not shown.
        """
        at_start = facts["at_start"]
        states = self.states(revealed, course[: hidden.start] if at_start else course[hidden.stop :], at_start)
        if states is None:
            return ()
        setup = Setup(revealed=states[-1 if at_start else 0], facts=facts, num_answers=MAX_OPTIONS)
        drawn = self.propose(rng, setup, {**facts, "num_operations": len(course[hidden])})
        return (*course[: hidden.start], *drawn, *course[hidden.stop :])

    def answer(self, measured: Played, facts: Facts) -> str | None:
        states = self.states(*measured, facts["at_start"])
        return None if states is None else self.read(facts, states)

    def logged(self, events: Sequence[Event], facts: Facts) -> Played:
        reveal, operations = read_log(events)
        return self.parsed(reveal.detail), tuple((event.kind, *event.detail.split()) for event in operations)

    def seen(self, witness: Witness, facts: Facts) -> Played | None:
        height, width = witness.frames_THWC.shape[1:3]
        revealed, seen = self.see(witness.frames_THWC, facts, self.layout(facts, width, height))
        if len(seen) != facts["num_operations"]:
            return None
        return revealed, self.resolved(revealed, seen, facts["at_start"])

    def written(self, state: State) -> str:
        """Write a whole state as the reveal is told."""
        return ", ".join(state)

    def parsed(self, written: str) -> State:
        """Read a whole state that was written."""
        return tuple(written.split(", "))

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether the reveal is shown, and of each operation a frame that tells which one it is.

        All of them have to be seen, because operations are counted.
        """
        middle_ms_T = 1000.0 * (np.asarray(frames) + 0.5) / plan.fps
        reveal, operations = read_log(plan.events)
        spans = [(reveal.start_ms, reveal.end_ms)]
        for event in operations:
            edge_ms = EDGE_SHARE * (event.end_ms - event.start_ms) - 1e-6
            spans.append((event.start_ms + edge_ms, event.end_ms - edge_ms))
        return all(bool(((middle_ms_T >= start) & (middle_ms_T <= end)).any()) for start, end in spans)

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return self.timed_wordings[facts.get("ask", "")].of(facts["mode"])

    def text(self, facts: Facts) -> str:
        return f"{super().text({**facts, 'number': facts['asked_after']})} {self.legend}".strip()

    def told(self, plan: ScenePlan) -> list[Event]:
        """Return the events from the revealed state, operation by operation, to the state that is asked for."""
        reveal, operations = read_log(plan.events)
        asked_after, at_start = plan.facts["asked_after"], plan.facts["at_start"]
        walk = operations[:asked_after] if at_start else operations[asked_after:][::-1]
        kind = self.told_state(plan.facts, STATES[at_start])
        beside = {event.start_ms: event for event in plan.events if event.kind == kind}
        return [reveal, *(event for step in walk for event in (step, beside.get(step.start_ms)) if event is not None)]

    def deciding(self, plan: ScenePlan) -> list[Event]:
        """Return the reveal and all operations, because they are counted to the one that the question names."""
        reveal, operations = read_log(plan.events)
        return [reveal, *operations]

    def what(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return the parts of a state, each for itself, or an operation's arguments."""
        return {"state": self.cells(detail)} if kind == "reveal" or _tells_state(kind) else words_of(detail)

    def cells(self, told: str) -> tuple[str, ...]:
        """Return the parts of a state that is told."""
        return tuple(CELL.findall(told))

    def _events(self, play: Play) -> tuple[Event, ...]:
        """Log the reveal, and every operation with its arguments and with what is told of the states beside it."""
        log = partial(event_in, play.canvas)
        reveal = log("reveal", self.subject, *play.timing.reveal_span, self.written(play.revealed))
        beside = [self.carried(play.facts, state) for state in play.states]
        events = [reveal]
        for ((kind, *arguments), moving), states in zip(play.steps, pairwise(beside), strict=True):
            events.append(log(kind, self.subject, moving.start, moving.stop, " ".join(arguments)))
            events += [
                log(self.told_state(play.facts, when), self.subject, moving.start, moving.stop, state)
                for when, state in zip(STATES, states, strict=True)
                if state
            ]
        return tuple(by_start(events))


def read_log(events: Sequence[Event]) -> tuple[Event, list[Event]]:
    """Return the reveal, and the operations in their order."""
    (reveal,) = (event for event in events if event.kind == "reveal")
    return reveal, [e for e in by_start(events) if e is not reveal and not _tells_state(e.kind)]


def _tells_state(kind: str) -> bool:
    return kind.endswith(STATES)
