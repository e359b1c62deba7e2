"""Plan to pixels and back: painting, encoding, and reading colors and outlines off frames.

shapes       palette of shapes that have a name, and how one is painted
lettering    text written and read back
cutouts      objects of photographs, moved
backdrops    what lies behind the shapes
looks        surfaces of shapes, and dark or light worlds
render       plan -> frames
clip         frames <-> mp4, bit-stable
colors_seen  where a color is, and what somebody who only watches is given
silhouettes  which outline is seen, and how far it is turned
likeness     hashes that differ in few bits where pictures look alike
"""
