from fastai.callback import schedule  # noqa: F401  adds fit_one_cycle, lr_find and the like to Learner
from fastai.callback.rnn import RNNCallback
from fastai.callback.rnn import RNNRegularizer
from fastai.callback.training import GradientClip
from fastai.learner import Learner
from fastai.learner import noop
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from fastai.torch_core import num_distrib
from fastcore.basics import patch
import numpy as np
import torch

from genomic_ulmfit.model.model import GenomeModel, _pretrained
from genomic_ulmfit.nets.awdlstm import get_preset, language_model, lm_groups
from genomic_ulmfit.nets.heads import classifier, classifier_groups
from genomic_ulmfit.nets.losses import StreamedCrossEntropy
from genomic_ulmfit.report.metrics import BitsPerBase
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.text.block import Kmerize
from genomic_ulmfit.text.kmers import KmerTokenizer, NO_LOSS
from genomic_ulmfit.train.budget import seconds_per_step
from genomic_ulmfit.train.callbacks import DevicePrecision, GradualUnfreezing, Speed, TimeLimit
from genomic_ulmfit.train.checkpoint import Checkpoint, _restore, last_checkpoint
from genomic_ulmfit.train.processes import _say, _together


def tokenizer_of(dls) -> KmerTokenizer:
    "The tokenizer of the library's loaders, or of a `DataBlock` with a `SequenceBlock`."
    found = getattr(dls.train.dataset, "tokenizer", None) or next((t.tokenizer for t in getattr(dls.train.after_batch, "fs", ()) if isinstance(t, Kmerize)), None)
    if found is None: raise ValueError("these DataLoaders cut no k-mers: make them with GenomeLMDataLoaders, ReadDataLoaders, or a DataBlock with a SequenceBlock")
    return found


