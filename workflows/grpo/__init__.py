"""GRPO.

settings      what a run can be told
checks        what a run asks of data, engines and cluster, before anything starts
sharing       what cannot work on the GPUs of the trainer
loop          the two halves: produce and train
producer      prompts chosen, answered, scored, refilled
reward_needs  what rewards ask of the data
state         what one batch hands on to the next
learner       the driver's end of the training half
worker        one training worker
batches       what driver and training workers send each other
passes        which rollouts go through the model together
update        what training workers make of one batch
mailbox       what passes between driver and workers
validation    held-out questions now and then
guards        what stops a run that would learn the wrong thing
log           what a run says of itself
"""
