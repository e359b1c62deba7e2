"""What a person looks at: offline pages and pictures.

page           pieces of an offline page
charts         curves and bars as inline SVG
stacked        seconds by stage as bars
rollouts       a prompt's rollouts as a card: words with marks, rewards
token_strip    tokens coloured by how far engine and trainer are apart
gallery        samples as cards: clip, overlay, timeline, claims
contact_sheet  samples as one picture
"""
