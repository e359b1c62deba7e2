"""Games of hidden states: S0 -> o1 .. oT -> ST (SynRL, arXiv 2603.17693, long-term primitives).

Only the first or only the last state is shown, every operation is seen. ``forward`` asks for the last state,
``retrodictive`` for the first, ``historical`` for one in between.

The revealed state and the set of operations are chosen first. Different orders of these operations lead to different
answers. These answers are the options, and one of them is then made true. An operation looks the same whatever is
hidden, so all options have the same frames in another order: text, length, one frame or a bag of frames tell nothing.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, permutations
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Primitive, TwinKind, choose_truth, choose_wording, index_in
from temporay.operators.primitives._plan import choose_num_frames, drawn_plan, event_in
from temporay.operators.primitives._stated import Value, words_of
from temporay.operators.primitives.states._course import (
    Course,
    Operation,
    State,
    Timing,
    choose_timing,
    num_reveal_frames,
)
from temporay.operators.primitives.states._wordings import TimedWordings
from temporay.operators.records import Address, Event, Frames, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

MODES = ("forward", "retrodictive", "historical")

MIN_FRAMES_PER_OPERATION = 2
CLEAR_FRAMES_PER_OPERATION = 3  # with fewer only where the clip would otherwise show fewer than ``FEW_OPERATIONS``
FEW_OPERATIONS = 3
MAX_OPTIONS = 4
GOOD_PROPOSALS = 40  # sets of operations tried for as many answers as there shall be options
MAX_PROPOSALS = 400  # sets of operations tried for two answers
ALL_ORDERED = 5  # up to this many operations all their orders are looked at
MAX_ORDERS = 120  # orders looked at of more operations
MIN_SIDE_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that is chosen before the operations: the state that is shown, what is asked, colors."""

    revealed: State
    facts: Facts
    num_answers: int  # the most different answers there can be


