from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict
from fastcore.basics import patch
from importlib.metadata import version
from itertools import product
from pathlib import Path
from safetensors import SafetensorError
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_model as save_weights
from scipy.special import softmax
import json
import numpy as np
import torch
import warnings

from genomic_ulmfit.model.folder import MODEL_FORMAT, _model_config, find_device, model_card, model_folder
from genomic_ulmfit.model.windows import _batches, _in_threads, _windows
from genomic_ulmfit.nets.awdlstm import Preset, language_model
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.nets.precision import has_bf16, precision
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.text.kmers import KmerTokenizer, NO_LOSS, VOCAB_SCHEME
from genomic_ulmfit.text.spans import Spans, gather
from genomic_ulmfit.text.windows import LMWindows


class GenomeModel:
    "A trained language model or classifier with its tokenizer and description."

    def __init__(
        self,
        model: torch.nn.Module,  # from `language_model` or `classifier`
        tokenizer: KmerTokenizer,
        preset: Preset,
        classes: list[str] | None = None,  # class names of a classifier; None for a language model
        about: dict | None = None,  # what is known of the training: data with checksums, budget, figures
    ):
        self.model, self.tokenizer, self.preset, self.classes, self.about = model.eval(), tokenizer, preset, classes, about or {}

    @property
    def kind(self) -> str:
        "`language-model` or `classifier`."
        return "classifier" if self.classes else "language-model"

    @property
    def stranded(self) -> bool:
        "Whether it was trained on sequences that have a direction, and judges them as they are."
        return bool(self.about.get("stranded"))

    @property
    def read_length(self) -> int:
        "The longest reads it was trained on, as noted in `about`; 500 where that isn't known."
        noted = self.about.get("read_length") or 500
        return int(np.max(noted))

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def __repr__(self):
        what = f"{len(self.classes)} classes" if self.classes else f"{self.tokenizer.vocab_size} tokens"
        return f"GenomeModel({self.kind}, {self.tokenizer!r}, {what}, {sum(p.numel() for p in self.model.parameters()):,} weights)"

    def save(
        self,
        folder,  # made if need be; files of an earlier model in it are replaced
        half: bool = False,  # weights in float16: half the size, for models that travel
    ) -> Path:
        "Write the model folder."
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.may_round()  # found out now, it needn't be at every start
            save_weights(deepcopy(self.model).half() if half else self.model, str(folder / "model.safetensors"))
            config = self._config(folder / "model.safetensors")
            (folder / "config.json").write_text(json.dumps(config, indent=1))
            (folder / "model.safetensors").chmod((folder / "config.json").stat().st_mode)  # safetensors writes for the owner only
            (folder / "README.md").write_text(model_card(config))
        except (OSError, SafetensorError) as e: raise InputError(folder, f"cannot be written ({e})", "Free some space or choose another place") from e
        return folder

    def _config(self, weights: Path) -> dict:
        "Everything about the model but its weights."
        return {
            "format": MODEL_FORMAT, "kind": self.kind, "preset": asdict(self.preset), "k": self.tokenizer.k, "stride": self.tokenizer.stride,
            "vocabulary": VOCAB_SCHEME, "vocabulary_size": self.tokenizer.vocab_size, "classes": self.classes, "about": self.about,
            "files": {weights.name: {"bytes": weights.stat().st_size, "sha256": sha256(weights)}},
            "versions": {p: version(p) for p in ("genomic_ulmfit", "torch", "fastai")},
        }


def load_model(
    folder,  # made by `GenomeModel.save`, or a name in `pretrained_models()`
    device=None,  # fastai's default device unless given
) -> GenomeModel:
    "Load a model folder. Raises `InputError` for one that is incomplete, changed, of another vocabulary, or that holds a pickle."
    folder, device = model_folder(folder), find_device(device)
    config = _model_config(folder)
    tokenizer, preset = KmerTokenizer(config["k"], config["stride"]), Preset(**config["preset"])
    model = classifier(tokenizer, preset, len(config["classes"])) if config["classes"] else language_model(tokenizer, preset)
    try: load_weights(model, str(folder / "model.safetensors"))
    except (RuntimeError, SafetensorError) as e: raise InputError(folder / "model.safetensors", "does not fit config.json", "Copy the model folder again") from e
    return GenomeModel(model.to(device), tokenizer, preset, config["classes"], config["about"])


def _pretrained(source, tokenizer: KmerTokenizer, kind: str) -> GenomeModel | None:
    "A loaded model of that kind with that tokenizer; None for None."
    if source is None: return None
    model = source if isinstance(source, GenomeModel) else load_model(source)
    name = "the pretrained model" if isinstance(source, GenomeModel) else source
    if model.kind != kind: raise InputError(name, f"is a {model.kind}, not a {kind}", f"Give a {kind}")
    if model.tokenizer != tokenizer: raise InputError(name, f"was trained with {model.tokenizer!r}, the loaders cut {tokenizer!r}", "Make the loaders with the model's tokenizer")
    return model


