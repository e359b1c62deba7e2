"""Training workers: what they read, what each step does, what they keep.

learner         what every training worker does, whatever the loss
step_cost       memory and operations of a rank's steps
mixture         several datasets, weighted, in one order
token_counts    tokens of every sample, before training begins
schedule        which samples make up a step and its passes
sft_inputs      what a supervised run trains and validates on
training_data   clips into batches, ahead of the learner
validation      held-out loss under every arm, and the best weights
policy_learner  the training half of GRPO
policy_update   what its workers make of one batch
mailbox         what passes between driver and workers
stopping        SIGTERM leaves a checkpoint
"""
