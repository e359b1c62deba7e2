"""Text from outside, made harmless: nothing in it is markup or a special token of a chat template."""

import re

from temporay.operators.errors import SampleRejected

# No special token of a chat template (<|im_start|>, <think>, <video>, [INST]) survives without its brackets.
BRACKETS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "|": "/"})
MARKER = re.compile(r"<\|[^<>]*\|>|<[^<>\s]+>|\[/?[A-Z_]+\]")


def without_markers(text: str) -> str:
    """Write the special tokens in a text with round brackets: ``<|im_end|>`` becomes ``(/im_end/)``.

    Other brackets and bars stay, because a question may need them: "Is 3 < 4?".
    """
    return MARKER.sub(lambda found: found[0].translate(BRACKETS), text)


def encodable(text: str) -> str:
    """Return a text that has a form in UTF-8.

    Raises:
        SampleRejected: ``bad_text``: it holds half of a pair of surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SampleRejected("bad_text", f"{text!r:.80} has no form in UTF-8") from error
    return text


def is_visible(text: str) -> bool:
    """Return whether a text shows anything: more than spaces, control characters and signs without width."""
    return any(sign.isprintable() and not sign.isspace() for sign in text)
