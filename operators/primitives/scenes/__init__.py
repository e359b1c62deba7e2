"""Questions about the order of captioned scenes (pseudo-videos, arXiv 2506.06928), and the code that they share.

_question   the base class: an answer is a rule over the order of the scenes
_shots      captioned images, one after the other
_recognize  which picture a frame shows
"""
