from datetime import timedelta
from fastai.callback.core import Callback
from fastai.torch_core import num_distrib
import time

from genomic_ulmfit.nets.precision import precision


class DevicePrecision(Callback):
    "Forward pass and loss in bfloat16 where the device has it, float32 elsewhere."

    order = 10

    def before_batch(self):
        self.context = precision(self.dls.device)
        self.context.__enter__()

    def _leave(self):
        if self.context is not None: self.context.__exit__(None, None, None)
        self.context = None

    def after_loss(self): self._leave()
    def after_batch(self): self._leave()


class TimeLimit(Callback):
    "Let the schedule follow the clock; each epoch gets an equal share of the time, validation included."

    order = 55  # after fastai counts the step, before `ParamScheduler` (60) reads it

    def __init__(
        self,
        seconds: float,  # time for the whole fit
        spent: float = 0.0,  # seconds that an interrupted run had used
    ):
        self.seconds, self.spent = seconds, spent

    def before_fit(self): self.start = time.monotonic() - self.spent
    def elapsed(self) -> float: return time.monotonic() - self.start
    def before_train(self): self.dls.train.deadline = self.start + self.seconds * (self.epoch + 1) / self.n_epoch
    def after_fit(self): self.dls.train.deadline = None

    def before_batch(self):
        if self.training: self.learn.pct_train = min(self.elapsed() / self.seconds, 1.0)


class Speed(Callback):
    "Show tokens per second, the loss (bits per base of a language model) and the time left in all beside fastai's progress bar."

    order = 61  # after `ProgressCallback` (60), whose comment it replaces

    def __init__(
        self,
        loss: str,  # what the loss is called
        scale: float,  # it is shown times this
        spent: float = 0.0,  # seconds that an interrupted run had used
    ):
        self.called, self.scale, self.spent = loss, scale, spent

    def before_fit(self): self.start, self.tokens = time.monotonic(), 0
    def seconds(self) -> float: return self.spent + time.monotonic() - self.start
    def after_fit(self): self.learn.seconds = self.seconds()

    def after_batch(self):
        if not self.training or not hasattr(self.learn, "progress"): return
        if not self.tokens: self.past = self.pct_train
        self.tokens += self.xb[0].numel() * max(num_distrib(), 1)
        took, done = time.monotonic() - self.start, self.pct_train - self.past
        left = f", {timedelta(seconds=int(took * (1 - self.pct_train) / done))} left" if done > 0 else ""
        self.learn.progress.pbar.comment = f"{self.tokens / took:,.0f} tokens/s, {self.called} {self.smooth_loss.item() * self.scale:.3f}{left}"


class GradualUnfreezing(Callback):
    "Thaw the groups of layers one after the other during the first third of the epochs, from the head down (Howard & Ruder 2018, section 3.3)."

    def before_epoch(self):
        groups = len(self.opt.param_lists)
        self.learn.freeze_to(-min(1 + int(3 * groups * self.epoch / self.n_epoch), groups))

    def after_fit(self): self.learn.unfreeze()
