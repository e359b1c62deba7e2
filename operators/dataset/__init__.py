"""Datasets: what one is to be, how its samples are made, and how they are stored, read and checked.

recipe          settings from which the address of every sample follows
samples         recipe and index -> sample, frames and clip
attempts        addresses tried before the one that was good
content_hash    what is shown and asked as one hash, which decides the split
licenses        which of COCO's images may be shown
label_check     the answer from pixels against the log
rows            plan -> sample -> messages and rows
shards          datasets written: tar shards, recipe.json, metadata.parquet
reader          datasets read: samples and frames in any order
markers         finished shards, and files that appear whole
replacing       samples made again in finished shards
lint            is a dataset what it says it is
card            the dataset card
ideal_table     the table of an ideal audit
coco            captions JSON and image folder -> captioned scenes
copies          images of one picture under several ids
coco_instances  COCO instances JSON -> what can be cut out
drawn_coco      a drawn stand-in, written as a genuine COCO folder
video_qa        a user's own questions about their own videos
own_media       the videos and pictures of a user's own sample
opening         a dataset or own data -> samples, by one protocol
"""
