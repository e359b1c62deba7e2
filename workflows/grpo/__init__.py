"""GRPO.

settings       what a run can be told
loop           the two halves: produce and train
producer       prompts drawn, answered, scored, refilled
scored_groups  groups with advantages, and what becomes of them
run_state      where a run stands between two batches
learner        the training half, as the driver sees it
update         what training workers make of one batch
mailbox        what passes between driver and workers
guards         what stops a run that would learn the wrong thing
log            what a run says of itself
stage_clock    seconds by stage
"""
