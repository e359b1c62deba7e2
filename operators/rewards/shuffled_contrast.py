"""T-GRPO's reward for using the order of the frames, with a strict margin (Video-R1, arXiv 2503.21776, section 3.2).

    1 for right completions of the ordered clip when p > p~ + margin, else 0

p and p~ are the accuracies of the group on the frames in order and on the same frames shuffled. Three differences:

- The paper's condition is p >= p~ and its code's is p >= 0.8 p~ (and counts an accuracy above 0.1 as right). Both pay
  ties: questions that can be answered as well without the order. Here a tie is worth nothing.
- Theirs applies to every video. This one applies only to samples whose answer depends on the order.
- Their 0.3 is the weight that the configuration gives this reward.

Rollouts on shuffled frames serve for comparison only and get no gradient.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field
from temporay.operators.records import Group, Sample
from temporay.operators.rewards._base import Comparisons, GroupReward, Need, is_right


class ShuffledContrast(GroupReward):
    """1 or 0; None where the answer does not depend on the order of the frames."""

    needs: ClassVar[Need | None] = "shuffled"

    margin: float = Field(default=0.0, ge=0, lt=1)  # by how much the accuracy must be larger

    def score_group(self, group: Group, sample: Sample, compared: Comparisons) -> Sequence[float | None]:
        if not sample.order_dependent:
            return [None] * len(group.rollouts)
        if compared.shuffled is None:
            raise ValueError(f"{sample.key} was scored without rollouts on shuffled frames")
        ordered_G = [is_right(rollout, sample) for rollout in group.rollouts]
        return shuffled_contrast(ordered_G, [is_right(r, sample) for r in compared.shuffled.rollouts], self.margin)


def shuffled_contrast(ordered_G: Sequence[bool], shuffled_G: Sequence[bool], margin: float) -> list[float]:
    """Return the values of the ordered completions, given which completions were right. Groups may differ in size.

    Raises:
        ValueError: a group is empty, so it has no accuracy.
    """
    if not ordered_G or not shuffled_G:
        raise ValueError("an empty group has no accuracy to compare")
    needs_order = sum(ordered_G) / len(ordered_G) > sum(shuffled_G) / len(shuffled_G) + margin
    return [float(right and needs_order) for right in ordered_G]
