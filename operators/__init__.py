"""The truth: what is shown, asked, answered, scored and audited. Plain functions of values; no Ray, no torch.

records         the records that flow, one per stage
errors          what is the user's to mend, and what is not
seeding         randomness by address
plugins         a component is one file; the directory is the registry
recipe          what a dataset is to be
samples         recipe and index -> sample, frames and clip
attempts        addresses tried before the one that was good
licenses        which of COCO's images may be shown
param_hash      what is shown and asked as one hash, which decides the split
primitives/     what is asked: one file each
sources/        COCO, its instances, drawn stand-ins, a user's own questions
drawing/        plan -> frames: paths, things and backdrops
clip            frames <-> mp4, bit-stable
claims          reasoning that can be read back and checked
prompts         plan -> sample -> messages and rows
watching/       the answer from pixels against the log
at_rest/        datasets on disk: shards, lint, card
audit/          what can be guessed: priors, forests, pixel probes
exports/        other trainers' rows: one file each
arms            ordered, shuffled, single frame, blind
answers         completion -> option, or why not
rewards/        verifiable rewards: one file each
scoring         rewards x rollouts -> scores with a status
prompt_stream   which prompts come when
curriculum      levels by how much signal they give
advantage       group-relative advantages
rollout_buffer  between produce and train, with a staleness bound
ledger          every prompt group accounted for once
metrics         accuracies with intervals, as a table
pages/          offline pages and pictures
"""
