"""Named settings: every public function of these files is a preset, and its name with hyphens is the preset's name.

Nothing else names a preset. A new one is a function added to the file of its command; it returns settings, and what
they leave open, such as paths, is given on the command line.

generate  of ``temporay generate`` and ``plan``: quickstart, both papers, both together
sft       of ``temporay sft``
grpo      of ``temporay grpo``
tune      of ``temporay tune``
run       of ``temporay run``
"""
