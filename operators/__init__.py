"""The truth: what is shown, asked, answered, scored and audited. Plain functions of values; no Ray, no torch.

records         the records that flow, one per stage
errors          what is the user's to mend, and what is not
seeding         randomness by address
plugins         a component is one file; the directory is the registry
recipe          recipe and index -> sample, frames and clip
attempts        addresses tried before the one that was good
licenses        which of COCO's images may be shown
param_hash      what is shown and asked as one hash, which decides the split
primitives/     what is asked: one file each
sources/        COCO, its instances, drawn stand-ins, a user's own questions
motion          stage, clip length and paths of drawn motion
runs            straight runs of shapes, and how they are seen
curves          curves gone at constant speed
layout          where shapes that stand are
panels          halves and cells of the frame
irreversible    processes that look wrong backwards
operations      games of hidden states
slots           when and on which ways things trade places
shots           captioned images one after the other
cutouts         objects of photographs, moved
backdrops       what lies behind the shapes
render          plan -> frames
clip            frames <-> mp4, bit-stable
claims          reasoning that can be read back and checked
prompts         plan -> sample -> messages and rows
witness         what somebody who only watches can say
recognise       which picture a frame shows
silhouettes     which outline is seen, and how far it is turned
checks          the answer from pixels against the log
shards          datasets at rest, and their reader
markers         finished shards, and files that appear whole
replacing       samples made again in finished shards
lint            is a dataset what it says it is
audit/          what can be guessed: priors, forests, pixel probes
card            the dataset card
exports/        other trainers' rows: one file each
arms            ordered, shuffled, single frame, blind
answers         completion -> option, or why not
rewards/        verifiable rewards: one file each
scoring         rewards x rollouts -> scores with a status
advantage       group-relative advantages
rollout_buffer  between produce and train, with a staleness bound
metrics         accuracies with intervals, as a table
page            pieces of an offline page
charts          curves and bars as inline SVG
gallery         samples as cards: clip, overlay, timeline, claims
gallery_style   the gallery's style sheet and script
contact_sheet   samples as one picture
"""
