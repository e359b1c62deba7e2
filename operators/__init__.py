"""The truth: what is shown, asked, answered, scored and audited. Plain functions of values; no Ray, no torch.

records         the records that flow, one per stage
errors          what the user can fix, and what is a bug
seeding         randomness by address
canvas          the frame that clips are drawn on
media           what a sample shows: videos and pictures, and where they stand in its text
sampling        which frames of a clip a model is shown
components      a component is one file; the directory is the registry
settings        the base of all settings
markup          text from outside, without markup
files           files that appear whole or not at all
primitives/     what is asked: a folder per family, a file per question
pixels/         plan -> frames -> clip, and back
videos/         a user's own videos, as a player shows them
own_data/       a user's lines: their forms, files, options and answers
dataset/        recipe, samples, shards, checks
audit/          what can be guessed: priors, forests, pixel probes
benchmarks/     public benchmarks: one file each
exports/        other trainers' rows: one file each
pages/          offline pages and pictures
scoring/        answers, arms, scores, metrics
rewards/        verifiable rewards: one file each
advantages/     group-relative advantages: one file each
reinforcement/  prompts, curriculum, buffer, ledger, rollout files
"""