@patch
def window_log_probs(
    self: GenomeModel,
    sequences,  # letters or base codes, a list
    both_strands: bool | None = None,  # average over the read and its reverse complement; unless given, not where the model is `stranded`
    phases: int | None = None,  # reading phases to average over: cut from the first base on, from the second, …; as many as the stride unless given
    window: int | None = None,  # longer sequences are judged in windows of so many bases; twice the reads it was trained on unless given
    batch_bases: int | None = None,  # bases in a batch; 15,000 on a processor, whose cache they fit, and 300,000 elsewhere unless given
    exact: bool = False,  # in float32 throughout
) -> tuple[np.ndarray, np.ndarray]:  # the sequence of each window, (windows,); its log-probabilities, the mean over strands and phases, (windows, classes) float64
    "Log-probabilities of the classes for each window of each sequence, in their order. Raises `ValueError` for a language model."
    if self.classes is None: raise ValueError("a language model has no classes to predict")
    spans = Spans.from_sequences(sequences)
    owner, first, size = _windows(spans.length, window or 2 * self.read_length)
    low = not exact and self.may_round()
    strands = (False, True) if both_strands or (both_strands is None and not self.stranded) else (False,)
    views = list(product(range(phases or self.tokenizer.stride), strands))

    def judge(rows: np.ndarray) -> np.ndarray:
        total = 0
        for phase, flip in views:
            skip = np.clip(size[rows] - self.tokenizer.k, 0, phase)  # a read that is too short for a later phase is read as it is
            start = spans.start[owner[rows]] + first[rows] + (0 if flip else skip)
            total = total + self._log_probs(gather(spans.codes, start, size[rows] - skip, np.full(len(rows), flip)), low)
        return total / len(views)

    batches, found = _batches(size, batch_bases or (15_000 if self.device.type == "cpu" else 300_000)), np.zeros((len(owner), len(self.classes)))
    for rows, means in zip(batches, _in_threads(judge, batches, self.device)): found[rows] = means
    return owner, found


@patch
def predict_proba(
    self: GenomeModel,
    sequences,  # letters or base codes, a list
    **kwargs,  # `both_strands`, `phases`, `window`, `batch_bases`, `exact`: see `window_log_probs`
) -> np.ndarray:  # (sequences, classes) float32, rows sum to 1
    "Class probabilities of sequences, in their order: the mean of the log-probabilities of their windows. Raises `ValueError` for a language model."
    owner, found = self.window_log_probs(sequences, **kwargs)
    mean = np.zeros((len(sequences), len(self.classes)))
    np.add.at(mean, owner, found)
    return softmax(mean / np.bincount(owner, minlength=len(sequences))[:, None], 1).astype(np.float32)


@patch
@torch.inference_mode()
def _log_probs(self: GenomeModel, codes: np.ndarray, low: bool) -> np.ndarray:
    with precision(self.device) if low else nullcontext(): logits = self.model(self.tokenizer.batch(torch.from_numpy(codes).to(self.device)))
    return logits.double().log_softmax(1).cpu().numpy()


@patch
def may_round(self: GenomeModel) -> bool:
    """Whether predictions are made in bfloat16: where the device computes in it, and at least 999 of 1,000 random reads get the same class as in float32.

    The share is found out once and kept in `about`. Warns where it is too small.
    """
    if self.classes is None or not has_bf16(self.device): return False
    if "bfloat16_agreement" not in self.about:
        reads = np.random.default_rng(0).integers(0, 4, (1000, min(self.read_length, 150)), np.uint8)
        classes = [np.concatenate([self._log_probs(part, low).argmax(1) for part in np.split(reads, 10)]) for low in (True, False)]
        self.about["bfloat16_agreement"] = float((classes[0] == classes[1]).mean())
        if self.about["bfloat16_agreement"] < 0.999:
            warnings.warn(f"bfloat16 changes the class of {1 - self.about['bfloat16_agreement']:.1%} of random reads: predicting in float32, more slowly", stacklevel=3)
    return self.about["bfloat16_agreement"] >= 0.999


@patch
def predict_stream(
    self: GenomeModel,
    records: Iterable,  # `SequenceRecord`s, e.g. from `read_sequences`
    chunk: int = 5_000,  # records in memory at a time
    **kwargs,  # see `predict_proba`
) -> Iterator[tuple]:  # (record, probabilities) in order
    "Class probabilities of a stream of records, at constant memory."
    held = []
    for record in records:
        held.append(record)
        if len(held) == chunk:
            yield from zip(held, self.predict_proba([r.codes for r in held], **kwargs))
            held = []
    if held: yield from zip(held, self.predict_proba([r.codes for r in held], **kwargs))


@patch
@torch.inference_mode()
def bits_per_base(
    self: GenomeModel,
    spans: Spans,  # the text: `Spans.from_corpus(corpus, split)` or `Spans.from_sequences(…)`
    tokens: int = 256,  # k-mers in a window
    max_batches: int | None = None,  # judge a random part of the windows only
    bs: int = 64,  # windows in a batch
) -> float:  # bits per new base; 2 is no knowledge
    "Cross-entropy of a language model on a text in bits per base; the first k-mer of a window isn't counted."
    if self.classes is not None: raise ValueError("a classifier has no bits per base")
    windows = LMWindows(spans, self.tokenizer, bs=bs, tokens=tokens, augment=False)
    nats = count = 0
    for i in range(min(len(windows), max_batches or len(windows))):
        x, y = windows.to_tokens([b.to(self.device) for b in windows[i]])
        with precision(self.device): logits = self.model(x)[0]
        y = y[:, 1:]
        nats += torch.nn.functional.cross_entropy(logits[:, 1:].float().flatten(0, 1), y.flatten(), ignore_index=NO_LOSS, reduction="sum").double()
        count += (y != NO_LOSS).sum()
    if not count: raise InputError("the text", "holds no k-mer after the first of a window", "Give longer sequences")
    return float(nats / count) / np.log(2) / self.tokenizer.stride
