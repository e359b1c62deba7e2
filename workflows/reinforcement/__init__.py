"""What the loop of GRPO is made of, beside the loop itself.

grpo_settings  what a run can be told
grpo_batch     prompts drawn, answered, scored, refilled
scored_groups  groups with advantages, and what becomes of them
run_state      where a run stands between two batches
grpo_lines     what a run says of itself
guards         what stops a run that would learn the wrong thing
stage_clock    seconds by stage
"""
