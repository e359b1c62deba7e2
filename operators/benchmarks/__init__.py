"""Public benchmarks, read from their published files: one file each, the directory is the registry.

aotbench           which way does time run
charades_sta       when does a described event happen
cvbench            two to four videos compared and joined
mvbench            20 tasks with up to five options
next_gqa           why and how, with the span that shows it
next_qa            why, how and when, with five options
tempcompass        action, direction, speed, order and change
temporalbench      a caption against one with a changed detail
timeblind          two videos, two questions, opposite answers
timelens           three corrected sets of described events
tomato             rotation, direction, count, shape, velocity
tvbench            10 tasks that one frame does not solve
vcrbench           clips of a procedure to be put in order
video_holmes       clues scattered over suspense films
video_mme          videos from seconds to an hour
video_mme_logical  the state of synthetic scenes
video_mme_v2       four linked questions a video
vinoground         two videos, the same words in another order
vsi_bench          distances, sizes, counts and routes in rooms
vstar              what, when and where, in two orders
vstat              the state of objects in long videos
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
