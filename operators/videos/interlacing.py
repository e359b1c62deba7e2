"""Interlaced frames, which hold two moments in alternate lines, as frames of one moment each."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from av.error import EOFError as NoMoreFrames
from av.filter import Graph

# A frame for every frame; those that are not interlaced stay as they are (the Bob Weaver Deinterlacing Filter).
FILTER, SETTINGS = "bwdif", "mode=send_frame:deint=interlaced"


def of_one_moment(frames: Iterable[Any]) -> Iterator[Any]:
    """Yield decoded frames without the second moment of each. Every frame needs the one before and the one after it."""
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    graph, time_base = _graph_for(first), first.time_base
    for frame in chain([first], frames, [None]):
        graph.push(frame)
        while True:
            try:
                woven: Any = graph.pull()
            except (BlockingIOError, NoMoreFrames):  # it waits for the next frame, or there is none
                break
            if woven.pts is not None:  # the filter counts in half ticks
                woven.pts, woven.time_base = round(woven.pts * woven.time_base / time_base), time_base
            yield woven


def _graph_for(frame: Any) -> Graph:
    graph = Graph()
    graph.threads = 1
    size = {"width": frame.width, "height": frame.height}
    source = graph.add_buffer(**size, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add(FILTER, SETTINGS), graph.add("buffersink"))
    graph.configure()
    return graph
