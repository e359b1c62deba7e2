"""Rollouts and their rewards: engines in actors, checkers in tasks.

settings           what a pool and its rewards can be told
defaults           what engines get where nothing was set, by machine, model and data
adapters           how engines take adapters, applied or merged
gpu_shares         what engines get of the GPUs, apart from the trainer or beside it
pool               who gets which prompts and weights
pool_call          one call of the pool, prompt by prompt
starting           waits until as many engines as must be up are up
roster             which engines are there; they may come and go
actor              one of them, in a process
published_weights  a version of weights in the object store, bucket by bucket
media              frames in the object store, once
reward_tasks       rewards in tasks with deadlines
"""
