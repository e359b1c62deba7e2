"""What pages show of a dataset's samples: clip, plan and checked claims, each with a reason where it is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from temporay.operators.dataset.opening import Samples
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.samples import Source, plan_sample
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pages.overlay import overlay_of
from temporay.operators.pages.sample_card import ShownSample
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.render import one_after_another
from temporay.operators.primitives._base import primitive_of
from temporay.operators.primitives._claims import holds
from temporay.operators.records import Sample
from temporay.operators.rewards.process import claims_by_sentence
from temporay.workflows.reports.claim_marks import marks_in


@dataclass(frozen=True)
class SampleViewer:
    """Prepares samples of a dataset for a page."""

    dataset: Samples
    source: Source | None  # None: no plan can be made, for the reason in ``fault``
    fault: str = ""

    @classmethod
    def open(cls, dataset: Samples) -> SampleViewer:
        """Open the images of the dataset, or keep the reason why there are none."""
        if not isinstance(dataset, Dataset):
            return cls(dataset, None, "own data have no plan of what happens")
        try:
            return cls(dataset, dataset.source)
        except UserError as error:
            return cls(dataset, None, str(error))

    def shown(self, i: int) -> ShownSample:
        """Return one sample; a fault of its clip or its plan stands in the place of it."""
        sample = self.dataset.sample(i)
        overlay, overlay_fault = self._overlay(sample)
        primitive = primitive_of(sample.address.task)
        claims = (
            [] if primitive is None else claims_by_sentence(primitive, sample.rationale, primitive.names(sample.events))
        )
        shown = ShownSample(
            sample=sample,
            mp4=None,
            overlay=overlay,
            overlay_fault=overlay_fault,
            marks=marks_in(sample.rationale, sample),
            claims=[holds(claim, sample.events) for claim in claims],
        )
        try:
            return replace(shown, mp4=self._mp4(i, sample))
        except (SampleRejected, UserError) as error:
            return replace(shown, fault=str(error))

    def _mp4(self, i: int, sample: Sample) -> bytes:
        if not isinstance(self.dataset, Dataset):
            return encode(one_after_another(self.dataset.frames_shown(i)), sample.clip.fps, Codec(pad_bytes=1)).data
        data = self.dataset.clip_bytes(i)
        if data:
            decode(data)  # raises when a browser would show nothing
            return data
        codec = replace(self.dataset.recipe.codec, pad_bytes=1)
        return encode(self.dataset.frames(i), sample.clip.fps, codec).data

    def _overlay(self, sample: Sample) -> tuple[dict[str, Any] | None, str]:
        if self.source is None or not isinstance(self.dataset, Dataset):
            return None, self.fault
        try:
            plan, planned = plan_sample(self.dataset.recipe, self.source, sample.address)
        except SampleRejected as error:
            return None, str(error)
        if planned.events != sample.events:
            return None, "this version of the generator draws this address differently"
        return overlay_of(plan), ""
