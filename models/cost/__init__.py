"""What training costs, counted or forecast before it starts.

footprint         floating-point operations of a batch, share of the device's peak
memory_forecast   bytes that a step needs, and refusal of what cannot fit
kv_cache          bytes of an engine's keys and values
host_memory       bytes that one rank may use
live_bytes        bytes of tensors that are alive while operations run
weightless        a policy of which only the sizes are there
"""
