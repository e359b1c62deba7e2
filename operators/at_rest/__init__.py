"""Datasets on disk: shards, their markers, what is checked and mended there, and the card.

shards     datasets at rest, and their reader
markers    finished shards, and files that appear whole
replacing  samples made again in finished shards
lint       is a dataset what it says it is
card       the dataset card
rollouts   a step of reinforcement learning: groups, scores, outcomes
"""
