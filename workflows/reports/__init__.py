"""What a person sees of a run, while it goes on and after.

progress       a bar on a terminal, lines elsewhere
metrics_tail   follows a metrics.jsonl
trackers       TensorBoard, W&B, MLflow
curves         what stages logged, as charts
sample_cards   held-out samples with the models' words
rollout_cards  rollouts with claims and token differences
claim_marks    which claims hold against the event log
stage_report   the page of one stage alone
"""
