"""What training workers do in SFT and GRPO alike.

settings   what both can be told
learner    what every training worker does, whatever the loss
step_cost  memory and operations of a rank's steps
stopping   SIGTERM leaves a checkpoint
"""
