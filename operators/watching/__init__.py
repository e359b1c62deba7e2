"""Pixels to answer: what somebody who sees the frames alone can say, held against the log.

witness      what somebody who only watches can say
recognise    which picture a frame shows
silhouettes  which outline is seen, and how far it is turned
checks       the answer from pixels against the log
"""
