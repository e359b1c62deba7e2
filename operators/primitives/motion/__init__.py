"""Questions about drawn motion (SynRL's short-term primitives, arXiv 2603.17693, and related ones), and their stage.

_drawn_motion  what all these questions share
_stage         actors, clip length, paths and what is seen of them
_told_paths    paths as events and in words
_courses       when shapes move and when they rest
_lanes         lanes across the frame, and questions about the ways that shapes cover in them
_edges         visits of the frame's edges
_speeds        how speeds follow each other
_curves        curves at constant speed
_layout        places of shapes that stand still
_panels        halves and cells of the frame
_changes       shapes that change in color, size, form or place
_processes     processes that look wrong backwards
"""
