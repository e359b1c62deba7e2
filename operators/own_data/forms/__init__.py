"""Forms of a line: one file each, the directory is the registry.

fields           question, options, answer and video by these names
llava            ``conversations`` with turns of human and gpt
openai_messages  ``messages`` whose content is a text or a list of parts
ms_swift         ``messages`` beside ``videos``; the answer in the last turn or in ``solution``
video_r1         ``problem``, ``problem_type``, ``options``, ``process``, ``solution`` and ``path``
verl             ``prompt``, ``videos`` and ``reward_model.ground_truth``
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
