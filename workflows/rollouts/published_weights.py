"""Weights of one version in the object store, bucket by bucket: put there by the trainer, pulled by every engine.

    whole tensors, one by one → buckets → object store → PublishedWeights → whole tensors, as an engine loads them

Where adapters are trained, the tensors are their factors, and engines have the rest.
Beside what a side holds anyway, it holds two buckets: one on its way and one that is gathered or loaded meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import ray
import torch
from temporay.models.adapters import AdapterForm
from temporay.models.weights import WeightBucket, checksum_of_version, in_buckets, joined, pack_cut, unpack
from temporay.workflows.rollouts.settings import BUCKET_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Weights in the object store, which engines pull when they need them, and what they must add up to."""

    version: int
    checksum: int | None  # None: the checkpoint's own, which every engine loads by itself
    adapters: AdapterForm | None = None  # the buckets hold factors of adapters; None: whole weights
    num_bytes: int = 0
    bucket_refs: tuple[Any, ...] = ()  # ObjectRefs, inside a tuple so that Ray fetches them only where they are needed


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormat:
    """The form in which engines take weights."""

    dtype: torch.dtype  # what they compute in
    bucket_bytes: int
    of_adapters: str  # what becomes of adapters there, in words


OF_CHECKPOINT = PublishedWeights(version=0, checksum=None)


def publish(
    weights: Iterable[tuple[str, torch.Tensor]],
    version: int,
    *,
    adapters: AdapterForm | None = None,
    bucket_bytes: int = BUCKET_MIB << 20,
    store: Callable[[WeightBucket], Any] = ray.put,
) -> PublishedWeights:
    """Put whole tensors into the object store; a thread packs and stores a bucket while the next one is gathered.

    Args:
        adapters: what the tensors are factors of; None: they are the model's weights.
        store: returns the reference of a bucket, which lives as long as its owner. ``ray.put``: this process.
    """
    sent: list[Future[list[tuple[int, Any]]]] = []
    num_bytes = 0
    with ThreadPoolExecutor(max_workers=1) as sender:
        for tensors in in_buckets(weights, bucket_bytes):
            if sent:
                sent[-1].result()  # no more than one bucket waits, and a fault ends this at once
            sent.append(sender.submit(_send, tensors, bucket_bytes, store))
            num_bytes += sum(tensor.nbytes for tensor in tensors.values())
        stored = [one for bucket in sent for one in bucket.result()]
    return PublishedWeights(
        version=version,
        checksum=checksum_of_version(checksum for checksum, _ in stored),
        adapters=adapters,
        num_bytes=num_bytes,
        bucket_refs=tuple(reference for _, reference in stored),
    )


def _send(
    tensors: Mapping[str, torch.Tensor], bucket_bytes: int, store: Callable[[WeightBucket], Any]
) -> list[tuple[int, Any]]:
    return [(bucket.checksum, store(bucket)) for bucket in pack_cut(tensors, bucket_bytes)]


def pull(weights: PublishedWeights, checksums: list[int]) -> Iterator[Mapping[str, torch.Tensor]]:
    """Yield the tensors of a version, bucket by bucket; those that were cut are whole again.

    A thread fetches and checks a bucket while the one before is loaded.

    Args:
        checksums: those of the buckets that arrived are added, computed over what arrived.

    Raises:
        RuntimeError: a bucket was damaged on its way.
    """
    return joined(_arriving(weights, checksums))


def _arriving(
    weights: PublishedWeights, checksums: list[int]
) -> Iterator[tuple[Mapping[str, torch.Tensor], int | None]]:
    with ThreadPoolExecutor(max_workers=1) as ahead:
        upcoming = ahead.submit(_fetch, weights.bucket_refs[0])
        for following in (*weights.bucket_refs[1:], None):
            bucket, tensors = upcoming.result()
            if following is not None:
                upcoming = ahead.submit(_fetch, following)
            checksums.append(bucket.checksum)
            yield tensors, bucket.num_rows


def _fetch(reference: Any) -> tuple[WeightBucket, dict[str, torch.Tensor]]:
    bucket: WeightBucket = ray.get(reference)
    return bucket, unpack(bucket)
