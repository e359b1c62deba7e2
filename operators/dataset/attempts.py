"""The addresses tried before the one that gave a sample, and when to stop trying.

An address is *rejected* when no good question can be asked about it. It *fails* when something is broken: an image, or
a label that the frames contradict. Failures are recorded as dead letters. The next address replaces either.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import Address

MAX_ATTEMPTS = 5000  # addresses tried for one sample, those of other splits included
MAX_FAILURES = 50  # failed addresses among them; each costs a clip
ANSWER_NOT_SEEN, DUPLICATE, OTHER_SPLIT = "answer_not_seen", "duplicate", "other_split"
LOST_TO_SAMPLING = "lost_to_sampling"
FAILURES = ("image_", "clip_", ANSWER_NOT_SEEN)  # how the reasons of failures begin; all others are rejections
TWIN = "twin_"  # before the reason when the other address of the pair failed: both are replaced
ADVICE = {
    "image_": "repair the images or take them out of the captions file, then run the same command again",
    "clip_": "choose other settings of codec",
    ANSWER_NOT_SEEN: "make the canvas larger or codec.crf lower, or switch --check-pixels off",
    DUPLICATE: "lower num_samples, or allow more: a larger canvas, longer clips, another level",
    OTHER_SPLIT: "allow more different clips: a larger canvas, longer clips, another level",
    LOST_TO_SAMPLING: "let canvas.sampling show more frames, or allow longer clips",
    "captions_": "give more images, or captions that differ more",
}
OTHER_ADVICE = "change canvas or level, or leave the task out"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAddress:
    """An address that failed, and why."""

    address: Address
    reason: str
    detail: str

    def letter(self) -> dict[str, str]:
        """Return its part of a dead letter, as JSON values."""
        address_json = json.dumps(asdict(self.address))
        return {"id": self.address.key, "reason": self.reason, "detail": self.detail, "address_json": address_json}


@dataclass(slots=True)
class Attempts:
    """The addresses tried for one sample, or with twins for one pair, in their order."""

    task: str
    rejected: Counter[str] = field(default_factory=Counter)  # without those of other splits
    failures: list[tuple[FailedAddress, ...]] = field(default_factory=list)  # one for each address of the pair
    num_other_split: int = 0

    def add(self, addresses: Sequence[Address], error: SampleRejected, culprit: int = 0) -> None:
        """Count one more attempt that gave nothing.

        Args:
            culprit: which address of the pair caused the error.

        Raises:
            UserError: these are too many in a row.
        """
        if error.reason == OTHER_SPLIT:
            self.num_other_split += 1
        elif error.reason.startswith(FAILURES):
            reasons = [("" if n == culprit else TWIN) + error.reason for n in range(len(addresses))]
            pairs = zip(addresses, reasons, strict=True)
            self.failures.append(tuple(FailedAddress(address=a, reason=r, detail=error.detail) for a, r in pairs))
        else:
            self.rejected[error.reason] += 1
        num_tried = self.num_other_split + sum(self.rejected.values()) + len(self.failures)
        if num_tried >= MAX_ATTEMPTS or len(self.failures) >= MAX_FAILURES:
            raise self._too_many(num_tried, error.detail)

    def _too_many(self, num_tried: int, last_detail: str) -> UserError:
        counts = self.rejected + Counter(pair[0].reason.removeprefix(TWIN) for pair in self.failures)
        reason, most = (counts or Counter({OTHER_SPLIT: self.num_other_split})).most_common(1)[0]
        advice = next((words for start, words in ADVICE.items() if reason.startswith(start)), OTHER_ADVICE)
        return UserError(
            f"{num_tried - self.num_other_split} addresses in a row gave no sample of {self.task}, most often for "
            f"{reason} ({most} times; the last: {last_detail}); {advice}"
        )
