"""Evaluation: the questions, and how engines are asked.

settings             what is asked under which arms, and how answers are sampled
questions            what is asked about which clip, and how an answer becomes a row
benchmark_questions  the same of a public benchmark
asking               chunks of clips → frames, decoded once for all arms → engines → rows
kept_rows            rows on disk, chunk by chunk, so that a killed evaluation goes on
during_training      held-out questions of SFT and GRPO: accuracy and gaps every so many steps
lmms_log             answers in the log layout of lmms-eval
"""
