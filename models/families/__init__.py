"""Model families, one file each, found by a checkpoint's ``model_type``; ``qwen3_vl`` is Qwen3-VL."""
