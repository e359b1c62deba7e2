"""Under which cup is the ball? (SynRL, arXiv 2603.17693, long-term: object tracking with occlusion.)

Either the first or the last state is revealed and every swap is seen. ``forward`` asks for the last state,
``retrodictive`` for the first, ``historical`` for one in between. Where the ball is revealed and where it is asked for
are drawn apart, then swaps are drawn until they lead from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from operators.motion import draw_backdrop, draw_num_frames, frame_ms
from operators.primitives._base import Canvas, Primitive, Style, Twin, draw_truth
from operators.records import Address, Event, Question, Scene, ScenePlan, Track
from operators.seeding import rng
from operators.sources.shapes import COLORS

Mode = Literal["forward", "retrodictive", "historical"]
Swap = tuple[int, int]

NUM_CUPS_BY_LEVEL = (3, 3, 4, 4, 5)
NUM_SWAPS_BY_LEVEL = (2, 3, 4, 6, 8)
MIN_FRAMES_PER_SWAP = 3
REVEAL_SHARE = 0.2  # of the clip
MAX_OPTIONS = 4
WORDINGS: dict[Mode, tuple[str, ...]] = {
    "forward": (
        "Where is the ball at the end?",
        "The cups are swapped. Which cup hides the ball at the end?",
        "After all swaps, where is the ball?",
        "Follow the ball. At which position is it in the end?",
    ),
    "retrodictive": (
        "Where was the ball at the start?",
        "The ball is shown at the end. Which cup hid it at the start?",
        "Before any swap, where was the ball?",
        "Trace the ball back. At which position was it in the beginning?",
    ),
    "historical": (
        "Where was the ball right after swap {number}?",
        "Which cup hid the ball just after swap number {number}?",
        "After exactly {number} of the swaps, where was the ball?",
        "Follow the swaps. At which position was the ball after swap {number}?",
    ),
}
LEGEND = "Positions are counted from the left."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timing:
    """Frames of a clip: the reveal is its first or its last ``reveal`` frames, swap i starts at ``starts[i]``."""

    num_frames: int
    reveal: int
    per_swap: int
    starts: tuple[int, ...]
    at_start: bool

    @property
    def reveal_span(self) -> tuple[int, int]:
        return (0, self.reveal) if self.at_start else (self.num_frames - self.reveal, self.num_frames)


class ShellGame(Primitive):
    task: ClassVar[str] = "shell_game"
    family: ClassVar[Literal["pseudo_video", "shapes"]] = "shapes"
    order_dependent: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    twin: ClassVar[Twin] = "restaged"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        draw = rng(*address.parts(), "plan")
        num_swaps = _num_swaps(canvas, address.level)
        num_cups = min(NUM_CUPS_BY_LEVEL[address.level], max(3, num_swaps + 1))  # fewer swaps would not mix more cups
        options = [int(i) for i in draw.choice(num_cups, min(MAX_OPTIONS, num_cups), replace=False)]
        truth = options[draw_truth(draw, len(options), address)]
        modes: tuple[Mode, ...] = ("forward", "retrodictive", "historical")
        mode = modes[int(draw.integers(3 if num_swaps > 1 else 2))]
        at_start = mode == "forward" or (mode == "historical" and bool(draw.integers(2)))
        asked_after = {
            "forward": num_swaps,
            "retrodictive": 0,
            "historical": int(draw.integers(1, max(2, num_swaps))),
        }[mode]
        revealed = int(draw.integers(num_cups))
        swaps = _draw_swaps(draw, num_cups, num_swaps, revealed, truth, at_start, asked_after)
        timing = _draw_timing(draw, draw_num_frames(address, canvas), num_swaps, at_start)
        return ScenePlan(
            address=address,
            width=canvas.width,
            height=canvas.height,
            fps=canvas.fps,
            num_frames=timing.num_frames,
            backdrop=draw_backdrop(address),
            tracks=_tracks(draw, canvas, timing, swaps, num_cups, revealed),
            events=_events(canvas, timing, swaps, revealed),
            facts={
                "mode": mode,
                "asked_after": asked_after,
                "options": [_position(i) for i in options],
                "wording": int(draw.integers(len(WORDINGS[mode]))),
            },
        )

    def ask(self, plan: ScenePlan) -> Question:
        mode, asked_after, options = plan.facts["mode"], plan.facts["asked_after"], tuple(plan.facts["options"])
        truth = _position(_ball_states(plan)[asked_after])
        text = f"{WORDINGS[mode][plan.facts['wording']].format(number=asked_after)} {LEGEND}"
        return Question(text=text, options=options, answer_index=options.index(truth))

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        """The ball's position from the revealed state on, swap by swap, up to the state that is asked for."""
        answer, asked_after = question.options[question.answer_index], plan.facts["asked_after"]
        swaps, states = _swap_events(plan), _ball_states(plan)
        if _revealed_at_start(plan):
            walk = [(i + 1, swaps[i]) for i in range(asked_after)]
        else:
            walk = [(i, swaps[i]) for i in reversed(range(asked_after, len(swaps)))]
        first = states[0 if _revealed_at_start(plan) else -1] + 1
        if style == "concise":
            told = "".join(f", swap {swap.detail}, ball {states[after] + 1}" for after, swap in walk)
            return f"Ball {first}{told}. It is at {answer}."
        when = "start" if _revealed_at_start(plan) else "end"
        tense = "is then" if when == "start" else "was before that"
        told = "".join(
            f" From {swap.start_ms / 1000:.1f} s to {swap.end_ms / 1000:.1f} s the cups at positions "
            f"{swap.detail.replace(' ', ' and ')} are swapped; the ball {tense} at position {states[after] + 1}."
            for after, swap in walk
        )
        return f"At the {when} the ball is seen at position {first}.{told} So the answer is {answer}."


