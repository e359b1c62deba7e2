"""A sample without a clip, for prompts and targets."""

from temporay.operators.media import Medium
from temporay.operators.records import Address, Question, Sample

ANSWERED = Sample(
    address=Address(task="t", split="train", index=0, seed=0, level=0),
    question=Question(text="Which way?", options=("up", "down"), answer_index=1),
    rationale="It goes down.",
    order_dependent=True,
    needs_time=True,
    media=(Medium(width=32, height=32, fps=4.0, num_frames=4),),
    events=(),
    sources=(),
    facts={},
)
