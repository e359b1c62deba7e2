"""A run while it goes on: its folder, its lines, its curves.

run_dir       a run's folder: resume, metrics, summary
owner         one command writes a run's folder at a time
progress      a bar on a terminal, lines elsewhere
metrics_tail  follows a metrics.jsonl
trackers      TensorBoard, W&B, MLflow
"""
