"""Real videos of a user's own, as a player shows them: when, which way up, and with square pixels.

sampled_video  path, settings -> which frames a sample shows, and their pixels
header         file -> the time of every shown frame, size, orientation; nothing is decoded but the first frame
lost_parts     what a file lacks of its end, its beginning and its times
mistaken       files that are taken for videos
orientation    display matrix -> which way a frame is turned
reading        settings, header -> which frames are taken, at which size, told at which times
decoding       frames at chosen times, sought and turned upright
colors         a decoded frame as an ordinary screen shows it: high dynamic range, transparency
interlacing    frames that hold two moments as frames of one
frame_folder   a folder of pictures as a video
frame_cache    frames that were decoded before, on disk
faults         what goes wrong inside the library is the file's fault
"""
