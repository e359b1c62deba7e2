"""What a person looks at: offline pages and pictures.

page           pieces of an offline page
sample_card    a sample as a card: clip, options, reasoning
timeline       events over the time of a clip
overlay        plans as JSON, drawn over clips
words          texts with claims and answers marked
gallery        cards beside filters and switches
rollouts       a prompt's rollouts on its sample's card
charts         curves and bars as inline SVG
stacked        seconds by stage as bars
shares         seconds by stage and part as a table
token_strip    tokens colored by engine against trainer
contact_sheet  samples as one picture
assets         style sheets and scripts of the pages
"""
