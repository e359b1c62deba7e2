"""What a part of a clip says of each option, where the answer composes several things.

    states in the shown frames -> reader of the kind -> scores of each option -> columns for the learner

A reader is the same code for two frames and for the whole clip. It sees only the frames shown, and their times only
where the part fixes them. So a forest on its scores solves the task where all is shown, and knows no more than the part
holds where it is not. The right option is never given to a reader.

reading    what a part shows, the scores of options, and how the hidden rest may be filled in
readers    which reader reads which kind
flashes    keys that light up in turn
scenes     scenes in turn
changes    what changes, and from when to when
courses    which figure a path is, and how fast one motion is played twice
motions    what goes farthest, forwards, or ahead
paces      where a speed rises and falls
places     where shapes are at a flash, and which pieces of a path meet
visits     how often a shape comes to an edge
patterns   colored cells that are seen one by one
"""
