"""Commands about datasets.

generate    datasets on Ray Data
throughput  what a sample costs on this machine
plan        what a dataset would cost
audit       what can be guessed from a dataset
overlap     what of a benchmark is in the training data
lint        every byte of a dataset checked
retry       failed samples made again
own_data    a user's files, shards and datasets of other programs at hand
export      rows as other trainers read them
"""
