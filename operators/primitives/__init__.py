"""Temporal primitives: one file each, the directory is the registry.

Order of captioned scenes (arXiv 2506.06928; its name for it in brackets):

scene_order       in which order do the scenes come? (R1)
before_after      does one scene come before or after another? (R2)
first_last        which of the listed scenes comes first, or last? (R3)
adjacent_scene    which scene is immediately before or after another? (R4)
scene_count       how many different scenes are there? (A1)
scene_at          what does the i-th scene show? (A2)

Drawn motion (SynRL, arXiv 2603.17693):

motion_direction  which way does a shape move?
speed_perception  which shape is the fastest?
acceleration      does a shape speed up, slow down or keep its speed?
bounce_count      how often does a ball bounce off the frame's edges?
event_order       in what order do the shapes appear?
shell_game        under which cup is the ball, was it, or was it in between?
"""
