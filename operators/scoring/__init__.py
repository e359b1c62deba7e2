"""Completion to score: what was answered, under which arm, and how good that is.

answers  completion -> option, or why not
arms     ordered, shuffled, single frame, blind
scores   rewards x rollouts -> scores with a status
metrics  accuracies with intervals, as a table
"""
