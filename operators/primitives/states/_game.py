"""Games of hidden states: S0 -> o1 .. oT -> ST (SynRL, arXiv 2603.17693, long-term primitives).

Only the first or only the last state is shown still, every operation is seen. ``forward`` asks for the last state,
``retrodictive`` for the first, ``historical`` for one in between.

The revealed state and the set of operations are drawn first. The answers that different orders of these very
operations lead to are the options, one of which is then made true. As an operation looks the same whatever is hidden,
all options have the same frames in another order: text, length, one frame and a bag of frames leave the truth open.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Any, ClassVar, Literal

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.primitives._base import Primitive, TwinKind, choose_truth
from temporay.operators.primitives.motion._stage import choose_backdrop, choose_num_frames, frame_ms
from temporay.operators.primitives.states._slots import Timing, choose_timing, num_reveal_frames
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

Mode = Literal["forward", "retrodictive", "historical"]
MODES: tuple[Mode, ...] = ("forward", "retrodictive", "historical")
Operation = tuple[str, ...]  # its kind, then its arguments; words without blanks
State = tuple[str, ...]  # words without blanks
Course = tuple[Operation, ...]
Facts = Mapping[str, Any]

MIN_FRAMES_PER_OPERATION = 2
CLEAR_FRAMES_PER_OPERATION = 3  # fewer only where the clip would else show fewer than ``FEW_OPERATIONS``
FEW_OPERATIONS = 3
MAX_OPTIONS = 4
GOOD_PROPOSALS = 40  # sets of operations, until one leads to as many answers as there shall be options
MAX_PROPOSALS = 400  # until one leads to two
ALL_ORDERED = 5  # operations, of which all orders are looked at; of more
MAX_ORDERS = 120
MIN_SIDE_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is drawn before the operations: the state that is shown, what is asked, colours."""

    revealed: State
    facts: Mapping[str, Any]
    num_answers: int  # how many answers there can be at most


