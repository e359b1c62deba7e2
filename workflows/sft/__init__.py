"""Supervised fine-tuning.

settings      what a run can be told
loop          the run itself
inputs        what a run trains and validates on
mixture       several datasets, weighted, in one order
begun_lines   the JSON lines that a run began with
stored_parts  the same, once for all tasks
token_counts  tokens of every sample, before training begins
schedule      which samples make up a step and its passes
learner       the training half: what workers do step by step
clips         clips of every step, made by tasks
collation     clips into batches, ahead of the learner
unread        what cannot be read while a run goes on
validation    held-out loss under every arm, and the best weights
answers       the same by what the model itself answers
log           what a run says of itself
"""
