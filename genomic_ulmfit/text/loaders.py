from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.torch_core import default_device
from functools import partial
import os
import pandas as pd
import time
import torch

from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.tables import label_numbers
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.labelled import _sequence_table, labelled_table, table_codes, warn_of_leakage
from genomic_ulmfit.text.reads import CorpusReads, LabelledReads
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.text.windows import LMWindows


class BatchLoader(DataLoader):
    "A fastai `DataLoader` over a dataset of whole batches of bases; yields tokens."

    deadline = None  # time (`time.monotonic`) at which an epoch ends, however many batches are left

    def __init__(
        self,
        dataset,  # `LMWindows`, `LabelledReads` or `CorpusReads`
        **kwargs,  # fastai's `DataLoader` arguments
    ):
        ahead = {"num_workers": min(4, (os.cpu_count() or 1) - 1), "pin_memory": True} if torch.device(kwargs.get("device") or "cpu").type == "cuda" else {}
        super().__init__(dataset, **{**ahead, **kwargs, "bs": None, "shuffle": False})

    def __len__(self): return len(self.dataset)

    def __iter__(self):
        for batch in super().__iter__():
            if self.deadline is not None and time.monotonic() >= self.deadline: return
            yield batch

    def before_iter(self):
        self.n = len(self)  # a budget may have changed the length of an epoch
        self.dataset.epoch += 1

    def do_batch(self, batch): return batch
    def after_batch(self, batch): return self.dataset.to_tokens(batch)

    def one_batch(self):
        "One batch, without counting as an epoch."
        epoch = self.dataset.epoch
        try: return super().one_batch()
        finally: self.dataset.epoch = epoch

    def show_batch(
        self,
        b=None,  # a batch; the next one unless given
        max_n: int = 6,  # rows
        **kwargs,  # for fastai's callers; not used
    ):
        "Show bases, k-mers and labels of a batch."
        from IPython.display import display

        display(self.dataset.preview(self.one_batch() if b is None else b, max_n))


class GenomeLMDataLoaders(DataLoaders):
    "Language-model loaders over genomes or other sequences."

    @classmethod
    def from_spans(
        cls,
        train: Spans,  # text to learn
        valid: Spans,  # text to watch
        tokenizer: KmerTokenizer | None = None,  # k=5, stride=2 unless given
        bs: int = 64,  # windows in a batch
        tokens: int = 128,  # k-mers in a window
        valid_batches: int = 50,  # at most so many batches are used to watch
        seed: int = 0,
        device=None,  # fastai's default device unless given
    ):
        "From sequences that lie in an array. Raises `InputError` where the training text doesn't fill a batch."
        tokenizer = tokenizer or KmerTokenizer()
        make = partial(LMWindows, tokenizer=tokenizer, bs=bs, tokens=tokens, seed=seed)
        learn, watch = make(train), make(valid, augment=False)
        if (n := int(learn.ends[-1])) < bs: raise InputError("the training text", f"holds {n} windows of {tokens} k-mers, less than a batch of {bs}", "Make the batch or the windows smaller")
        watch.steps = min(watch.steps, valid_batches)
        return cls(*(BatchLoader(d, device=device or default_device()) for d in (learn, watch)))

    @classmethod
    def from_corpus(
        cls,
        corpus: GenomeCorpus,
        train: str = "train",  # split to learn
        valid: str = "valid",  # split to watch
        **kwargs,  # `tokenizer`, `bs`, `tokens`, `valid_batches`, `seed`, `device`: see `from_spans`
    ):
        "From two splits of a corpus. Raises `InputError` where a split has no records."
        return cls.from_spans(Spans.from_corpus(corpus, train), Spans.from_corpus(corpus, valid), **kwargs)

    @classmethod
    def from_df(
        cls,
        df: pd.DataFrame,  # a row per sequence
        sequence: str = "sequence",  # column of letters
        split: str = "split",  # column with train and valid
        **kwargs,  # see `from_spans`
    ):
        "From a table of sequences: the text of stage 2. Only rows of `train` are learned and rows of `valid` watched."
        table = _sequence_table(df, sequence, split)
        return cls.from_spans(*(Spans.from_sequences(table_codes(table[table[split] == s], sequence)) for s in ("train", "valid")), **kwargs)


