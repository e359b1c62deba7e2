"""Spans of time: overlap by hand, and what is read from prose."""

import pytest
from temporay.operators.scoring.mra import mean_relative_accuracy, published_mra
from temporay.operators.scoring.spans import inside_share, only_span, spans_in, temporal_iou


def test_overlap() -> None:
    assert temporal_iou((0, 2), (1, 4)) == 1 / 4
    assert temporal_iou((0, 1), (2, 3)) == temporal_iou((2, 0), (0, 2)) == temporal_iou((1, 1), (0, 2)) == 0
    assert temporal_iou((1, 3), (1, 3)) == 1
    assert inside_share((1, 3), (2, 9)) == 1 / 2
    assert inside_share((3, 3), (2, 9)) == inside_share((4, 3), (2, 9)) == 0


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("24.3 - 30.4", (24.3, 30.4)),
        ("The event happens in the 24.3 - 30.4 seconds.", (24.3, 30.4)),
        ("from 1.2 s to 3 s", (1.2, 3.0)),
        ("between 3 and 5 seconds", (3.0, 5.0)),
        ("[20.3, 30.8]", (20.3, 30.8)),
        ("00:18 to 00:23", (18.0, 23.0)),
        ("1:02:03.5 – 1:02:04", (3723.5, 3724.0)),
        ("It starts at 2.5 seconds and ends at 7 seconds.", (2.5, 7.0)),
        ("Start: 2.5s, end: 7s", (2.5, 7.0)),
        ("3 - 5, that is 3 - 5 seconds", (3.0, 5.0)),
        ("5 - 3", None),
        ("3 - 3", None),
        ("3 - 5 or 6 - 9", None),
        ("after 5 seconds", None),
        ("", None),
    ],
)
def test_only_span(text: str, span: tuple[float, float] | None) -> None:
    assert only_span(text) == span


def test_spans_keep_their_order() -> None:
    assert spans_in("5 - 3 or 6 - 9") == [(5.0, 3.0), (6.0, 9.0)]


@pytest.mark.parametrize(
    ("said", "true", "paper", "code"),
    [(4, 4, 1.0, 1.0), (5, 4, 0.5, 0.6), (31.2, 39.0, 0.6, 0.6), (2, 4, 0.0, 0.1), (0, 0, 1.0, 1.0), (1, 0, 0.0, 0.0)],
)
def test_mean_relative_accuracy(said: float, true: float, paper: float, code: float) -> None:
    """Errors of 25 % and 50 % are thresholds, and one of 20 % is above 1 - 0.8 in floating point."""
    assert mean_relative_accuracy(said, true) == pytest.approx(paper)
    assert published_mra(said, true) == pytest.approx(code)
