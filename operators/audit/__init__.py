"""What can be guessed from a dataset without watching it, against chance.

    rows of one task, thumbnails of their clips -> attacks, each fitted on other rows than it is scored on
        -> accuracy, z -> bound for all comparisons together -> pass or fail

certificate  all attacks on all tasks: what audit.json holds
gate         when an attack is better than luck
priors       tier A: answer letters, option texts, lengths; lookups and naive Bayes
forest       tier B: forests on everything but pixels
pixels       tier C: forests on one frame, the first or last two, the bag of frames, the ordered frames
thumbnails   the few small frames of a clip that tier C sees
learners     forests that score the options of a question, out of fold
"""
