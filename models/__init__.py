"""Tensors: the policy, its losses and its engines. Never imports Ray.

families/            what differs between model families: one file each
engines/             rollout engines behind one protocol: one file each
losses/              losses of the GRPO family: one file each
cost/                operations, memory and its forecast
tiny                 a small Qwen3-VL with random weights
chat                 sample -> prompt, by the model's own template
token_lengths        how many tokens a sample has, without a pixel
collate              prompts and completions -> batch
scoring_head         log-probabilities without whole logits
policy               one rank's model and optimizer
lora                 which weights are trained: all, or adapters
adapters             adapters on their way to the engines
parallel             FSDP2 from outside
checkpoint           sharded checkpoints, written beside the steps
checkpoint_folder    which of their folders are whole
frozen               weights that are not trained: their names and their hash
export               a model in Hugging Face layout
weight_files         a checkpoint folder, read a part at a time
parity               an engine's log-probabilities against the trainer's
weights              weights on their way to the engines
torchvision_schemas  lets torchvision load beside a CPU torch
"""
