"""Model families: one file each, found by a checkpoint's ``model_type``.

qwen2_vl           Qwen2-VL
qwen2_5_vl         Qwen2.5-VL, with positions in time as the engine has them
qwen3_vl           Qwen3-VL, and the small one of ``temporay.models.tiny``
_qwen_vl           what these three have in common
_positions         time, height and width of every token
_vision_attention  many small grids in a few calls, planned on the host
_shared_prompt     attention of rows that hold a prompt once for all of its completions
_text_attention    what transformers' text layers call for it
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
