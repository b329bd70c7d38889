from fastai.torch_core import default_device
from fastai.torch_core import rank_distrib
from fastai.torch_core import set_seed
from fastprogress.fastprogress import progress_bar
from pathlib import Path
from tempfile import TemporaryDirectory
import argparse
import json
import numpy as np
import os
import re
import shutil
import sys
import torch

from genomic_ulmfit.demo import run_demo
from genomic_ulmfit.model.folder import find_device
from genomic_ulmfit.model.model import GenomeModel, load_model
from genomic_ulmfit.nets.awdlstm import PRESETS
from genomic_ulmfit.report.metrics import classification_metrics
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.records import ReadSummary, read_sequences
from genomic_ulmfit.seq.tables import label_numbers, read_table
from genomic_ulmfit.taxa.agents import agent_rows, read_agents
from genomic_ulmfit.taxa.calibrate import calibrate as fit_calibration
from genomic_ulmfit.taxa.confusion import fit_confusion
from genomic_ulmfit.taxa.formats import classify_files, merge_samples
from genomic_ulmfit.taxa.model import TaxonModel
from genomic_ulmfit.taxa.page import write_screen
from genomic_ulmfit.taxa.screen import ABSENT, compare, screen_sample
from genomic_ulmfit.taxa.taxonomy import read_taxonomy
from genomic_ulmfit.taxa.words import SMALL, build_words
from genomic_ulmfit.text.corpus import GenomeCorpus
from genomic_ulmfit.text.kmers import KmerTokenizer, UNKNOWN
from genomic_ulmfit.text.labelled import labelled_table, table_codes
from genomic_ulmfit.text.loaders import GenomeLMDataLoaders, ReadDataLoaders
from genomic_ulmfit.text.reads import CorpusReads
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.train.learner import genome_classifier_learner, genome_lm_learner


def count(text: str) -> int:
    "A number with an optional k, M or G: `50M` is 50 million."
    scale = {"k": 10**3, "m": 10**6, "g": 10**9}.get(text[-1:].lower(), 1)
    try: n = int(float(text if scale == 1 else text[:-1]) * scale)
    except ValueError: raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 500000, 200k or 50M") from None
    return n


def lengths(text: str):
    "A read length, `150`, or a range of lengths, `100-300`."
    try: low, _, high = text.partition("-"); return (int(low), int(high)) if high else int(low)
    except ValueError: raise argparse.ArgumentTypeError(f"{text!r} is neither a length such as 150 nor a range such as 100-300") from None


def _write_json(where, figures: dict):
    "Figures as JSON to a file, or `-` for standard output."
    text = json.dumps(figures, indent=1)
    if where == "-": print(text)
    elif where: Path(where).write_text(text + "\n")


def corpus_build(args):
    "Stream sequence files into a corpus."
    one_table = len(args.sources) == 1 and Path(args.sources[0]).suffix in (".tsv", ".csv")
    source = args.sources[0] if one_table else args.sources
    corpus = GenomeCorpus.build(source, args.out, labels=args.labels, base=args.base, hold_out=args.hold_out, overwrite=args.overwrite, progress=progress_bar)
    print(corpus)
    for key, what in (("ambiguous", "ambiguous bases"), ("empty_records", "empty records left out"), ("repeated_records", "records that repeat another")):
        if corpus.info[key]: print(f"{corpus.info[key]:,} {what}")
    _write_json(args.json, {k: v for k, v in corpus.info.items() if k != "sources"} | {"splits": {k: int(v) for k, v in corpus.splits.items()}})


def _sources(corpus: GenomeCorpus) -> dict:
    "What a model folder says about its training text."
    return {"corpus": corpus.path.name, "corpus_sha256": corpus.info["files"]["bases.bin"]["sha256"], "training_files": [s for s in corpus.info["sources"] if s["split"] == "train"]}


