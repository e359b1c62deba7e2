"""Completions to scores: what was answered, in which arm, how good it is, and how sure that is.

answers     completion -> option, or why there is none
lenient     completion of a model that was never trained here -> option
spans       overlap of spans of time, and spans in prose
mra         mean relative accuracy of numbers
arms        ordered, shuffled, reversed, single frame, blind; options in another order, or without the right one
numbered    options with numbers for letters, in prompts and in replies
log_arms    captions alone, frames around deciding events, half speed: what the event log of a dataset allows
scores      rewards x rollouts -> scores with a status
metrics     accuracies with intervals, as a table
evaluation  what a model wrote, and accuracies by primitive
clustered   errors and intervals when questions share videos
paired      two result sets on the same questions
repeated    several answers to every question, and how much they agree
power       how many questions show a difference
lmms_eval   results in lmms-eval's log layout, written and read
"""
