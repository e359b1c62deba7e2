"""The bookkeeping of reinforcement learning: prompts in, every group accounted for once, what a run has learned.

prompt_stream   which prompts come when
curriculum      levels by how much signal they give
task_scales     how far the rewards of each task spread
rollout_buffer  between produce and train, with a staleness bound
rollout_files   a step on disk: groups, scores, outcomes
ledger          every prompt group accounted for once
gradient_noise  how much of an update is noise
reward_trend    whether a reward has moved beyond its noise
"""
