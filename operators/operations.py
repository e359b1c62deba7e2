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
from itertools import combinations, pairwise, permutations
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from operators.errors import SampleRejected, UserError
from operators.motion import draw_backdrop, draw_num_frames, frame_ms
from operators.primitives._base import Canvas, Primitive, Twin, draw_truth
from operators.records import Address, Event, Frames, Question, Scene, ScenePlan, Track
from operators.seeding import rng

Mode = Literal["forward", "retrodictive", "historical"]
MODES: tuple[Mode, ...] = ("forward", "retrodictive", "historical")
Operation = tuple[str, ...]  # its kind, then its arguments; words without blanks
State = tuple[str, ...]  # words without blanks
Course = tuple[Operation, ...]
Facts = Mapping[str, Any]

MIN_FRAMES_PER_OPERATION = 2
CLEAR_FRAMES_PER_OPERATION = 3  # fewer only where the clip would else show fewer than ``FEW_OPERATIONS``
FEW_OPERATIONS = 3
REVEAL_SHARE = 0.2  # of the clip
MAX_OPTIONS = 4
GOOD_PROPOSALS = 40  # sets of operations, until one leads to as many answers as there shall be options
MAX_PROPOSALS = 400  # until one leads to two
ALL_ORDERED = 5  # operations, of which all orders are looked at; of more
MAX_ORDERS = 120
MIN_SIDE_PX = 32
COVER_COLOR = (160, 160, 160)  # of what hides: backs of cards and tiles; no name of the palette is near it


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Frames of a clip: the reveal is its first or its last ``reveal`` frames, operations last ``per_op`` each."""

    num_frames: int
    reveal: int
    per_op: int
    starts: tuple[int, ...]
    at_start: bool

    @property
    def reveal_span(self) -> tuple[int, int]:
        return (0, self.reveal) if self.at_start else (self.num_frames - self.reveal, self.num_frames)

    @property
    def revealed_T(self) -> npt.NDArray[np.bool_]:
        frames_T = np.arange(self.num_frames)
        start, end = self.reveal_span
        revealed_T: npt.NDArray[np.bool_] = (frames_T >= start) & (frames_T < end)
        return revealed_T

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """How far an operation has got in each of its frames, (per_op,) in (0, 1)."""
        return middle_shares(self.per_op)


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
    twin: ClassVar[Twin] = "reordered"
    subject: ClassVar[str]  # of the events: what is operated on
    legend: ClassVar[str]  # added to every wording
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]]

    @abstractmethod
    def stage(self, draw: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage: ...

    @abstractmethod
    def propose(self, draw: np.random.Generator, stage: Stage, facts: Facts) -> Course:
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
    def wordings(self, facts: Facts) -> Sequence[str]: ...

    @abstractmethod
    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]: ...

    def num_operations(self, canvas: Canvas, level: int) -> int:
        """By the shortest clip of the canvas, so that a clip's length does not tell how much happens in it."""
        room = canvas.num_frames[0] - _num_reveal_frames(canvas.num_frames[0])
        most = max(room // CLEAR_FRAMES_PER_OPERATION, min(FEW_OPERATIONS, room // MIN_FRAMES_PER_OPERATION))
        return min(self.num_operations_by_level[level], most)

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        _check_sides(canvas, self.task)
        num_frames = draw_num_frames(address, canvas)
        draw = rng(*address.parts(), "plan")
        num_operations = self.num_operations(canvas, address.level)
        query = _draw_query(draw, num_operations)
        stage = self.stage(draw, canvas, address.level, query)
        facts, courses = self.courses(draw, stage, {**query, **stage.facts})
        answers = sorted(courses)
        options = [answers[i] for i in draw.choice(len(answers), min(MAX_OPTIONS, len(answers)), replace=False)]
        possible = courses[options[draw_truth(draw, len(options), address)]]
        course = possible[int(rng(*address.parts(), "course").integers(len(possible)))]
        states = self.states(stage.revealed, course, facts["at_start"])
        if states is None:
            raise ValueError(f"{address.key}: the course cannot be gone")
        timing = _draw_timing(draw, num_frames, num_operations, facts["at_start"])
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=num_frames,
            backdrop=draw_backdrop(address),
            tracks=self.tracks(facts, canvas, timing, course, states),
            events=self._events(facts, canvas, timing, course, states),
            facts={**facts, "options": options, "wording": int(draw.integers(len(self.wordings(facts))))},
        )

    def courses(self, draw: np.random.Generator, stage: Stage, facts: Facts) -> tuple[Facts, dict[str, list[Course]]]:
        """Courses by the answer they lead to: orders of one and the same set of operations.

        Raises:
            SampleRejected: no set was found whose order matters.
        """
        best: dict[str, list[Course]] = {}
        for attempt in range(MAX_PROPOSALS):
            orders = self.orders(draw, self.propose(draw, stage, facts))
            found = by_answer(orders, lambda course: self.answer(facts, stage.revealed, course))
            best = found if len(found) > len(best) else best
            if len(best) >= (min(MAX_OPTIONS, stage.num_answers) if attempt < GOOD_PROPOSALS else 2):
                break
        if len(best) < 2:
            raise SampleRejected("order_without_effect", f"{MAX_PROPOSALS} sets of operations lead to one answer each")
        return facts, best

    def orders(self, draw: np.random.Generator, course: Course) -> list[Course]:
        """Different orders in which no operation directly follows its like; all of them where they are few."""
        if len(course) <= ALL_ORDERED:
            orders = set(permutations(course))
        else:
            orders = {tuple(course[i] for i in draw.permutation(len(course))) for _ in range(MAX_ORDERS)}
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
        wording = self.wordings(facts)[facts["wording"]]
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


