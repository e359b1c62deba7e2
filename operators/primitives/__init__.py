"""Temporal primitives: one file per kind of question. The directory is the registry.

A family is a folder with the code that its primitives share; files whose names begin with an underscore are no tasks.

scenes  questions about the order of captioned scenes (pseudo-videos, arXiv 2506.06928)
motion  questions about drawn motion (SynRL's short-term primitives, arXiv 2603.17693, and others)
states  games of hidden states (SynRL's long-term primitives)
sequences  questions about what lights up one after another (Video-MME-Logical)
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
