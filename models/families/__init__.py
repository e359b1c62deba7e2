"""Model families: one file each, found by a checkpoint's ``model_type``.

qwen3_vl   Qwen3-VL of every size, and the small one of ``models.tiny``
"""
