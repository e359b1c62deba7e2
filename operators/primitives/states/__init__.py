"""Games of hidden states (SynRL's long-term primitives, arXiv 2603.17693), and the code that they share.

_game      operations on a hidden state, and the answers that they lead to
_operations what operations do to a state, in both directions
_play      what a game is set up with and drawn from
_faces     games whose state is a face, or none, at each place
_course    courses of operations, and when each operation happens
_slots     on which ways things move, and how they are drawn
_wordings  texts that ask for a state at a time
_recovery  which moves the frames show
"""