class OperationsGame(Primitive):
    """A primitive whose course is a list of operations on a hidden state."""

    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[TwinKind] = "reordered"
    subject: ClassVar[str]  # of the events: what is operated on
    legend: ClassVar[str]  # added to every wording
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]]

    @abstractmethod
    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage: ...

    @abstractmethod
    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        """Operations, in one of their orders; ``facts`` has those of the stage and which state is shown and asked."""

    @abstractmethod
    def apply(self, state: State, operation: Operation) -> State | None:
        """The state after it; None where it cannot be done."""

    @abstractmethod
    def undo(self, state: State, operation: Operation) -> State | None:
        """The state before it; None where it cannot have been done."""

    @abstractmethod
    def read(self, facts: Facts, states: Sequence[State]) -> str | None:
        """The answer, from the states before the first and after each operation; None where there is none."""

    @abstractmethod
    def carried(self, facts: Facts, state: State) -> str:
        """What a chain of thought carries from operation to operation, one word."""

    def all_carried(self, facts: Facts, course: Course, states: Sequence[State]) -> list[str]:
        """Before the first operation and after each."""
        return [self.carried(facts, state) for state in states]

    @abstractmethod
    def wordings_of(self, facts: Facts) -> Sequence[str]: ...

    @abstractmethod
    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]: ...

    def num_operations(self, canvas: Canvas, level: int) -> int:
        """By the shortest clip of the canvas, so that a clip's length does not tell how much happens in it."""
        room = canvas.num_frames[0] - num_reveal_frames(canvas.num_frames[0])
        most = max(room // CLEAR_FRAMES_PER_OPERATION, min(FEW_OPERATIONS, room // MIN_FRAMES_PER_OPERATION))
        return min(self.num_operations_by_level[level], most)

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        _check_sides(canvas, self.task)
        num_frames = choose_num_frames(address, canvas)
        rng = rng_at(*address.parts(), "plan")
        num_operations = self.num_operations(canvas, address.level)
        query = _choose_query(rng, num_operations)
        stage = self.stage(rng, canvas, address.level, query)
        facts, courses = self.courses(rng, stage, {**query, **stage.facts})
        answers = sorted(courses)
        options = [answers[i] for i in rng.choice(len(answers), min(MAX_OPTIONS, len(answers)), replace=False)]
        possible = courses[options[choose_truth(rng, len(options), address)]]
        course = possible[int(rng_at(*address.parts(), "course").integers(len(possible)))]
        states = self.states(stage.revealed, course, facts["at_start"])
        if states is None:
            raise ValueError(f"{address.key}: the course cannot be gone")
        timing = choose_timing(rng, num_frames, num_operations, facts["at_start"])
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            backdrop=choose_backdrop(address),
            tracks=self.tracks(facts, canvas, timing, course, states),
            events=self._events(facts, canvas, timing, course, states),
            facts={**facts, "options": options, "wording": int(rng.integers(len(self.wordings_of(facts))))},
        )

    def courses(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Courses by the answer they lead to: orders of one and the same set of operations.

        Raises:
            SampleRejected: no set was found whose order matters.
        """
        best: dict[str, list[Course]] = {}
        for attempt in range(MAX_PROPOSALS):
            orders = self.orders(rng, self.propose(rng, stage, facts))
            found = by_answer(orders, lambda course: self.answer(facts, stage.revealed, course))
            best = found if len(found) > len(best) else best
            if len(best) >= (min(MAX_OPTIONS, stage.num_answers) if attempt < GOOD_PROPOSALS else 2):
                break
        if len(best) < 2:
            raise SampleRejected("order_without_effect", f"{MAX_PROPOSALS} sets of operations lead to one answer each")
        return facts, best

    def orders(self, rng: np.random.Generator, course: Course) -> list[Course]:
        """Different orders in which no operation directly follows its like; all of them where they are few."""
        if len(course) <= ALL_ORDERED:
            orders = set(permutations(course))
        else:
            orders = {tuple(course[i] for i in rng.permutation(len(course))) for _ in range(MAX_ORDERS)}
        return sorted(order for order in orders if all(a != b for a, b in pairwise(order)))

    def states(self, revealed: State, course: Course, at_start: bool) -> list[State] | None:
        """Before the first operation and after each; None where one of them cannot be done."""
        states = [revealed]
        for operation in course if at_start else course[::-1]:
            state = (self.apply if at_start else self.undo)(states[-1], operation)
            if state is None:
                return None
            states.append(state)
        return states if at_start else states[::-1]

    def answer(self, facts: Facts, revealed: State, course: Course) -> str | None:
        states = self.states(revealed, course, facts["at_start"])
        return None if states is None else self.read(facts, states)

    def _events(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Event, ...]:
        """The reveal, and every operation with its arguments and what is carried before and after it."""
        start, end = timing.reveal_span
        revealed = " ".join(states[0 if timing.at_start else -1])
        start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
        reveal = Event(kind="reveal", subject=self.subject, start_ms=start_ms, end_ms=end_ms, detail=revealed)
        carried = self.all_carried(facts, course, states)
        operations = tuple(
            Event(
                kind=operation[0],
                subject=self.subject,
                start_ms=frame_ms(start, canvas),
                end_ms=frame_ms(start + timing.per_op, canvas),
                detail=" ".join([*operation[1:], before, after]),
            )
            for operation, start, before, after in zip(course, timing.starts, carried, carried[1:], strict=False)
        )
        return (reveal, *operations) if timing.at_start else (*operations, reveal)

    def ask(self, plan: ScenePlan) -> Question:
        facts, options = plan.facts, tuple(plan.facts["options"])
        reveal, operations = read_log(plan)
        course = tuple((event.kind, *event.detail.split()[:-2]) for event in operations)
        truth = self.answer(facts, tuple(reveal.detail.split()), course)
        if truth is None:
            raise ValueError(f"{plan.address.key}: the log leads to no answer")
        wording = self.wordings_of(facts)[facts["wording"]]
        text = f"{wording.format(**{**facts, 'number': facts['asked_after']})} {self.legend}"
        return Question(text=text, options=options, answer_index=options.index(truth))

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        """From the revealed state, operation by operation, to the state that is asked for."""
        reveal, operations = read_log(plan)
        asked_after = plan.facts["asked_after"]
        walk = operations[:asked_after] if plan.facts["at_start"] else operations[asked_after:][::-1]
        return [reveal, *walk]


def read_log(plan: ScenePlan) -> tuple[Event, list[Event]]:
    """The reveal, and the operations in their order."""
    events = sorted(plan.events, key=lambda event: event.start_ms)
    reveal = next(event for event in events if event.kind == "reveal")
    return reveal, [event for event in events if event.kind != "reveal"]


def by_answer(courses: Sequence[Course], answer: Callable[[Course], str | None]) -> dict[str, list[Course]]:
    """Courses that have an answer, by it."""
    found: dict[str, list[Course]] = {}
    for course in courses:
        value = answer(course)
        if value is not None:
            found.setdefault(value, []).append(course)
    return found


def timed_wordings(templates: Sequence[str], facts: Facts, first: Mapping[str, str] | None = None) -> list[str]:
    """Questions about the state at a time, ``{when}``; ``first`` has each mode's wording of the paper."""
    when = {"forward": "at the end", "retrodictive": "at the start", "historical": "right after step {number}"}
    paper = [first[facts["mode"]]] if first and facts["mode"] in first else []
    asked = [template.replace("{when}", when[facts["mode"]]) for template in templates]
    return [*paper, *(text[0].upper() + text[1:] for text in asked)]


def _choose_query(rng: np.random.Generator, num_operations: int) -> dict[str, Any]:
    """Which state is shown and which is asked for; nothing of it depends on the truth."""
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