def _position(slot: int) -> str:
    return f"position {slot + 1}"


def _num_swaps(canvas: Canvas, level: int) -> int:
    """By the shortest clip of the canvas, so that a clip's length does not tell how much happens in it."""
    shortest = canvas.num_frames[0]
    room = (shortest - _num_reveal_frames(shortest)) // MIN_FRAMES_PER_SWAP
    return max(1, min(NUM_SWAPS_BY_LEVEL[level], room))


def _num_reveal_frames(num_frames: int) -> int:
    return max(2, round(REVEAL_SHARE * num_frames))


def _draw_swaps(
    draw: np.random.Generator,
    num_cups: int,
    num_swaps: int,
    revealed: int,
    truth: int,
    at_start: bool,
    asked_after: int,
) -> list[Swap]:
    """Random swaps under which the revealed state and the asked one belong to the same ball."""
    while True:
        pairs = [sorted(int(i) for i in draw.choice(num_cups, 2, replace=False)) for _ in range(num_swaps)]
        swaps = [(a, b) for a, b in pairs]
        between = swaps[:asked_after] if at_start else swaps[asked_after:][::-1]
        if _follow(revealed, between)[-1] == truth:
            return swaps


def _follow(slot: int, swaps: Sequence[Swap]) -> list[int]:
    """The ball's slot before the first swap and after each."""
    slots = [slot]
    for a, b in swaps:
        slots.append({a: b, b: a}.get(slots[-1], slots[-1]))
    return slots


def _draw_timing(draw: np.random.Generator, num_frames: int, num_swaps: int, at_start: bool) -> _Timing:
    reveal = _num_reveal_frames(num_frames)
    per_swap = (num_frames - reveal) // num_swaps
    rest = int(draw.integers(num_frames - reveal - num_swaps * per_swap + 1))
    first = rest + (reveal if at_start else 0)
    starts = tuple(first + i * per_swap for i in range(num_swaps))
    return _Timing(num_frames=num_frames, reveal=reveal, per_swap=per_swap, starts=starts, at_start=at_start)


