"""Rows of other trainers: one file each, the directory is the registry.

verl           Parquet of RLHFDataset, or of its multi-turn SFT dataset
ms_swift       JSON lines of messages, videos and solution
llama_factory  JSON of both turns, and the dataset_info.json that names its columns
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
