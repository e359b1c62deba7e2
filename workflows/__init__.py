"""The only package that imports Ray: commands, each with a config and ``run(config)``.

__main__      the command ``temporay``
command_line  presets and dotted flags
config        frozen settings
environment   what libraries read while they are imported
session       joins a cluster or starts one
interruption  how a command ends on SIGTERM
presets/      named configurations: datasets, training, quickstart
runs/         a run's folder, progress and trackers
data/         datasets: generate, plan, audit, lint, retry, export
planning/     what a training run needs and takes, before a GPU is rented
placement     what a run needs by role against what a cluster has
room          waits for that, says what it waits for, or refuses
base_model    the quickstart's reading stage
learner/      what training workers do in SFT and GRPO alike
sft/          supervised fine-tuning
grpo/         the two halves of GRPO
rollouts/     engines in actors, rewards in tasks
evaluate      accuracy by primitive and arm
compare       two evaluations of the same questions
evaluation/   the parts of evaluate
doctor        what this machine and a checkpoint can do
reports/      the pages of a run and of a dataset
export_model  any checkpoint in Hugging Face layout
tune          search on Ray Tune
pipeline      run: everything in one folder
"""

from temporay.workflows import environment as environment  # first of all: libraries read it while they are imported
