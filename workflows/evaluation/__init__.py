"""Evaluation: the questions, and how engines are asked.

questions    what is asked about which clip, under every arm, and how an answer becomes a row
kept_rows    rows on disk, chunk by chunk, so that a killed evaluation goes on
asking       chunks of clips → frames, decoded once for all arms → engines → rows
"""
