"""Games of hidden states (SynRL's long-term primitives, arXiv 2603.17693), and the code that they share.

_game      operations on a hidden state, and the answers that they lead to
_operations what operations do to a state, in both directions
_play      its operations, when each of them happens, what it is set up with and drawn from
_faces     games whose state is a face, or none, at each place
_slots     on which ways things move, how they are drawn, and which of them the frames show moving
_wordings  texts that ask for a state at a time
"""
