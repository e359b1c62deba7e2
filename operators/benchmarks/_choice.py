"""Multiple choice: options with letters, accuracy by task, and the readers that published code uses.

The official readers below follow the behavior of the code that they name, faults included.
"""

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, by_task, percent
from temporay.operators.benchmarks._files import Row
from temporay.operators.records import LETTERS
from temporay.operators.scoring.answers import options_in_words
from temporay.operators.scoring.lenient import lenient_choice, plain_choice, plain_span
from temporay.operators.seeding import rng_at

YES_NO = ("Yes", "No")
Forms = Sequence[tuple[str, str]]
MMMU_FORMS: Forms = (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} "))
ANNOUNCEMENTS = (  # in the order in which Video-MME's code takes them out
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Final Answer:",
    "Best answer:",
    "Best option:",
    "Answer:",
    "Option:",
)
_INLINE_OPTION = re.compile(r"(?:^|\s)\(?([A-J])[.):]\s*(.*?)(?=\s\(?[A-J][.):]\s|\n|$)")
_FIRST_WORD = re.compile(r"\W*(?P<word>\w+)[\"*']*(?P<mark>[.,;:!\n]|$)?")
_LETTERED_OPTION = re.compile(r"\s*\(?[A-Z][.):]\s*(?P<words>.*)", re.DOTALL)


class ChoiceBenchmark(Benchmark):
    """Questions with options. The answer is the index of an option, and ``score`` is 1 for the right one."""

    @abstractmethod
    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        """Return the option that the published code takes a text for."""

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> int | None:
        if protocol == "official":
            return self.read_officially(item, text)
        return read_strictly(item, text)

    def read_leniently(self, item: BenchmarkItem, text: str) -> int | None:
        if item.lettered:
            return lenient_choice(text, item.options)
        return leading_option(plain_span(text), item.options)

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return LETTERS[answer] if item.lettered else item.options[answer]

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        return {"score": float(same_option(item, answer, item.gold))}

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        return accuracies(scored)


def accuracies(scored: Sequence[ScoredItem], name: str = "accuracy") -> dict[str, float]:
    """Return accuracy over all questions, the mean of the tasks, and each task's, in percent."""
    tasks = {task: percent(one.values["score"] for one in found) for task, found in by_task(scored).items()}
    return {
        name: percent(one.values["score"] for one in scored),
        f"{name}, mean of tasks": sum(tasks.values()) / max(1, len(tasks)),
        **{f"{name}, {task}": value for task, value in tasks.items()},
    }


def same_option(item: BenchmarkItem, one: int | None, other: int) -> bool:
    """Return whether two options are the same, or say the same: a few questions list an option twice."""
    return one is not None and item.options[one] == item.options[other]


def accuracies_by(scored: Sequence[ScoredItem], name: str, prefix: str = "accuracy") -> dict[str, float]:
    """Return the accuracy of every value of one field of ``BenchmarkItem.extra``, in percent."""
    groups: dict[str, list[float]] = {}
    for one in scored:
        groups.setdefault(str(one.item.extra[name]), []).append(one.values["score"])
    return {f"{prefix}, {value}": percent(scores) for value, scores in groups.items()}


def read_strictly(item: BenchmarkItem, text: str) -> int | None:
    """Return the option that a text names and nothing else, by letter, by words or by both. Nothing is guessed."""
    if item.lettered:
        return plain_choice(text, item.options)
    named = options_in_words(plain_span(text), item.options)
    return named[0] if len(named) == 1 else None


def lettered(options: Sequence[str], form: str = "{letter}. {option}") -> str:
    """Return the options, one a line, each with its letter."""
    return "\n".join(form.format(letter=LETTERS[n], option=option) for n, option in enumerate(options))


def without_letters(options: Sequence[str]) -> tuple[str, ...]:
    """Return options that are published as ``A. left`` without their letters, if all of them have one."""
    matches = [_LETTERED_OPTION.fullmatch(option) for option in options]
    return tuple(match["words"].strip() for match in matches if match) if all(matches) else tuple(options)


