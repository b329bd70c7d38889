"""Likelihood ratios of variants by `bacteria-small`, beside two windows read for each; memory of a long VCF.

The windows of the baseline are the same: from the letter at which the library begins to read to the end of the flank,
in batches of 64, with all strands and phases.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import compare, measurement, sample_codes

from genomic_ulmfit.model.likelihood import letter_log_probs
from genomic_ulmfit.model.model import load_model
from genomic_ulmfit.seq.alphabet import DNA, decode_bases
from genomic_ulmfit.tasks.alleles import Edit, moved_on, on_other_strand
from genomic_ulmfit.tasks.edits import Reading, Strand, likelihood_ratios


def random_changes(codes, places) -> list[Edit]:
    "A letter replaced at each place; at every tenth two letters deleted."
    edits = [Edit(int(place), 1, (codes[[place]] + 1 + i % 3) % 4) for i, place in enumerate(places)]
    return [Edit(edit.first, 2, edit.alt[:0]) if i % 10 == 0 else edit for i, edit in enumerate(edits)]


def windows_of(lm, codes, edits, reading) -> tuple[list, list, list]:
    "Two windows for each change, strand and phase, and the change that they are of."
    before, after, owner = [], [], []
    for reverse in (False, True):
        strand = Strand(DNA.reverse_complement(codes) if reverse else codes, False)
        for number, edit in enumerate(edits):
            edit = moved_on(on_other_strand(edit, len(codes), DNA) if reverse else edit, strand.codes)
            end = edit.first + edit.n_ref
            for phase in range(lm.tokenizer.stride):
                start = strand.window_start(edit.first // reading.step, reading) + phase
                flank = strand.codes[end : end + reading.flank]
                before.append(strand.codes[start : end + reading.flank])
                after.append(np.concatenate([strand.codes[start : edit.first], edit.alt, flank]))
                owner.append(number)
    return before, after, owner


def by_pairs(lm, codes, edits, reading, batch=64) -> np.ndarray:
    "Ratios of changes from two whole windows each, in batches, the longest first."
    before, after, owner = windows_of(lm, codes, edits, reading)
    windows = before + after
    total = np.zeros(len(windows))
    order = np.argsort([-len(window) for window in windows], kind="stable")
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        padded = np.full((len(rows), len(windows[rows[0]])), DNA.padding, np.uint8)
        for row, number in enumerate(rows):
            padded[row, : len(windows[number])] = windows[number]
        total[rows] = np.nansum(letter_log_probs(lm, padded), 1, dtype=np.float64)
    difference = total[len(before) :] - total[: len(before)]
    return np.bincount(owner, difference) / (2 * lm.tokenizer.stride)


def many_records(n: int) -> float:
    "MB that a process holds at most which annotates so many records."
    code = """if True:
        import sys
        from pathlib import Path
        import torch
        from common import peak_memory
        from genomic_ulmfit.model.config import ModelConfig
        from genomic_ulmfit.model.model import LanguageModel
        from genomic_ulmfit.nets.awdlstm import PRESETS, language_model
        from genomic_ulmfit.tasks.annotate import annotate_variants
        from genomic_ulmfit.text.kmers import KmerTokenizer

        nano, tokenizer = PRESETS["nano"], KmerTokenizer(3, 3)
        lm = LanguageModel(language_model(tokenizer, nano), ModelConfig(nano, tokenizer))
        folder = Path(sys.argv[1])
        annotate_variants(lm, folder / "ref.fa", folder / "in.vcf", folder / "out.vcf.gz", table=folder / "t.parquet",
                          window=15, both_strands=False, phases=1)
        print(peak_memory())
    """
    with tempfile.TemporaryDirectory() as folder:
        letters = decode_bases(sample_codes(1))
        Path(folder, "ref.fa").write_text(f">one\n{letters}\n")
        with open(Path(folder, "in.vcf"), "w") as file:
            file.write("##fileformat=VCFv4.2\n##contig=<ID=one>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
            for i in range(n):
                place = i * (len(letters) - 1) // n
                ref = letters[place]
                file.write(f"one\t{place + 1}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.\n")
        command = [sys.executable, "-c", code, folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    return float(done.stdout.split()[-1])


def measurements(quick: bool):
    lm = load_model("bacteria-small", "cpu")
    codes = sample_codes(0.2)
    reading = Reading()
    for name, step, n in (("one in 3 bases", 3, 10 if quick else 300), ("one in 500 bases", 500, 3 if quick else 100)):
        edits = random_changes(codes, 50_000 + step * np.arange(n))
        own = likelihood_ratios(lm, codes, edits, reading)[:, 0]
        pairs = by_pairs(lm, codes, edits, reading)
        largest = float(np.abs(own - pairs).max())
        yield measurement(f"variants {name}: largest difference", largest, "nats", goal="at most 1e-5")
        product, baseline = (
            lambda: likelihood_ratios(lm, codes, edits, reading),
            lambda: by_pairs(lm, codes, edits, reading),
        )
        repetitions, goal = (1 if quick else 3), (3 if step == 3 else None)
        unit, said = "M variants/s", "pairs of windows in batches"
        yield compare(f"variants {name}", unit, product, baseline, said, n / 1e6, goal=goal, repetitions=repetitions)
    for n in (500, 2_000) if quick else (10_000, 1_000_000):
        yield measurement(f"variants memory, {n:,} records", many_records(n), "MB")
