"""What can be guessed from a dataset without watching it, against chance.

    rows of one task, thumbnails of their clips -> attacks, each fitted on other rows than it is scored on
        -> accuracy, z -> bound for all comparisons together -> pass or fail

certificate     all attacks on all tasks: what audit.json holds
ideal           tier D: what perfect eyes guess from parts of the clip, by mode and level, and what certifies that
ideal_states    plan -> exact places, sizes, colors and angles of the things in a clip
ideal_features  columns of samples and of options, from what is said of things and from the scores of readers
thing_features  what a few frames, or all, say of each thing
readings        what a few frames, or all, say of each option, where the answer composes several things
reference_solver  how often a reader of known weakness is right
game_views      exact attacks on parts of a game
inherent        what a primitive declares that a part may tell
fresh_plans     plans of a recipe, sample by sample, without a pixel
gate            when an attack is better than luck
priors          tier A: answer letters, option texts, lengths; lookups and naive Bayes
forest          tier B: forests on everything but pixels
pixels          tier C: forests on one frame, the first or last two, the bag of frames, the ordered frames
thumbnails      the few small frames of a clip that tier C sees
overlap         what of a benchmark is in the training data
learners        forests that score the options of a question, out of fold
"""
