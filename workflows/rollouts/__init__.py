"""Rollouts and their rewards: engines in actors, checkers in tasks.

rollout_pool   who gets which prompts and weights
pool_config    what a pool can be told
job            one call of the pool, prompt by prompt
engine_roster  which engines are there; they may come and go
engine_actor   one of them, in a process
media          frames in the object store, once
reward_tasks   rewards in tasks with deadlines
"""