class ReadDataLoaders(DataLoaders):
    "Classifier loaders over labelled sequences or reads drawn from genomes."

    @classmethod
    def from_datasets(cls, train, valid, device=None):
        "From `LabelledReads` or `CorpusReads`."
        return cls(*(BatchLoader(d, device=device or default_device()) for d in (train, valid)))

    @property
    def classes(self) -> list[str]:
        "Class names in the order of the outputs."
        return self.train.dataset.classes

    @property
    def vocab(self): return self.classes

    @property
    def c(self) -> int:
        "Number of classes."
        return len(self.classes)

    @classmethod
    def from_df(
        cls,
        df,  # DataFrame, TSV or CSV: a row per sequence
        tokenizer: KmerTokenizer | None = None,  # k=5, stride=2 unless given
        sequence: str = "sequence",  # column of letters
        label: str = "label",  # column of class names
        split: str = "split",  # column with train and valid; test rows are left alone
        bs: int = 64,  # sequences in a batch
        seed: int = 0,
        stranded: bool = False,  # the sequences have a direction, as promoters do: the other strand is neither learned from nor judged
        device=None,  # fastai's default device unless given
    ):
        "From a table of labelled sequences."
        table, where = _sequence_table(df, sequence, split, label), "the table" if isinstance(df, pd.DataFrame) else df
        rows = {s: table[table[split] == s] for s in ("train", "valid")}
        classes, codes = sorted(rows["train"][label].unique()), {s: table_codes(r, sequence, where) for s, r in rows.items()}
        label_numbers(table[label].to_numpy(), classes, where)
        warn_of_leakage(codes["train"], codes["valid"])
        train, valid = (
            LabelledReads(Spans.from_sequences(codes[s]), label_numbers(rows[s][label].to_numpy(), classes, where), classes,
                          tokenizer or KmerTokenizer(), bs, s == "train", seed, stranded)
            for s in ("train", "valid")
        )
        return cls.from_datasets(train, valid, device)

    @classmethod
    def from_fasta(
        cls,
        fasta,  # FASTA or FASTQ file
        labels,  # table (DataFrame, TSV, CSV) with `id`, `label` and `split`
        id: str = "id",  # column of record ids
        **kwargs,  # see `from_df`
    ):
        "From sequences and a table of labels joined by record id."
        return cls.from_df(labelled_table(fasta, labels, id), **kwargs)

    @classmethod
    def from_corpus(
        cls,
        corpus: GenomeCorpus,
        label: str = "genus",  # label column
        tokenizer: KmerTokenizer | None = None,  # k=5, stride=2 unless given
        length=150,  # read length: a number, a pair (shortest, longest), or an array of lengths to draw from
        error_rate: float = 0.0,  # substitutions per base
        reads: int = 20_000,  # reads in an epoch
        valid_reads: int = 2_000,  # reads to watch, the same in each epoch
        bs: int = 64,  # reads in a batch
        seed: int = 0,
        train: str = "train",  # split to learn
        valid: str = "valid",  # split to watch
        device=None,  # fastai's default device unless given
    ):
        "From reads drawn from two splits of a corpus."
        if label not in corpus.labels: raise InputError(corpus.path, f"has no label {label!r}", f"It has: {', '.join(corpus.labels) or 'none'}")
        classes = sorted(corpus.split(train)[label].unique())
        make = partial(CorpusReads, corpus, label=label, classes=classes, tokenizer=tokenizer or KmerTokenizer(), length=length, error_rate=error_rate, bs=bs)
        return cls.from_datasets(make(split=train, reads=reads, seed=seed), make(split=valid, reads=valid_reads, augment=False, seed=seed + 1), device)
