"""What training workers do in SFT and GRPO alike.

settings       what both can be told
learner        what every training worker does, whatever the loss
best           the best weights so far, by a metric of validation
held_out       whether samples to validate on are not trained on
scaling        what workers get of a cluster, and the wait for room
passes         how the work of a step is cut into passes of all ranks
ahead          batches made in a thread before they are asked for
step_cost      memory and operations of a rank's steps
stopping       SIGTERM leaves a checkpoint
worker         what runs around the loop of a worker, and which errors end a run at once
shared_folder  whether OUT is one folder for driver and workers
"""