def _fit(learn, args, about: dict, **kwargs):
    "Train for the budget asked for, save the model folder, remove the checkpoints."
    out, checkpoints = Path(args.out), Path(f"{args.out}.checkpoints")
    if out.exists() and not (out / "config.json").exists(): raise InputError(out, "exists already and is not a model folder", "Choose another folder")
    if checkpoints.exists() and not args.resume:
        raise InputError(checkpoints, "holds checkpoints of a run that did not end", "Add --resume to go on, or remove it to start anew")
    if args.resume and not checkpoints.exists() and out.exists():
        print(f"{out} is finished: there is nothing to go on with")
        return
    budget = {"tokens": args.tokens, "minutes": args.minutes, "epochs": getattr(args, "epochs", None)}
    learn.fit_budget(args.lr, **budget, parts=args.parts, checkpoints=checkpoints, resume=args.resume, **kwargs)
    if rank_distrib(): return  # one of several processes is enough to save it
    figures = learn.figures
    model = learn.to_model(**about, budget={k: v for k, v in budget.items() if v}, seed=args.seed, figures=figures)
    model.save(out)
    shutil.rmtree(checkpoints, ignore_errors=True)
    print(f"{model}\nsaved to {out}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    _write_json(args.json, {"model": str(out), **figures})


def _lm_loaders(args, tokenizer) -> tuple[GenomeCorpus, GenomeLMDataLoaders]:
    corpus = GenomeCorpus(args.corpus)
    return corpus, GenomeLMDataLoaders.from_corpus(corpus, tokenizer=tokenizer, bs=args.bs, tokens=args.window, seed=args.seed)


def pretrain(args):
    "Stage 1: a language model on genomes."
    set_seed(args.seed)
    corpus, dls = _lm_loaders(args, KmerTokenizer(args.k, args.stride))
    _fit(genome_lm_learner(dls, args.preset), args, _sources(corpus))


def finetune(args):
    "Stage 2: a pretrained language model goes on with the target's text."
    set_seed(args.seed)
    model = load_model(args.model)
    corpus, dls = _lm_loaders(args, model.tokenizer)
    _fit(genome_lm_learner(dls, pretrained=model), args, {**_sources(corpus), "pretrained": model.about}, lr_div=2)


def train(args):
    "Stage 3: a classifier on the encoder of a language model."
    set_seed(args.seed)
    model = load_model(args.pretrained) if args.pretrained else None
    tokenizer, about = model.tokenizer if model else KmerTokenizer(args.k, args.stride), {"label": args.label, "pretrained": model.about if model else "none: trained from scratch"}
    if _is_corpus(args.data):
        corpus = GenomeCorpus(args.data)
        dls = ReadDataLoaders.from_corpus(corpus, args.label, tokenizer, length=args.length, error_rate=args.errors, bs=args.bs, seed=args.seed)
        about |= {**_sources(corpus), "read_length": list(args.length) if isinstance(args.length, tuple) else args.length, "error_rate": args.errors}
    elif args.labels: dls = ReadDataLoaders.from_fasta(args.data, args.labels, tokenizer=tokenizer, label=args.label, bs=args.bs, seed=args.seed, stranded=args.stranded)
    else: dls = ReadDataLoaders.from_df(_table_file(args.data), tokenizer, label=args.label, bs=args.bs, seed=args.seed, stranded=args.stranded)
    _fit(genome_classifier_learner(dls, pretrained=model, preset=args.preset), args, about, gradual=bool(model))


def _is_corpus(path) -> bool: return Path(path).is_dir()


def _table_file(path):
    "The path, if its name is that of a table."
    if Path(path).suffix in (".tsv", ".csv"): return path
    raise InputError(path, "is neither a corpus nor a table", "Give a corpus folder, a TSV or CSV with sequences, or a FASTA with --labels TABLE")


def _test_reads(args, model: GenomeModel) -> tuple[list, np.ndarray]:
    "Sequences and class numbers to judge a classifier on."
    if _is_corpus(args.data):
        corpus = GenomeCorpus(args.data)
        if args.label not in corpus.labels: raise InputError(args.data, f"has no label {args.label!r}", f"It has: {', '.join(corpus.labels) or 'none'}")
        drawn = CorpusReads(corpus, args.split, args.label, model.classes, model.tokenizer, args.length, args.errors, args.reads, bs=args.reads, augment=False, seed=args.seed)
        codes, y = drawn[0]
        return list(codes.numpy()), y.numpy()
    table = labelled_table(args.data, args.labels) if args.labels else read_table(_table_file(args.data), ["sequence", args.label, "split"])
    table = _rows(table, args)
    return table_codes(table, where=args.data), label_numbers(table[args.label].to_numpy(), model.classes, args.data)


def _text(args) -> Spans:
    "The text to judge a language model on: a corpus split, the rows of a split of a table, or a sequence file."
    if _is_corpus(args.data): return Spans.from_corpus(GenomeCorpus(args.data), args.split)
    if Path(args.data).suffix not in (".tsv", ".csv"): return Spans.from_sequences([r.codes for r in read_sequences(args.data)])
    table = read_table(args.data, ["sequence", "split"])
    return Spans.from_sequences(table_codes(_rows(table, args), where=args.data))


def _rows(table, args):
    "The rows of the split asked for."
    rows = table[table["split"] == args.split]
    if not len(rows): raise InputError(args.data, f"has no rows of the split {args.split!r}", "Choose another with --split")
    return rows


def _views(args) -> dict:
    "How `predict_proba` shall look at a read."
    return {"both_strands": False, "phases": 1} if args.fast else {}


def evaluate(args):
    "Bits per base of a language model, or the metrics of a classifier, on a held-out split."
    model = load_model(args.model)
    if model.kind == "language-model":
        figures = {"bits_per_base": model.bits_per_base(_text(args))}
    else:
        sequences, y = _test_reads(args, model)
        figures = classification_metrics(y, model.predict_proba(sequences, **_views(args)), model.classes)
    for name, value in figures.items():
        if isinstance(value, (int, float)): print(f"{name:16} {value:.4f}" if isinstance(value, float) else f"{name:16} {value:,}")
    _write_json(args.json, figures)


def predict(args):
    "Classify the reads of a file; a line each, in the order of the file."
    model, summary = load_model(args.model), ReadSummary()
    if model.classes is None: raise InputError(args.model, "is a language model and has no classes", "Train a classifier on it with `genomic-ulmfit train`")
    out = open(args.out, "w") if args.out else sys.stdout
    print("id", "label", "confidence", *(model.classes if args.probabilities else ()), sep="\t", file=out)
    short = 0
    for record, p in model.predict_stream(read_sequences(args.reads, summary), **_views(args)):
        short += len(record.codes) < model.tokenizer.k
        if sys.stderr.isatty() and summary.records % 1000 == 0: print(f"\r{summary.records:,} reads", end="", file=sys.stderr)
        more = (f"{x:.4f}" for x in p) if args.probabilities else ()
        print(record.id, model.classes[int(p.argmax())], f"{p.max():.4f}", *more, sep="\t", file=out)
    print(summary, file=sys.stderr)
    if short: print(f"{short:,} records are shorter than a k-mer: their labels mean nothing", file=sys.stderr)
    if args.out: out.close()


def calibrate(args):
    "Make a classifier one of taxa: put a tree over its classes, fit its confidence and threshold on held-out genomes."
    model, corpus, out = load_model(args.model), GenomeCorpus(args.corpus), Path(args.out or args.model)
    if model.classes is None: raise InputError(args.model, "is a language model and has no classes", "Train a classifier on it with `genomic-ulmfit train`")
    tree = read_taxonomy(args.lineages, model.classes, args.label, args.taxdump)
    corpus.split(args.split)
    taxa = TaxonModel(model, tree, _words(corpus, args.label, out / "words", model.classes, args.words) if args.words else None)
    more = {"seed": args.seed, "kraken2": args.kraken2, **_views(args)}
    figures = fit_calibration(taxa, corpus, args.label, args.split, **more)
    if "train" in corpus.splits: fit_confusion(taxa, corpus, args.label, **more)
    else: print("no split train in the corpus: confusions are not measured, and `screen` won't work", file=sys.stderr)
    taxa.save(out)
    chosen = next(t for t in figures["thresholds"] if t["chosen"])
    print(f"{taxa}\n{figures['reads']:,} reads of {figures['classes']} classes: calibration error {figures['ece']:.3f}, before {figures['ece_before']:.3f}")
    print(f"threshold {chosen['threshold']}: {chosen['right']:.1%} of the reads right, {chosen['wrong']:.1%} wrong, {chosen['hidden given a genus']:.1%} given a genus when theirs is hidden\nsaved to {out}")
    _write_json(args.json, figures)


def _words(corpus, label: str, folder: Path, classes, size: str):
    "A table of words, large or small."
    if size == "large": return build_words(corpus, label, folder, classes)
    with TemporaryDirectory() as place: return build_words(corpus, label, Path(place) / "words", classes, one_in=SMALL).pack(folder)


def classify(args):
    "Give each read, or read pair, to a taxon, and write the sample in Kraken's formats."
    model = TaxonModel.load(args.model)
    if args.kraken2 and not model.calibration.kraken2: raise InputError(args.kraken2, "can't be weighed: the model was calibrated without Kraken2's output", "Calibrate it with the database (`genomic-ulmfit calibrate --kraken2 DB`), or leave --kraken2 away")
    threshold = model.threshold if args.threshold is None else args.threshold
    sample, summary = classify_files(model, args.reads, args.mates, args.report, args.output, args.table, threshold, kraken2=args.kraken2, **_views(args))
    print(f"{summary}; {sample.reads - sample.unclassified:,} of {sample.reads:,} {'pairs' if args.mates else 'reads'} classified at a confidence of {threshold:.2f}", file=sys.stderr)
    if not (args.report or args.output or args.table or args.json): print(sample.kreport(), end="")
    _write_json(args.json, {"model": str(args.model), "threshold": threshold, **sample.to_dict()})


def merge(args):
    "Put the samples that `classify --json` wrote into one BIOM table."
    names = [_sample_name(f) for f in args.samples]
    if len(set(names)) < len(names): raise InputError(max(names, key=names.count), "is the name of two samples", "Give the files different names")
    merge_samples(dict(zip(names, args.samples)), args.out)
    print(f"{len(names)} samples in {args.out}")


def _sample_name(file: str) -> str:
    "The name of a file without folder and endings."
    return Path(file).name.split(".")[0]


def _pair_name(files: list[str]) -> str:
    "The name of a sample: of a pair without the mark of the mate, `other` of other_R1.fq.gz and other_R2.fq.gz."
    name = _sample_name(files[0])
    return re.sub(r"[_-]R?1(_\d{3})?$", "", name) if len(files) == 2 else name


def screen(args):
    "Screen samples for the agents of a list."
    model, (agents, about), out = TaxonModel.load(args.model), read_agents(args.agents), Path(args.out)
    files = [f.split(",") for f in [*args.samples, *([args.control] if args.control else [])]]
    names = [_pair_name(f) for f in files]
    agent_rows(model.tree, agents)  # found out before the reads are judged
    if args.kraken2 and len(args.kraken2) != len(files): raise InputError(args.kraken2[-1], f"is the last of {len(args.kraken2)} files of Kraken2, for {len(files)} samples", "Give --kraken2 once for each sample, and last for the control")
    if len(set(names)) < len(names): raise InputError(max(names, key=names.count), "is the name of two samples", "Give the files different names")
    screens, totals = {}, {}
    out.mkdir(parents=True, exist_ok=True)
    for name, pair, matches in zip(names, files, args.kraken2 or [None] * len(files)):
        if len(pair) > 2: raise InputError(",".join(pair), "is more than a pair of files", "Join the two files of a pair by a comma, and give samples one by one")
        sample, summary = classify_files(model, *pair, report=out / f"{name}.kreport", overlaps=True, kraken2=matches, **_views(args))
        screens[name], totals[name] = screen_sample(sample, model, agents), sample.reads
        print(f"{name}: {summary}", file=sys.stderr)
    table = compare(screens, totals, names[-1] if args.control else None)
    page = write_screen(out, table, totals, about, args.model)
    found, strangers = table[~table["decision"].isin([ABSENT, UNKNOWN])], table[table["decision"] == UNKNOWN]["agent"].unique()
    print(found[["sample", "agent", "decision"]].to_string(index=False) if len(found) else "no agent of the list detected")
    if len(strangers): print(f"not screened for, since the model never learned them: {', '.join(strangers)}")
    print(f"wrote {page}. A research tool, not a diagnosis.")
    _write_json(args.json, json.loads((out / "screen.json").read_text()))


def demo(args):
    "Everything, from genomes to a tested classifier and a report."
    _write_json(args.json, run_demo(args.out, table=args.genomes, label=args.label, minutes=args.minutes, preset=args.preset, test_reads=args.reads, seed=args.seed))


def _common(p, *, random=True, json=True):
    p.add_argument("--seed", type=int, default=0, help="random seed (default 0)" if random else "taken as by all commands; nothing is random here")
    if json: p.add_argument("--json", metavar="FILE", help="write the figures as JSON; - for standard output")


def _budget(p, lr: float, bs: int, epochs: bool = False):
    group = p.add_mutually_exclusive_group(required=True)
    group.add_argument("--tokens", type=count, help="train on so many k-mers, e.g. 50M")
    group.add_argument("--minutes", type=float, help="or for so many minutes")
    if epochs: group.add_argument("--epochs", type=int, help="or for so many passes over the training sequences")
    p.add_argument("--parts", type=int, help="validations and checkpoints during the budget (unless given 5, or one in ten minutes)")
    p.add_argument("--lr", type=float, default=lr, help=f"highest learning rate (default {lr})")
    p.add_argument("--bs", type=int, default=bs, help=f"rows in a batch (default {bs})")
    p.add_argument("--resume", action="store_true", help="go on from the last checkpoint of an interrupted run")


def _reads(p):
    p.add_argument("--label", default="label", help="label column, e.g. genus (default label)")
    p.add_argument("--labels", metavar="TABLE", help="with a FASTA: TSV or CSV with the columns id, label, split")
    p.add_argument("--length", type=lengths, default=150, help="length of reads drawn from a corpus, e.g. 150 or 100-300 (default 150)")
    p.add_argument("--errors", type=float, default=0.0, help="substitutions per base in reads drawn from a corpus (default 0)")


def _fast(p):
    p.add_argument("--fast", action="store_true", help="judge reads once as they are, not both strands and all reading phases: several times faster, a little less accurate")


def _kmers(p):
    p.add_argument("--k", type=int, default=5, help="bases in a k-mer, 1 to 8 (default 5)")
    p.add_argument("--stride", type=int, default=2, help="bases from one k-mer to the next (default 2)")
    p.add_argument("--preset", choices=list(PRESETS), default="small", help="size of the model (default small)")


def parser() -> argparse.ArgumentParser:
    "The arguments of all commands."
    top = argparse.ArgumentParser(prog="genomic-ulmfit", description="ULMFiT for genomes: pretrain a language model on k-mers, fine-tune it, classify reads.")
    top.add_argument("--device", help="cpu, cuda or mps, before the command (default: the best there is)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(function, where=commands, name=None, more=""):
        p = where.add_parser(name or function.__name__, help=function.__doc__, description=function.__doc__ + more)
        p.set_defaults(function=function)
        return p

    p = add(demo, more=" Without arguments it uses the genomes shipped with the package and takes about five minutes on two cores.")
    p.add_argument("--out", default="demo-out", help="folder for results.json, model/ and report.html (default demo-out)")
    p.add_argument("--genomes", metavar="TABLE", help="TSV of your own genomes with the columns file, split (train, valid, test) and the label")
    p.add_argument("--label", default="genus", help="label column (default genus)")
    p.add_argument("--minutes", type=float, default=4.7, help="minutes of training in all (default 4.7)")
    p.add_argument("--preset", choices=list(PRESETS), default="nano", help="size of the model (default nano)")
    p.add_argument("--reads", type=int, default=5000, help="test reads (default 5000)")
    _common(p)

    builders = commands.add_parser("corpus", help="Make a corpus from sequence files.").add_subparsers(dest="action", required=True, metavar="ACTION")
    p = add(corpus_build, builders, "build", " A table has the column file (paths relative to it), and may have split (train, valid, test) and labels.")
    p.add_argument("sources", nargs="+", help="FASTA, FASTQ or GenBank files (plain or .gz), or one table (.tsv, .csv)")
    p.add_argument("--out", required=True, help="folder to make")
    p.add_argument("--labels", type=lambda s: s.split(","), default=[], help="label columns to keep, e.g. species,genus")
    p.add_argument("--base", help="folder that the table's paths are relative to (default: the table's)")
    p.add_argument("--hold-out", type=int, default=0, metavar="N", help="move every N-th record of a training file to the split valid")
    p.add_argument("--overwrite", action="store_true", help="replace an existing corpus")
    _common(p, random=False)

    p = add(pretrain, more=" Learns from the split train of a corpus and watches valid.")
    p.add_argument("corpus", help="corpus folder")
    p.add_argument("--out", required=True, help="model folder to make")
    _kmers(p); _budget(p, 1e-2, 64)
    p.add_argument("--window", type=int, default=128, help="k-mers the model reads in one piece (default 128)")
    _common(p)

    p = add(finetune)
    p.add_argument("model", help="folder of a pretrained language model, or the name of one that comes with the package, e.g. bacteria-small")
    p.add_argument("corpus", help="corpus folder of the target's text")
    p.add_argument("--out", required=True, help="model folder to make")
    _budget(p, 2e-3, 64)
    p.add_argument("--window", type=int, default=73, help="k-mers the model reads in one piece (default 73: a read of 150 bases at k 5, stride 2)")
    _common(p)

    p = add(train, more=" Reads are drawn from a corpus, each class equally often, or taken from a table or a FASTA.")
    p.add_argument("data", help="corpus folder, table with the columns sequence, label, split, or FASTA with --labels")
    p.add_argument("--pretrained", metavar="MODEL", help="folder of a language model, or the name of one that comes with the package, e.g. bacteria-small; without it the classifier is trained from scratch")
    p.add_argument("--out", required=True, help="model folder to make")
    p.add_argument("--stranded", action="store_true", help="the sequences of the table or FASTA have a direction, as promoters do: leave the other strand alone")
    _reads(p); _kmers(p); _budget(p, 4e-3, 128, epochs=True); _common(p)

    p = add(predict, more=" Writes a TSV: id, label, confidence.")
    p.add_argument("model", help="folder of a classifier")
    p.add_argument("reads", help="FASTA or FASTQ, plain or .gz; - for standard input")
    p.add_argument("--out", help="file to write (default standard output)")
    p.add_argument("--probabilities", action="store_true", help="add a column per class")
    _fast(p); _common(p, random=False, json=False)

    p = add(calibrate, more=" It needs a corpus with genomes of the classes in the split valid.")
    p.add_argument("model", help="folder of a classifier")
    p.add_argument("corpus", help="corpus folder with the label")
    p.add_argument("--lineages", required=True, metavar="TABLE", help="TSV or CSV with the classes and a column per rank (domain … species), or a column lineage in GTDB's form, or with --taxdump a column taxid")
    p.add_argument("--taxdump", metavar="DIR", help="folder of NCBI's nodes.dmp and names.dmp")
    p.add_argument("--label", default="species", help="label column that holds the classes (default species)")
    p.add_argument("--split", default="valid", help="split of the held-out genomes (default valid)")
    p.add_argument("--words", choices=("large", "small"), help="add a table of exact matches from the split train: large, 1.8 bytes for each base of the genomes, or small, 0.03 bytes")
    p.add_argument("--kraken2", metavar="DB", help="weigh in the matches of this database of Kraken2, which has the taxids of the lineages; its output is then needed to classify")
    p.add_argument("--out", help="folder to write (default: MODEL itself)")
    _fast(p); _common(p)

    p = add(classify, more=" Without any output named it prints Kraken's report.")
    p.add_argument("model", help="folder of a calibrated classifier")
    p.add_argument("reads", help="FASTA or FASTQ, plain or .gz; - for standard input")
    p.add_argument("mates", nargs="?", help="the second file of read pairs")
    p.add_argument("--report", metavar="FILE", help="Kraken's report of the sample to write")
    p.add_argument("--output", metavar="FILE", help="Kraken's line per read to write")
    p.add_argument("--table", metavar="FILE", help="Parquet to write: a row per read with all ranks and probabilities")
    p.add_argument("--threshold", type=float, help="least confidence of a taxon (default: the model's)")
    p.add_argument("--kraken2", metavar="FILE", help="`kraken2 --output` of the same reads, for a model that was calibrated with it")
    _fast(p); _common(p, random=False)

    p = add(merge)
    p.add_argument("samples", nargs="+", help="JSON files written by `genomic-ulmfit classify --json`")
    p.add_argument("--out", required=True, metavar="FILE", help="BIOM file to write")
    _common(p, random=False, json=False)

    p = add(screen, more=" Writes report.html, screen.tsv, screen.json, and Kraken's report of each sample.")
    p.add_argument("model", help="folder of a calibrated classifier")
    p.add_argument("samples", nargs="+", help="FASTA or FASTQ of each sample, plain or .gz; the two files of a pair with a comma between")
    p.add_argument("--out", required=True, help="folder to write")
    p.add_argument("--agents", metavar="FILE", help="TSV with the columns agent and taxa (default: the bacteria of the US select agent lists)")
    p.add_argument("--kraken2", metavar="FILE", action="append", help="`kraken2 --output` of a sample, once for each in their order and last for the control: its reads stand beside the model's, and are weighed in by a model that was calibrated with them")
    p.add_argument("--control", metavar="FILE", help="one more sample: the negative control that the others are held against")
    _fast(p); _common(p, random=False)

    p = add(evaluate)
    p.add_argument("model", help="model folder")
    p.add_argument("data", help="corpus folder, table, or FASTA (with --labels for a classifier)")
    p.add_argument("--split", default="test", help="split to judge on (default test)")
    p.add_argument("--reads", type=count, default=10_000, help="reads to draw from a corpus (default 10k)")
    _fast(p)
    _reads(p); _common(p)
    return top


def main(argv=None) -> int:
    "Run a command; returns the exit code."
    args = parser().parse_args(argv)
    try:
        if args.device: default_device(find_device(args.device).type != "cpu")
        args.function(args)
    except BrokenPipeError: return 0
    except KeyboardInterrupt: return 130
    except (ValueError, OSError) as e:  # `InputError` is a ValueError; an OSError is a disk that is full, say
        print(f"genomic-ulmfit: {e}", file=sys.stderr)
        return 2
    if torch.distributed.is_initialized(): _end_process()
    return 0


def _end_process():
    "End one of several processes without the interpreter's farewell: PyTorch (2.13) keeps gloo's threads after `destroy_process_group`, and they can abort it."
    torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
