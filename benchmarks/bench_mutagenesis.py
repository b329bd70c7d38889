"""Saturation mutagenesis with reused states, beside batches of all edited sequences read from their first letter on."""

import numpy as np
import torch
from bench_predict import trained
from common import compare, measurement, sample_codes

from genomic_ulmfit.model.likelihood import letter_log_probs
from genomic_ulmfit.model.model import load_model
from genomic_ulmfit.seq.alphabet import DNA
from genomic_ulmfit.tasks.mutagenesis import all_changes, saturation
from genomic_ulmfit.text.kmers import KmerTokenizer

ROWS = 96  # sequences in a batch of the baseline's: a processor reads no faster with more


def edited(codes: np.ndarray) -> np.ndarray:
    "The sequence, and below it all that differ from it in one letter."
    changes = all_changes(codes, DNA)
    rows = np.tile(codes, (1 + len(changes.place), 1))
    rows[1 + np.arange(len(changes.place)), changes.place] = changes.letter
    return rows


def in_views(rows: np.ndarray, phases: int):
    "Batches of the rows in all views; the letters before the first word are not read."
    for strand in (rows, DNA.reverse_complement(rows)):
        for phase in range(phases):
            for first in range(0, len(rows), ROWS):
                yield strand[first : first + ROWS, phase:]


def plain_likelihoods(lm, rows: np.ndarray) -> np.ndarray:
    "Log-likelihoods less that of the first row: sums over the letters that a view predicts, the mean over views."
    phases = lm.tokenizer.stride
    found = np.full((2, phases, *rows.shape), np.nan, np.float32)
    batches = (letter_log_probs(lm, batch) for batch in in_views(rows, phases))
    for reverse in (0, 1):
        for phase in range(phases):
            for first in range(0, len(rows), ROWS):
                part = next(batches)
                place = found[reverse, phase, first : first + ROWS]
                if reverse:
                    place[:, : part.shape[1]] = part[:, ::-1]
                else:
                    place[:, phase:] = part
    likelihood = np.nansum(found.reshape(-1, *rows.shape), 2, dtype=np.float64).mean(0)
    return likelihood[1:] - likelihood[0]


def plain_answers(model, rows: np.ndarray) -> np.ndarray:
    "Answers less that for the first row."
    answers = model.predict_proba(list(rows), exact=True, batch_bases=ROWS * rows.shape[1])
    return answers[1:] - answers[0]


def measurements(quick: bool):
    "All measurements of this benchmark."
    codes = sample_codes(0.1)
    predictors = {"tiny": KmerTokenizer(5, 2)} if quick else {"tiny": KmerTokenizer(5, 2), "small": KmerTokenizer(6, 6)}
    models = {preset: trained(preset, 500, tokenizer) for preset, tokenizer in predictors.items()}
    cases = [(f"{preset} predictor", model, plain_answers) for preset, model in models.items()]
    cases.append(("bacteria-small", load_model("bacteria-small", "cpu"), plain_likelihoods))
    for name, model, plain in cases:
        lengths = (150, 600)
        if quick:
            lengths = (60,) if plain is plain_answers else (30,)
        for length in lengths:
            piece = codes[50_000 : 50_000 + length]
            rows = edited(piece)
            found = saturation(model, piece).delta
            own = found[~np.isnan(found[..., 0])].reshape(len(rows) - 1, -1)
            title = f"mutagenesis {name}, {length} bases"
            yield compare(
                title,
                "M changes/s",
                lambda model=model, piece=piece: saturation(model, piece),
                lambda model=model, rows=rows, plain=plain: plain(model, rows),
                f"batches of {ROWS} edited sequences, float32",
                (len(rows) - 1) / 1e6,
                goal=1.8,
                repetitions=1 if quick else 3,
            )
            with torch.inference_mode():
                far = float(np.abs(own - plain(model, rows).reshape(own.shape)).max())
            yield measurement(f"{title}, largest difference", far, "of an answer", goal="at most 1e-5")
