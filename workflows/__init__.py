"""The only package that imports Ray: one file per verb, each with a config, ``run(config)`` and ``main(arguments)``.

__main__        the command ``temporay``
command_line    presets and dotted flags
config          frozen settings
environment     what libraries read while they are imported
session         joins a cluster or starts one
run_dir         a run's folder: resume, metrics, summary
presets/        named configurations: datasets, training, quickstart
pipeline        run: everything in one folder
generate        datasets on Ray Data
throughput      what a sample costs on this machine
plan            what a dataset would cost
audit           audit of a dataset
lint            every byte of a dataset checked
retry           its failed samples made again
preview         page and picture of a dataset
export          its rows as other trainers read them
base_model      the quickstart's reading stage
sft             fine-tuning on Ray tasks and Ray Train
training/       what training workers read, do and keep
grpo            the two halves of GRPO
reinforcement/  its batches, lines and guards
rollouts/       its engines in actors, its rewards in tasks
evaluate        accuracy by primitive and arm
report          the page of a run
reports/        pieces of that page, progress, trackers
tune            search on Ray Tune
"""

from workflows import environment as environment  # first of all: libraries read it while they are imported
