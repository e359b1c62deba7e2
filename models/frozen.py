"""The weights that are not trained: a checkpoint leaves them out, and knows by their hash which model it belongs to."""

import torch
from temporay.models.checkpoint_folder import sha256_of_json
from temporay.models.parallel import local_part
from temporay.models.policy import Policy


def frozen_names(policy: Policy) -> frozenset[str]:
    """Return the names of parameters that are not trained; a tied one has several."""
    named = policy.model.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in named if not parameter.requires_grad)


@torch.no_grad()
def frozen_fingerprint(policy: Policy) -> str:
    """Hash the weights that are not trained into 16 hex digits, for any sharding; every rank must call it.

    It is a sum of bits by parameter. Two models do not share it by chance, but it is no protection against forgery.
    """
    named = [(name, p) for name, p in policy.model.named_parameters() if not p.requires_grad]
    if not named:
        return ""
    shards = [local_part(p) for _, p in named]
    bits = {2: torch.int16, 4: torch.int32}
    sums = [shard.contiguous().view(bits[shard.element_size()]).sum(dtype=torch.int64) for shard in shards]
    totals = policy.parallel.sum(torch.stack(sums)).tolist()
    return sha256_of_json([(name, list(p.shape), n) for (name, p), n in zip(named, totals, strict=True)])[:16]
