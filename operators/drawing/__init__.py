"""Plan to pixels: where things are, how they move, and what they look like.

motion        stage, clip length and paths of drawn motion
runs          straight runs of shapes, and how they are seen
curves        curves gone at constant speed
layout        where shapes that stand are
panels        halves and cells of the frame
irreversible  processes that look wrong backwards
operations    games of hidden states
slots         when and on which ways things trade places
shots         captioned images one after the other
cutouts       objects of photographs, moved
backdrops     what lies behind the shapes
render        plan -> frames
"""