def middle_shares(per_op: int) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = (np.arange(per_op) + 0.5) / per_op
    return shares


# Things in a row that trade places.


def row_of(width: int, height: int, num_slots: int) -> tuple[npt.NDArray[np.float64], float]:
    """Centres, (N, 2) px, and a radius at which two that trade places touch none on their way round (``arc_px``)."""
    pitch_px = width / num_slots
    xy_N2 = np.stack([(np.arange(num_slots) + 0.5) * pitch_px, np.full(num_slots, height / 2)], axis=1)
    return xy_N2, min(0.3 * pitch_px, 0.111 * height)


def arc_px(radius_px: float) -> float:
    """How far above and below the row things pass each other."""
    return 3.4 * radius_px


def around(
    slots_xy: npt.NDArray[np.float64], a: int, b: int, shares: npt.NDArray[np.float64], height_px: float
) -> npt.NDArray[np.float64]:
    """(2, len(shares), 2) px: from a over the row to b, and from b under it to a, on half an ellipse each."""
    left, right = sorted((a, b))
    middle, half = (slots_xy[left] + slots_xy[right]) / 2, (slots_xy[right] - slots_xy[left]) / 2
    turns = np.pi * shares[:, None]
    orbit = half * np.cos(turns) + np.array([0.0, height_px]) * np.sin(turns)
    return np.stack([middle - orbit, middle + orbit])


def trade_places(
    slots_xy: npt.NDArray[np.float64], course: Course, timing: Timing, shares: npt.NDArray[np.float64], height_px: float
) -> npt.NDArray[np.float64]:
    """(N, T, 2) px of things that stand in slots and trade them in each operation ("swap", a, b), from 1."""
    paths = np.repeat(slots_xy[:, None], timing.num_frames, axis=1)
    thing_in = list(range(len(slots_xy)))
    for operation, start in zip(course, timing.starts, strict=True):
        if operation[0] != "swap":
            continue
        a, b = sorted(int(word) - 1 for word in operation[1:])
        one, other = thing_in[a], thing_in[b]
        moving = slice(start, start + timing.per_op)
        paths[[one, other], moving] = around(slots_xy, a, b, shares, height_px)
        paths[one, moving.stop :], paths[other, moving.stop :] = slots_xy[b], slots_xy[a]
        thing_in[a], thing_in[b] = other, one
    return paths


