"""A user's own questions: lines of files -> what they ask. Videos are read elsewhere.

lines     JSON lines, a JSON list or Parquet -> lines, or why one cannot be read
forms/    one file each: how a line of this form is recognized and read
asked     what a line asks, put together and checked
media     files of videos and images, and their places in what is said
sources   names of the Hub and addresses of shards
options   options with their labels -> texts in order
answers   what a line says is right -> an option, or the value of an open answer
"""
