"""The truth: what is shown, asked, answered, scored and audited. Plain functions of values; no Ray, no torch.

records         the records that flow, one per stage
errors          what is the user's to mend, and what is not
seeding         randomness by address
plugins         a component is one file; the directory is the registry
recipe          recipe and index -> sample and frames
primitives/     what is asked: one file each
sources/        COCO, and drawn stand-ins for it
motion          stage, clip length and paths of drawn motion
shots           captioned images one after the other
render          plan -> frames
clip            frames <-> mp4, bit-stable
prompts         plan -> sample -> messages and rows
shards          datasets at rest, and their reader
audit           what can be guessed blind
card            the dataset card
arms            ordered, shuffled, single frame, blind
answers         completion -> option, or why not
rewards/        verifiable rewards: one file each
scoring         rewards x rollouts -> scores with a status
advantage       group-relative advantages
rollout_buffer  between produce and train, with a staleness bound
metrics         accuracies with intervals, as a table
page            pieces of an offline page
charts          curves and bars as inline SVG
contact_sheet   samples as one picture
"""
