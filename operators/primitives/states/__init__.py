"""Games of hidden states (SynRL's long-term primitives, arXiv 2603.17693), and the code that they share.

_game      operations on a hidden state, and the answers that they lead to
_slots     when things move, on which ways, and how they are drawn
_recovery  which faces and moves the frames show
"""
