"""``temporay plan sft|grpo``: whether a run fits a machine and how long it takes, before one is rented.

machine   what ``8xH100-80GB`` says
trainer   memory and operations of the training ranks, by the forecast that runs use
sft       of ``temporay plan sft``
grpo      of ``temporay plan grpo``
"""
