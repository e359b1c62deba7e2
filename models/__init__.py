"""Tensors: the policy, its losses and its engines. Never imports Ray.

families/            what differs between model families: one file each
engines/             rollout engines behind one protocol: one file each
tiny                 a small Qwen3-VL with random weights
chat                 sample -> prompt, by the model's own template
token_lengths        how many tokens a sample has, without a pixel
collate              prompts and completions -> batch
losses               SFT and GRPO losses, tested against TRL
scoring_head         log-probabilities without whole logits
policy               one rank's model and optimizer
lora                 which weights are trained: all, or adapters
vision_attention     many small grids in a few calls
positions            time, height and width of every token
parallel             FSDP2 from outside
footprint            operations of a batch, share of the peak
memory_forecast      refuses what cannot fit
host_memory          how much memory a rank may use
checkpoint           sharded checkpoints with a manifest
export               a model in Hugging Face layout
weights              weights on their way to the engines
torchvision_schemas  lets torchvision load beside a CPU torch
"""
