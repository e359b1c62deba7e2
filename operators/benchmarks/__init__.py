"""Public benchmarks, read from their published files: one file each, the directory is the registry.

charades_sta   when does a described event happen: one span, IoU
mvbench        20 tasks of 200 questions with up to five options
next_gqa       why and how, with the span that shows it
tvbench        10 tasks that cannot be solved without order
vcrbench       clips of a procedure to be put in order
vsi_bench      distances, sizes, counts and routes in filmed rooms
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
