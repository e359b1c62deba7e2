"""Named runs: Python functions that return a whole configuration.

quickstart      everything on two cores in minutes, with a tiny model
pseudo_video    captioned images as video (arXiv 2506.06928)
synrl           drawn motion with known truth (arXiv 2603.17693)
combined        both
"""
