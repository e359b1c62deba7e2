"""The cards of a dataset beside their filters and switches.

cards of samples, dead letter row -> card -> gallery
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from temporay.operators.pages.page import escape, filters
from temporay.operators.pages.sample_card import STATUSES, Card, article

SWITCHES = ("tracks", "events", "frames", "answers")
KEYS = (
    ("J K", "next, previous"),
    ("Space", "play or pause"),
    ("← →", "one frame"),
    ("T E F A", "the switches"),
)


def dead_letter(row: Mapping[str, str]) -> Card:
    """Return the card of a sample that could not be made."""
    address = json.loads(row["address_json"])
    kicker = f"<span>level {escape(address['level'])}</span>"
    body = f'<p><b class="bad">{escape(row["reason"])}</b> {escape(row["detail"])}</p>'
    return article(address["task"], address["level"], "dead", kicker, row["id"], body)


def gallery(cards: Sequence[Card]) -> str:
    """Return the cards beside filters that say how many cards each of them leaves."""
    tasks = Counter(card.task for card in cards)
    levels = Counter(card.level for card in cards)
    statuses = Counter(card.status for card in cards)
    keys = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(phrase)}</dd>" for key, phrase in KEYS)
    switches = "".join(f'<button data-switch="{name}">{name.capitalize()}</button>' for name in SWITCHES)
    aside = (
        f'<aside class="aside" aria-label="what is shown"><div class="switches">{switches}</div>'
        + filters("status", "Status", [(key, name, statuses[key]) for key, name in STATUSES.items() if statuses[key]])
        + filters("level", "Level", [(str(level), str(level), num) for level, num in sorted(levels.items())])
        + task_filter(tasks)
        + f'<dl class="keys">{keys}</dl></aside>'
    )
    articles = "".join(card.html for card in cards)
    return (
        f'<div class="gallery">{aside}<div class="items"><p class="count" aria-live="polite"></p>{articles}</div></div>'
    )


def task_filter(num_by_task: Mapping[str, int]) -> str:
    """Return the buttons that show the cards of one primitive."""
    return filters("task", "Primitive", [(task, task, num) for task, num in sorted(num_by_task.items())])
