"""Verifiable rewards: one file each, the directory is the registry.

accuracy        1 for the right option, else 0
answer_format   1 for a thought and a readable answer in their tags and nothing else, else 0
"""
