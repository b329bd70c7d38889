from fastai.learner import Learner
import numpy as np
import time
import torch

from genomic_ulmfit.nets.precision import precision
from genomic_ulmfit.seq.errors import InputError


def _trial_step(learn: Learner, x: tuple, y: torch.Tensor):
    with precision(learn.dls.device):
        out = learn.model(*x)
        loss = learn.loss_func(out[0] if isinstance(out, tuple) else out, y)
    loss.backward()
    learn.model.zero_grad()


def _largest_fitting(learn: Learner, rows: int) -> int:
    "The largest of rows/2, rows/4, … that a training step has memory for; 0 where none is."
    *x, y = learn.dls.train.one_batch()
    while rows := rows // 2:
        try: _trial_step(learn, [t[:rows] for t in x], y[:rows])
        except (RuntimeError, MemoryError): continue
        return rows
    return 0


def seconds_per_step(learn: Learner, steps: int = 3) -> float:
    """Median seconds of a training step (forward, loss, backward), weights left as they are.

    Raises `InputError` with a batch size that would do where the memory is too small.
    """
    state, epoch, rows = torch.get_rng_state(), learn.dls.train.dataset.epoch, learn.dls.train.dataset.bs
    learn.model.to(learn.dls.device).train()
    times, batches = [], iter(learn.dls.train)
    for _ in range(steps + 1):
        start = time.perf_counter()
        try:
            *x, y = next(batches, None) or next(iter(learn.dls.train))
            _trial_step(learn, x, y)
        except (RuntimeError, MemoryError) as e:
            if not isinstance(e, MemoryError) and "memory" not in str(e): raise
            fits = _largest_fitting(learn, rows)
            raise InputError(f"a batch of {rows}", f"is too large for the memory of {learn.dls.device}", f"A batch of {fits} fits" if fits else "Choose a smaller preset or shorter windows") from e
        times.append(time.perf_counter() - start)
    learn.dls.train.dataset.epoch = epoch
    torch.set_rng_state(state)
    return float(np.median(times[1:]))
