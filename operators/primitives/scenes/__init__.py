"""Questions about the order of captioned scenes (pseudo-videos, arXiv 2506.06928), and the stage that they share.

_question   an answer is a rule over the order of the scenes
_shots      captioned images, one after the other
_recognise  which picture a frame shows
"""
