"""Tensors: the policy, its losses and its engines. Never imports Ray.

families/    what differs between model families, one file each (qwen3_vl, tiny builds a small random one)
engines/     rollout engines behind one protocol, one file each (vllm, local)
"""
