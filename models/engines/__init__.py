"""Rollout engines behind one protocol: one file each, the directory is the registry.

vllm       the engine of choice
local      transformers' own generation, where vLLM cannot be installed
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
