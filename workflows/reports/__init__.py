"""Offline pages of runs and datasets.

report         the page of a run
learned        what it begins with: what training did, one sample
accuracies     its accuracies by model and arm
final_table    the same as text, at the end of the run
time_profile   seconds of a run by stage and part
preview        page and picture of a dataset
curves         what stages logged, as charts
sample_viewer  samples as pages show them
sample_cards   held-out samples with the models' words
rollout_cards  rollouts with claims and token differences
claim_marks    which claims the process reward credits
stage_report   the page of one stage alone
"""
