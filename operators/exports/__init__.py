"""Rows of other trainers: one file each, the directory is the registry.

verl           Parquet of RLHFDataset, or of its multi-turn SFT dataset
ms_swift       JSON lines of messages, videos and solution
llama_factory  JSON of both turns, and the dataset_info.json that names its columns
"""