def gold_letter(row: Row, name: str, num_options: int) -> int:
    """Return the right option of a row whose answer is a letter.

    Raises:
        UserError: it is no letter of an option.
    """
    index = letter_index(row.text(name).strip(), num_options)
    if index is None:
        raise row.fault(f"its answer is {row.text(name)!r}, which is no letter of one of {num_options} options")
    return index


def options_in_question(question: str, at_least: int = 2) -> tuple[str, ...]:
    """Return the options that a question lists itself as ``A. left B. right``, in order from A.

    Where it lists none in this form, the letters stand for options that are not known by their words.
    """
    found = _INLINE_OPTION.findall(question)
    letters = "".join(letter for letter, _ in found)
    if len(found) >= at_least and letters == LETTERS[: len(found)] and all(words for _, words in found):
        return tuple(words.strip() for _, words in found)
    return tuple(LETTERS[:at_least])


def letter_index(letter: str, num_options: int) -> int | None:
    """Return the option of one letter, in either case; None for anything else."""
    index = LETTERS.find(letter.upper()) if len(letter) == 1 else -1
    return index if 0 <= index < num_options else None


def leading_option(text: str, options: Sequence[str]) -> int | None:
    """Return the option that is the first word of a text, as in "No, there is none."; case does not count.

    A text that names another option too is read only if a mark divides the first word from the rest.
    """
    match = _FIRST_WORD.match(text)
    named = options_in_words(match["word"], options) if match else []
    if match is None or len(named) != 1:
        return None
    others = [option for n, option in enumerate(options) if n not in named and _says(text, option)]
    return named[0] if match["mark"] or not others else None


def _says(text: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def first_token_fits(item: BenchmarkItem, text: str) -> int | None:
    """Return the right option if the first token fits it, else the first option that it fits.

    The check of MVBench and TVBench: the token, without periods, is a part of "(a)", or has "(a)" in it. So "(" and an
    empty reply fit every option, and count as right.
    """
    token = text.lower().split(" ")[0]
    fitting = [
        n
        for n in range(len(item.options))
        if token.replace(".", "") in (at := f"({LETTERS[n].lower()})") or at in token
    ]
    return item.gold if item.gold in fitting else next(iter(fitting), None)


def guessed(item: BenchmarkItem) -> int:
    """Return the option that is guessed for a reply without one, always the same for a question.

    Published code draws at random here, and gives other figures every time.
    """
    return int(rng_at("benchmark_guess", item.id).integers(len(item.options)))


def first_letter(text: str, num_options: int) -> int | None:
    """Return the option whose letter a text begins with, whatever follows; in either case."""
    return letter_index(text[:1], num_options)


def after_announcement(text: str, num_options: int) -> int | None:
    """Return the first capital letter of an option once words such as "The best answer is" are taken out.

    The reader of Video-MME: "Because" is an answer of B, unless the reply has more than ten words and no such letter.
    """
    for announcement in ANNOUNCEMENTS:
        text = text.strip().replace(announcement, "")
    return first_capital(text, num_options)


def first_capital(text: str, num_options: int) -> int | None:
    """Return the first capital letter of an option anywhere in a text, also inside a word."""
    match = re.search(f"[{LETTERS[:num_options]}]", text)
    return None if match is None else LETTERS.index(match[0])


def mmmu_choice(text: str, options: Sequence[str], forms: Forms = MMMU_FORMS) -> int | None:
    """Return the option that MMMU's parser (arXiv 2311.16502, official code) finds, without its random fallback.

    Forms are tried in turn, and then an option's words in a text of more than five words. Among several options of
    one form, the last in the text is taken.

    Args:
        forms: how an option may be named, and where it is then looked for to find the last one.
    """
    for mark in ",.!?;:'":
        text = text.strip(mark)
    padded = f" {text} "
    letters = LETTERS[: len(options)]
    for form, place in forms:
        found = [n for n, letter in enumerate(letters) if form.format(letter) in padded]
        if found:
            return max(found, key=lambda n: (padded.rfind(place.format(letters[n])), -n))
    lowered = padded.lower()
    found = [n for n, option in enumerate(options) if option.lower() in lowered] if len(padded.split()) > 5 else []
    return max(found, key=lambda n: (lowered.rfind(options[n].lower()), -n), default=None)
