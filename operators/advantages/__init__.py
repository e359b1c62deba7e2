"""Group-relative advantages: one file each, the directory is the registry. ``scale_rewards`` names one.

group  divided by the deviation of the group's rewards (GRPO)
none   not divided (Dr. GRPO)
task   divided by a deviation of the whole task, followed through training (EMA-GRPO)
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