# What a witness sees.


def coverage(
    frames_THWC: Frames, color: tuple[int, int, int], centers_xy: npt.NDArray[np.float64], half_px: float
) -> npt.NDArray[np.float64]:
    """(T, N): share of the square around each centre that has nearly this colour."""
    seen = []
    for x, y in centers_xy:
        rows = slice(max(0, round(y - half_px)), max(1, round(y + half_px) + 1))
        columns = slice(max(0, round(x - half_px)), max(1, round(x + half_px) + 1))
        patch = frames_THWC[:, rows, columns].astype(np.int16)
        seen.append((np.abs(patch - np.array(color, np.int16)).sum(axis=3) < 75).mean(axis=(1, 2)))
    return np.stack(seen, axis=1)


def seen_pair(
    frames_THWC: Frames,
    color: tuple[int, int, int],
    slots_xy: npt.NDArray[np.float64],
    radius_px: float,
    half_px: float,
) -> tuple[int, int]:
    """The two slots between which things of this colour fly ``around``, in all frames of one operation.

    Args:
        half_px: of the square at a thing's centre that is looked at.
    """
    shares = middle_shares(len(frames_THWC))

    def seen(pair: tuple[int, int]) -> float:
        paths = around(slots_xy, *pair, shares, arc_px(radius_px))
        found = [coverage(frames_THWC[t : t + 1], color, paths[:, t], half_px) for t in range(len(shares))]
        return float(np.mean(found))

    return max(combinations(range(len(slots_xy)), 2), key=seen)


def split_active(active_T: npt.NDArray[np.bool_], num_operations: int) -> list[slice] | None:
    """The frames of each operation in a clip, of which it was seen when something moves.

    Slow starts and ends may have passed for rest, so the operations are laid around the middle of what was seen.
    """
    frames, num_frames = np.nonzero(active_T)[0], len(active_T)
    per_op = (num_frames - _num_reveal_frames(num_frames)) // num_operations
    if not len(frames):
        return None
    first = int(np.floor((frames[0] + frames[-1] + 1 - num_operations * per_op) / 2))
    if first < 0 or first + num_operations * per_op > num_frames:
        return None
    return [slice(first + i * per_op, first + (i + 1) * per_op) for i in range(num_operations)]


def _draw_query(draw: np.random.Generator, num_operations: int) -> dict[str, Any]:
    """Which state is shown and which is asked for; nothing of it depends on the truth."""
    mode = MODES[int(draw.integers(3 if num_operations > 1 else 2))]
    at_start = bool(draw.integers(2)) if mode == "historical" else mode == "forward"
    between = int(draw.integers(1, max(2, num_operations)))
    asked_after = {"forward": num_operations, "retrodictive": 0, "historical": between}[mode]
    return {"mode": mode, "at_start": at_start, "asked_after": asked_after, "num_operations": num_operations}


def _num_reveal_frames(num_frames: int) -> int:
    return max(2, round(REVEAL_SHARE * num_frames))


def _draw_timing(draw: np.random.Generator, num_frames: int, num_operations: int, at_start: bool) -> Timing:
    reveal = _num_reveal_frames(num_frames)
    per_op = (num_frames - reveal) // num_operations
    rest = int(draw.integers(num_frames - reveal - num_operations * per_op + 1))
    first = rest + (reveal if at_start else 0)
    starts = tuple(first + i * per_op for i in range(num_operations))
    return Timing(num_frames=num_frames, reveal=reveal, per_op=per_op, starts=starts, at_start=at_start)


def _check_sides(canvas: Canvas, task: str) -> None:
    for name in ("width", "height"):
        if getattr(canvas, name) < MIN_SIDE_PX:
            raise UserError(
                f"canvas.{name}={getattr(canvas, name)} is too small for {task}; it needs {MIN_SIDE_PX} px or more"
            )