def _tracks(
    draw: np.random.Generator,
    canvas: Canvas,
    timing: _Timing,
    swaps: Sequence[Swap],
    num_cups: int,
    revealed: int,
) -> tuple[Track, ...]:
    """The ball, seen only while its cup is lifted, and over it the cups, all alike."""
    pitch_px = canvas.width / num_cups
    radius_px = min(0.38 * pitch_px, 0.16 * canvas.height)
    slots_xy = np.stack([(np.arange(num_cups) + 0.5) * pitch_px, np.full(num_cups, canvas.height / 2)], axis=1)
    cup_color, ball_color = (list(COLORS)[i] for i in draw.choice(len(COLORS), 2, replace=False))
    first = revealed if timing.at_start else _follow(revealed, swaps[::-1])[-1]
    ball_cup = first  # cups are numbered by the slot they start in
    start, end = timing.reveal_span
    lifted_T = (np.arange(timing.num_frames) >= start) & (np.arange(timing.num_frames) < end)
    everywhere = np.ones(timing.num_frames, np.bool_)
    cups = _cup_paths(slots_xy, swaps, timing, arc_px=1.3 * radius_px)
    cups[ball_cup, lifted_T, 1] -= 1.6 * radius_px
    ball_xy_T2 = np.tile(slots_xy[revealed], (timing.num_frames, 1))
    ball = Track(
        name="ball",
        shape="circle",
        color=COLORS[ball_color],
        radius_px=0.6 * radius_px,
        xy_T2=ball_xy_T2,
        visible_T=lifted_T,
    )
    return (
        ball,
        *(
            Track(
                name="cup", shape="cup", color=COLORS[cup_color], radius_px=radius_px, xy_T2=cup, visible_T=everywhere
            )
            for cup in cups
        ),
    )


def _cup_paths(
    slots_xy: npt.NDArray[np.float64], swaps: Sequence[Swap], timing: _Timing, arc_px: float
) -> npt.NDArray[np.float64]:
    """(num_cups, T, 2) px; two swapped cups go around each other on half an ellipse."""
    num_cups = len(slots_xy)
    paths = np.repeat(slots_xy[:, None], timing.num_frames, axis=1)
    slot_of = list(range(num_cups))
    turns = np.pi * np.arange(1, timing.per_swap + 1) / timing.per_swap
    for (a, b), start in zip(swaps, timing.starts, strict=True):
        left, right = slot_of.index(a), slot_of.index(b)
        middle, half = (slots_xy[a] + slots_xy[b]) / 2, (slots_xy[b] - slots_xy[a]) / 2
        orbit = half * np.cos(turns)[:, None] + np.array([0.0, arc_px]) * np.sin(turns)[:, None]
        moving = slice(start, start + timing.per_swap)
        paths[left, moving], paths[right, moving] = middle - orbit, middle + orbit
        paths[left, moving.stop :], paths[right, moving.stop :] = slots_xy[b], slots_xy[a]
        slot_of[left], slot_of[right] = b, a
    return paths


def _events(canvas: Canvas, timing: _Timing, swaps: Sequence[Swap], revealed: int) -> tuple[Event, ...]:
    start, end = timing.reveal_span
    start_ms, end_ms = frame_ms(start, canvas), frame_ms(end, canvas)
    reveal = Event(kind="reveal", subject="ball", start_ms=start_ms, end_ms=end_ms, detail=str(revealed + 1))
    moves = tuple(
        Event(
            kind="swap",
            subject="cups",
            start_ms=frame_ms(start, canvas),
            end_ms=frame_ms(start + timing.per_swap, canvas),
            detail=f"{a + 1} {b + 1}",
        )
        for (a, b), start in zip(swaps, timing.starts, strict=True)
    )
    return (reveal, *moves) if timing.at_start else (*moves, reveal)


def _swap_events(plan: ScenePlan) -> list[Event]:
    return sorted((e for e in plan.events if e.kind == "swap"), key=lambda e: e.start_ms)


def _revealed_at_start(plan: ScenePlan) -> bool:
    return next(e.start_ms for e in plan.events if e.kind == "reveal") == 0.0


def _ball_states(plan: ScenePlan) -> list[int]:
    """The ball's slot before any swap and after each, from the log."""
    pairs = [[int(n) - 1 for n in event.detail.split()] for event in _swap_events(plan)]
    swaps = [(a, b) for a, b in pairs]
    revealed = int(next(e.detail for e in plan.events if e.kind == "reveal")) - 1
    return _follow(revealed, swaps) if _revealed_at_start(plan) else _follow(revealed, swaps[::-1])[::-1]
