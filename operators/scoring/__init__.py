"""Completions to scores: what was answered, in which arm, and how good it is.

answers  completion -> option, or why there is none
arms     ordered, shuffled, single frame, blind
scores   rewards x rollouts -> scores with a status
metrics  accuracies with intervals, as a table
evaluation  what a model wrote, and accuracies by primitive
"""
