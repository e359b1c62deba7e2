"""Questions about drawn motion (SynRL's short-term primitives, arXiv 2603.17693, and related ones), and their stage.

_drawn_motion  what all these questions share
_stage         actors, clip length, paths and events
_races         straight runs of shapes, and how they are seen
_curves        curves at constant speed
_layout        places of shapes that stand still
_panels        halves and cells of the frame
_processes     processes that look wrong backwards
"""
