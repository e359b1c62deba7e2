"""Games of hidden states (SynRL's long-term primitives, arXiv 2603.17693), and what they share.

_game   operations on a hidden state, and what they lead to
_slots  when and on which ways things trade places
"""
