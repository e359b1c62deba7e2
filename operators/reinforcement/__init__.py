"""The bookkeeping of reinforcement learning: prompts in, every group accounted for once.

prompt_stream   which prompts come when
curriculum      levels by how much signal they give
task_scales     how far the rewards of each task spread
rollout_buffer  between produce and train, with a staleness bound
rollout_files   a step on disk: groups, scores, outcomes
ledger          every prompt group accounted for once
"""
