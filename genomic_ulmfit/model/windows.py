from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import torch



def _batches(length: np.ndarray, bases: int) -> list[np.ndarray]:
    "Row numbers in batches of about `bases` padded bases, similar lengths together."
    order, out, at = np.argsort(length, kind="stable")[::-1], [], 0
    while at < len(order):
        size = max(bases // max(int(length[order[at]]), 1), 1)
        out.append(order[at : at + size])
        at += size
    return out


def _windows(length: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    "Sequences cut into evenly spread windows of at most `width` bases: owner, first base, length of each."
    n = np.maximum(-(-length // width), 1)
    owner = np.repeat(np.arange(len(length)), n)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n)
    size = -(-length // n)[owner]
    first = np.minimum(number * size, np.maximum(length[owner] - size, 0))
    return owner, first, np.minimum(size, length[owner])


def _in_threads(function, jobs: list, device: torch.device) -> Iterator:
    "Results of a function in the order of the jobs: on a CPU in as many threads as PyTorch has, one core each, which is faster than all cores on one batch."
    n = torch.get_num_threads()
    if device.type != "cpu" or n == 1 or len(jobs) == 1:
        yield from map(function, jobs)
        return
    try:
        with ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,)) as pool: yield from pool.map(function, jobs)
    finally: torch.set_num_threads(n)