class Layout(NamedTuple):
    """The centers of all places, (N, 2) px, and the radius of what stands in them, in px."""

    places_xy: npt.NDArray[np.float64]
    radius_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One game as it is drawn and logged. ``states`` are those before the first operation and after each."""

    facts: Facts
    canvas: Canvas
    timing: Timing
    course: Course
    states: Sequence[State]
    revealed: State
    layout: Layout

    @property
    def steps(self) -> list[tuple[Operation, slice]]:
        """Each operation with its frames."""
        return self.timing.steps(self.course)


class OperationsGame(Primitive):
    """A primitive whose course is a list of operations on a hidden state."""

    family = "shapes"
    order_dependent = True
    needs_time = True
    twin: ClassVar[TwinKind] = "reordered"
    subject: ClassVar[str]  # what is operated on; the subject of all events
    legend: ClassVar[str]  # added to every wording
    timed_wordings: ClassVar[Mapping[str, TimedWordings]] = {}  # by ``facts["ask"]``; "" in games that ask one thing
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]]

    @abstractmethod
    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        """Choose the state that is shown and what is asked; ``facts`` say which state is shown and asked for."""

    @abstractmethod
    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Choose operations, in one of their orders; ``facts`` include those of the setup."""

    @abstractmethod
    def apply(self, state: State, operation: Operation) -> State | None:
        """Return the state after the operation; None where it cannot be done."""

    @abstractmethod
    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        """Return the answer, given the states before the first and after each operation; None where there is none."""

    @abstractmethod
    def carried(self, facts: Facts, state: State) -> str:
        """Return what a chain of thought carries from operation to operation, one word."""

    @abstractmethod
    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return where things stand in a frame of this size, in px."""

    @abstractmethod
    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out everything that is drawn, from the back to the front."""

    @abstractmethod
    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]] | None:
        """Return the revealed state and the operations that the frames show; None where they leave a doubt."""

    def inverse(self, operation: Operation) -> Operation:
        """Return the operation that undoes this one: the same with its last two arguments exchanged."""
        return (*operation[:-2], operation[-1], operation[-2])

    def num_operations(self, canvas: Canvas, level: int) -> int:
        """Return how many the shortest clip has room for, so that a clip's length does not tell how much happens."""
        room = canvas.num_frames[0] - num_reveal_frames(canvas.num_frames[0])
        most = max(room // CLEAR_FRAMES_PER_OPERATION, min(FEW_OPERATIONS, room // MIN_FRAMES_PER_OPERATION))
        return min(self.num_operations_by_level[level], most)

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        _check_sides(canvas, self.task)
        num_frames = choose_num_frames(address, canvas)
        rng = rng_at(*address.parts(), "plan")
        num_operations = self.num_operations(canvas, address.level)
        query = _choose_query(rng, num_operations)
        setup = self.set_up(rng, canvas, address.level, query)
        facts, courses = self.courses(rng, setup, {**query, **setup.facts})
        answers = sorted(courses)
        options = [answers[i] for i in rng.choice(len(answers), min(MAX_OPTIONS, len(answers)), replace=False)]
        possible = courses[options[choose_truth(rng, len(options), address)]]
        course = possible[int(rng_at(*address.parts(), "course").integers(len(possible)))]
        states = self.states(setup.revealed, course, facts["at_start"])
        if states is None:
            raise ValueError(f"{address.key}: the chosen course has an operation that cannot be done")
        timing = choose_timing(rng, num_frames, num_operations, facts["at_start"])
        play = Play(
            facts=facts,
            canvas=canvas,
            timing=timing,
            course=course,
            states=states,
            revealed=setup.revealed,
            layout=self.layout(facts, canvas.width, canvas.height),
        )
        return drawn_plan(
            address,
            canvas,
            num_frames,
            tracks=self.tracks(play),
            events=self._events(play),
            facts={**facts, "options": options, "wording": choose_wording(rng, self.wordings_of(facts))},
        )

    def courses(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Find courses by the answer that they lead to: orders of one set of operations.

        Raises:
            SampleRejected: no set was found whose order matters.
        """
        best: dict[str, list[Course]] = {}
        for attempt in range(MAX_PROPOSALS):
            orders = self.orders(rng, self.propose(rng, setup, facts))
            found = by_answer(orders, lambda course: self.answer(facts, setup.revealed, course))
            best = found if len(found) > len(best) else best
            if len(best) >= (min(MAX_OPTIONS, setup.num_answers) if attempt < GOOD_PROPOSALS else 2):
                break
        if len(best) < 2:
            raise SampleRejected("order_without_effect", f"{MAX_PROPOSALS} sets of operations lead to one answer each")
        return facts, best

    def orders(self, rng: np.random.Generator, course: Course) -> list[Course]:
        """Return different orders in which no operation follows its like; all of them for few operations."""
        if len(course) <= ALL_ORDERED:
            orders = set(permutations(course))
        else:
            orders = {tuple(course[i] for i in rng.permutation(len(course))) for _ in range(MAX_ORDERS)}
        return sorted(order for order in orders if all(a != b for a, b in pairwise(order)))

    def states(self, revealed: State, course: Course, at_start: bool) -> list[State] | None:
        """Return the states before the first operation and after each; None where one of them cannot be done."""
        states = [revealed]
        for operation in course if at_start else course[::-1]:
            state = self.apply(states[-1], operation if at_start else self.inverse(operation))
            if state is None:
                return None
            states.append(state)
        return states if at_start else states[::-1]

    def answer(self, facts: Facts, revealed: State, course: Course) -> str | None:
        """Return the answer that follows from the log or from the frames; None where they lead to none."""
        states = self.states(revealed, course, facts["at_start"])
        return None if states is None else self.read(facts, states)

    def ask(self, plan: ScenePlan) -> Question:
        reveal, operations = read_log(plan)
        course = tuple((event.kind, *event.detail.split()[:-2]) for event in operations)
        return self.question(plan, self.answer(plan.facts, tuple(reveal.detail.split()), course))

    def recover(self, witness: Witness) -> int | None:
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        revealed, course = self.see(frames_THWC, facts, self.layout(facts, width, height)) or ((), [])
        if len(course) != facts["num_operations"]:
            return None
        return index_in(witness.options, self.answer(facts, revealed, tuple(course)))

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        return self.timed_wordings[facts.get("ask", "")].of(facts["mode"])

    def text(self, facts: Facts) -> str:
        return f"{super().text({**facts, 'number': facts['asked_after']})} {self.legend}"

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """Return the events from the revealed state, operation by operation, to the state that is asked for."""
        reveal, operations = read_log(plan)
        asked_after = plan.facts["asked_after"]
        walk = operations[:asked_after] if plan.facts["at_start"] else operations[asked_after:][::-1]
        return [reveal, *walk]

    def what(self, kind: str, detail: str) -> Mapping[str, Value]:
        """Return the cells of a revealed state, or an operation's arguments and the cells before and after it."""
        words = detail.split()
        if kind == "reveal":
            return {"state": tuple(words)}
        *arguments, before, after = words if len(words) > 1 else (*words, "", "")
        states: dict[str, Value] = {"before": self.cells(before), "after": self.cells(after)}
        return {**words_of(" ".join(arguments)), **states}

    def cells(self, carried: str) -> tuple[str, ...]:
        """Return the cells of what is carried from operation to operation."""
        return (carried,)

    def _events(self, play: Play) -> tuple[Event, ...]:
        """Log the reveal, and every operation with its arguments and what is carried before and after it."""
        log = partial(event_in, play.canvas)
        reveal = log("reveal", self.subject, *play.timing.reveal_span, " ".join(play.revealed))
        carried = [self.carried(play.facts, state) for state in play.states]
        operations = tuple(
            log(kind, self.subject, moving.start, moving.stop, " ".join((*arguments, before, after)))
            for ((kind, *arguments), moving), (before, after) in zip(play.steps, pairwise(carried), strict=True)
        )
        return (reveal, *operations) if play.timing.at_start else (*operations, reveal)


def read_log(plan: ScenePlan) -> tuple[Event, list[Event]]:
    """Return the reveal, and the operations in their order."""
    events = sorted(plan.events, key=lambda event: event.start_ms)
    reveal = next(event for event in events if event.kind == "reveal")
    return reveal, [event for event in events if event.kind != "reveal"]


def by_answer(courses: Sequence[Course], answer: Callable[[Course], str | None]) -> dict[str, list[Course]]:
    """Group the courses that have an answer by it."""
    found: dict[str, list[Course]] = {}
    for course in courses:
        value = answer(course)
        if value is not None:
            found.setdefault(value, []).append(course)
    return found


def _choose_query(rng: np.random.Generator, num_operations: int) -> dict[str, Any]:
    """Choose which state is shown and which is asked for. The truth has no part in it."""
    mode = MODES[int(rng.integers(3 if num_operations > 1 else 2))]
    at_start = bool(rng.integers(2)) if mode == "historical" else mode == "forward"
    between = int(rng.integers(1, max(2, num_operations)))
    asked_after = {"forward": num_operations, "retrodictive": 0, "historical": between}[mode]
    return {"mode": mode, "at_start": at_start, "asked_after": asked_after, "num_operations": num_operations}


def _check_sides(canvas: Canvas, task: str) -> None:
    for name in ("width", "height"):
        if getattr(canvas, name) < MIN_SIDE_PX:
            raise UserError(
                f"canvas.{name}={getattr(canvas, name)} is too small for {task}; it needs {MIN_SIDE_PX} px or more"
            )
