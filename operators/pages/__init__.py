"""What a person looks at: offline pages and pictures.

page           pieces of an offline page
charts         curves and bars as inline SVG
gallery        samples as cards: clip, overlay, timeline, claims
gallery_style  the gallery's style sheet and script
contact_sheet  samples as one picture
"""
