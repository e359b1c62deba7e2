"""Questions about things that light up one after another (as the keyboards and grids of Video-MME-Logical do).

_flashes  the board, when each of its keys is lit, and the sequence that the log and the frames show
"""
