"""Rollout engines behind one protocol, one file each.

vllm        the engine of choice; local: transformers where vLLM cannot be installed; scripted: says what a file says
"""
