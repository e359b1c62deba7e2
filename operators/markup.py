"""Text from outside, made harmless: nothing in it is markup or a special token of a chat template."""

import re

# No special token of a chat template (<|im_start|>, <think>, <video>, [INST]) survives without its brackets.
BRACKETS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "|": "/"})
MARKER = re.compile(r"<\|[^<>]*\|>|<[^<>\s]+>|\[/?[A-Z_]+\]")


def without_markers(text: str) -> str:
    """Write the special tokens in a text with round brackets: ``<|im_end|>`` becomes ``(/im_end/)``.

    Other brackets and bars stay, because a question may need them: "Is 3 < 4?".
    """
    return MARKER.sub(lambda found: found[0].translate(BRACKETS), text)
