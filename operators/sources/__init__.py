"""Where pixels come from: what a plan refers to by name or by image.

coco           captions JSON and image folder -> captioned scenes and their pixels
instances      COCO instances JSON -> what can be cut out of those scenes
drawn_scenes   a drawn stand-in, written as a genuine COCO folder
shapes         the palette of nameable shapes, and how one is painted
"""