class GenomeLearner(Learner):
    "A fastai `Learner` for genome language models and read classifiers."

    @property
    def tokenizer(self) -> KmerTokenizer:
        "The tokenizer of the loaders."
        return tokenizer_of(self.dls)

    def show_results(
        self,
        max_n: int = 6,  # reads to show
        **kwargs,  # for fastai's callers; not used
    ):
        "Show validation reads with their label, the predicted one and its confidence."
        from IPython.display import display

        b, classes = self.dls.valid.one_batch(), self.dls.classes
        probs = self.to_model().predict_proba([self.tokenizer.decode(r) for r in b[0][:max_n]])
        table = self.dls.valid.dataset.preview(b, max_n).drop(columns="k-mers")
        display(table.assign(predicted=[classes[i] for i in probs.argmax(1)], confidence=probs.max(1).round(3)))

    def _steps(self, tokens, minutes, epochs) -> tuple[int, float]:
        "Batches that a budget pays for and the minutes it will take; prints the estimate."
        data, second, ranks = self.dls.train.dataset, seconds_per_step(self), max(num_distrib(), 1)
        if ranks > 1:
            box = [second]
            torch.distributed.broadcast_object_list(box)
            second = box[0]
        batch, ranked = self.dls.train.one_batch()[0].numel(), f" in {ranks} processes" if ranks > 1 else ""
        if tokens is not None: steps = int(tokens / batch)
        elif minutes is not None: steps = int(minutes * 60 / second) * ranks
        else: steps = epochs * len(data) * ranks
        if steps < 1: raise InputError("budget", f"is smaller than one batch of {batch:,} tokens", "Ask for more, or make the batch smaller")
        took = minutes if minutes is not None else steps / ranks * second / 60
        if self.logger is not noop: _say(f"{second / batch / ranks * 1e6:,.1f} s per million tokens: {steps:,} batches of {batch:,} tokens{ranked}, about {took:.1f} min")
        return steps, took

    @property
    def figures(self) -> dict[str, float]:
        "Losses and metrics of the last validation by name."
        names, values = self.recorder.metric_names[1:-1], self.recorder.values[-1]
        return {n: float(v) for n, v in zip(names[::-1], values[::-1])}

    def fit_budget(
        self,
        lr: float = 5e-3,  # highest learning rate of the one-cycle schedule, for the last group of layers
        tokens: int | None = None,  # tokens to train on
        minutes: float | None = None,  # or minutes to train for
        epochs: int | None = None,  # or passes over the training loader
        parts: int | None = None,  # tokens or minutes are cut into so many epochs, each with a validation and a checkpoint; 5, or one in ten minutes, unless given
        lr_div: float = 1.0,  # the first group of layers learns so many times slower (discriminative learning rates)
        gradual: bool = False,  # thaw the groups one after the other
        checkpoints=None,  # folder for checkpoints
        resume: bool = False,  # go on from the last checkpoint in it
        cbs: list = (),  # further callbacks, e.g. fastai's `EarlyStoppingCallback(patience=2)`
    ):
        """Train for a budget: exactly one of `tokens`, `minutes`, `epochs`.

        Raises `InputError` for a budget below one batch, a batch that the memory is too small for, and a checkpoint of another
        training. Ctrl-C keeps the last checkpoint. The schedule is one cycle (Smith 2018). In processes started by `torchrun`
        or `accelerate launch` each trains on its share; there, minutes are turned into a number of batches beforehand.
        """
        if sum(b is not None for b in (tokens, minutes, epochs)) != 1: raise ValueError("give one of tokens, minutes, epochs")
        if min(b for b in (tokens, minutes, epochs) if b is not None) <= 0: raise InputError("budget", "is not above zero", "Ask for more")
        if epochs is None and not hasattr(self.dls.train.dataset, "steps"): raise ValueError("given sequences are trained on for epochs: give epochs")
        plan, state = self._plan(tokens=tokens, minutes=minutes, epochs=epochs, lr=lr), None
        if resume and checkpoints and (found := last_checkpoint(checkpoints)): state = _restore(self, found, plan)
        with _together(self):
            plan |= {k: state["plan"][k] for k in ("parts", "steps")} if state else self._cut(parts, tokens, minutes, epochs)
            if epochs is None: self.dls.train.dataset.steps = plan["steps"]
            spent = state["seconds"] if state else 0.0
            cbs = [*cbs, Speed(*self._loss_shown(), spent)]
            if minutes is not None and num_distrib() <= 1: cbs.append(TimeLimit(minutes * 60, spent))
            if gradual: cbs.append(GradualUnfreezing())
            if checkpoints is not None: cbs.append(Checkpoint(checkpoints, plan))
            self._run(plan["parts"], lr, lr_div, cbs, state, checkpoints)

    def _plan(self, **budget) -> dict:
        "What a checkpoint must agree with."
        data = self.dls.train.dataset
        text = {k: str(getattr(data, k)) for k in ("bs", "tokens", "length", "seed") if hasattr(data, k)} | ({"text": data.spans.digest()} if hasattr(data, "spans") else {})
        return {"model": type(self.model).__name__, "weights": sum(p.numel() for p in self.model.parameters()), "tokenizer": repr(self.tokenizer), "processes": max(num_distrib(), 1), **text, **budget}

    def _cut(self, parts, tokens, minutes, epochs) -> dict:
        "The number of epochs and the batches in each."
        steps, took = self._steps(tokens, minutes, epochs)
        if epochs is not None: return {"parts": epochs, "steps": len(self.dls.train.dataset)}
        parts = parts or max(5, int(took / 10))
        spare = 1.0 if minutes is None or num_distrib() > 1 else 1.5  # by the clock, the estimate only has to be large enough
        return {"parts": parts, "steps": max(int(steps * spare) // parts, 1)}

    def _loss_shown(self) -> tuple[str, float]:
        "Name and scale of the loss for people."
        return ("loss", 1.0) if hasattr(self.dls, "vocab") else ("bits/base", 1 / np.log(2) / self.tokenizer.stride)

    def _run(self, epochs, lr, lr_div, cbs, state, checkpoints):
        lrs = lr if lr_div == 1 else slice(lr / lr_div, lr)
        start = state["epoch"] if state else 0
        if state: _say(f"going on after epoch {start} of {epochs}")
        try: self.fit_one_cycle(epochs, lrs, cbs=cbs, reset_opt=state is None, start_epoch=start)
        except KeyboardInterrupt:
            kept = last_checkpoint(checkpoints) if checkpoints else None
            _say(f"interrupted; go on with resume from {kept}" if kept else "interrupted before the first checkpoint")
            raise
        if state: self.recorder.values = [*state["values"], *(v for v in self.recorder.values if v)]  # without the epochs that were skipped


def fused_adamw(
    params,  # groups of parameters
    lr: float,
) -> OptimWrapper:
    "AdamW with decoupled weight decay (Loshchilov & Hutter 2019), for a `Learner`'s `opt_func`."
    return OptimWrapper(params, torch.optim.AdamW, lr=lr, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.01, fused=True)


def genome_lm_learner(
    dls,  # `GenomeLMDataLoaders`
    preset="small",  # a name in `PRESETS`, or a `Preset`; with `pretrained` its own is used
    pretrained=None,  # a language model to go on from: folder, a name in `pretrained_models()`, or a loaded `GenomeModel`
    drop_mult: float = 0.05,  # scales the preset's dropouts; little is needed while most bases are seen once
    alpha: float = 0.0,  # activation regularisation (Merity et al. 2017: 2)
    beta: float = 0.0,  # temporal activation regularisation (Merity et al. 2017: 1)
    clip: float = 0.5,  # gradient norm
    **kwargs,  # fastai's `Learner` arguments
) -> GenomeLearner:
    "A learner for a genome language model. Raises `InputError` where the pretrained model's k-mers are others."
    tokenizer = tokenizer_of(dls)
    source = _pretrained(pretrained, tokenizer, "language-model")
    model = language_model(tokenizer, source.preset if source else preset, drop_mult)
    model.preset = source.preset if source else get_preset(preset)
    if source: model.load_state_dict(source.model.state_dict())
    cbs = [DevicePrecision(), GradientClip(clip), RNNCallback(), *([RNNRegularizer(alpha, beta)] if alpha or beta else [])]
    loss = CrossEntropyLossFlat()
    loss.func = StreamedCrossEntropy(ignore_index=NO_LOSS)
    kwargs = {"metrics": [BitsPerBase(tokenizer.stride)], "loss_func": loss, "splitter": lm_groups, "opt_func": fused_adamw, **kwargs}
    return GenomeLearner(dls, model, cbs=[*cbs, *kwargs.pop("cbs", [])], **kwargs)


def genome_classifier_learner(
    dls,  # `ReadDataLoaders`
    pretrained=None,  # language model whose encoder to use: folder, a name in `pretrained_models()`, or a loaded `GenomeModel`; None trains from scratch
    preset="small",  # sizes where there is no pretrained model
    drop_mult: float = 0.05,  # scales the preset's dropouts
    clip: float = 0.5,  # gradient norm
    **kwargs,  # fastai's `Learner` arguments
) -> GenomeLearner:
    "A learner for a read classifier. Raises `InputError` where the pretrained model's k-mers are others."
    tokenizer = tokenizer_of(dls)
    source = _pretrained(pretrained, tokenizer, "language-model")
    model = classifier(tokenizer, source.preset if source else preset, dls.c, drop_mult)
    model.preset = source.preset if source else get_preset(preset)
    if source: model.encoder.load_state_dict(source.model[0].state_dict())
    kwargs = {"metrics": [accuracy], "loss_func": CrossEntropyLossFlat(), "splitter": classifier_groups, "opt_func": fused_adamw, **kwargs}
    return GenomeLearner(dls, model, cbs=[DevicePrecision(), GradientClip(clip), *kwargs.pop("cbs", [])], **kwargs)


@patch
def to_model(self: GenomeLearner, **about) -> GenomeModel:
    "What has been trained, detached from the loaders."
    classes = list(self.dls.vocab) if hasattr(self.dls, "vocab") else None
    if getattr(self.dls.train.dataset, "stranded", False): about["stranded"] = True
    if hasattr(self, "seconds"): about["minutes"] = round(self.seconds / 60, 2)
    return GenomeModel(self.model, self.tokenizer, self.model.preset, classes, about)
