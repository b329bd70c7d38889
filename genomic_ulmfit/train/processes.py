from contextlib import contextmanager
from fastai.learner import Learner
from fastai.torch_core import num_distrib
from fastai.torch_core import rank_distrib
import atexit
import torch

from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.text.loaders import BatchLoader


def _say(text: str):
    "Print, in the first of several processes."
    if not rank_distrib(): print(text, flush=True)


@contextmanager
def _together(learn: Learner):
    "Train with the other processes of `torchrun` or `accelerate launch`, where there are any."
    if num_distrib() <= 1:
        yield
        return
    try: import fastai.distributed  # noqa: F401  adds distrib_ctx to Learner
    except NameError as e: raise InputError("accelerate", "is not installed, and several processes need it", "pip install 'genomic_ulmfit[distributed]'") from e
    if not isinstance(learn.dls.train, BatchLoader): raise ValueError("several processes can share the library's loaders only, not those of a DataBlock")
    data = learn.dls.train.dataset
    data.rank, data.ranks = rank_distrib(), num_distrib()
    with learn.distrib_ctx(sync_bn=False, cpu=learn.dls.device.type == "cpu"):
        learn.distributed_trainer._wrap_dl = lambda dl: dl
        atexit.register(_leave)
        yield


def _leave():
    "Leave the group of processes: its threads must not outlive the interpreter."
    if torch.distributed.is_initialized(): torch.distributed.destroy_process_group()
