"""Completions to scores: what was answered, in which arm, and how good it is.

lenient  completion of a model that was never trained here -> option
spans    overlap of spans of time, and spans in prose
mra      mean relative accuracy of numbers
answers  completion -> option, or why there is none
arms     ordered, shuffled, single frame, blind
scores   rewards x rollouts -> scores with a status
metrics  accuracies with intervals, as a table
evaluation  what a model wrote, and accuracies by primitive
"""
