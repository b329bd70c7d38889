from contextlib import contextmanager
from fastai.torch_core import set_seed
from importlib.metadata import version
from pathlib import Path
import json
import math
import numpy as np
import os
import pandas as pd
import platform
import resource
import time

from genomic_ulmfit.model.model import GenomeModel, load_model
from genomic_ulmfit.report.baselines import fit_kmer_logreg, fit_kmer_nb, markov_bits_per_base
from genomic_ulmfit.report.figures import plot_confusion, plot_curves, plot_reliability, plot_scores
from genomic_ulmfit.report.metrics import classification_metrics, paired_difference, reliability
from genomic_ulmfit.report.page import section, write_page
from genomic_ulmfit.seq.tables import read_table
from genomic_ulmfit.taxa.agents import read_agents
from genomic_ulmfit.taxa.model import TaxonModel
from genomic_ulmfit.taxa.page import write_screen
from genomic_ulmfit.taxa.sample import Sample
from genomic_ulmfit.taxa.screen import DETECTED, compare, screen_sample
from genomic_ulmfit.text.corpus import GenomeCorpus, SAMPLE
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.text.loaders import GenomeLMDataLoaders, ReadDataLoaders
from genomic_ulmfit.text.reads import CorpusReads
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.train.learner import GenomeLearner, genome_classifier_learner, genome_lm_learner


SHARES = {"pretrain": 0.31, "finetune": 0.04, "classifier": 0.325, "from_scratch": 0.325}  # of the training minutes


READ_LENGTH, TRAIN_READS, VALID_READS = 150, 200_000, 2_000  # reads for the baselines, reads to watch


LR = {"pretrain": 1e-2, "finetune": 2.5e-3, "classifier": 4e-3}


class Stages:
    "Prints where the demonstration is and how long it will still take, and keeps the seconds of each stage."

    def __init__(self, expected: dict[str, float]): self.expected, self.seconds = expected, {}

    @contextmanager
    def __call__(self, name: str):
        left = sum(s for n, s in self.expected.items() if n not in self.seconds)
        print(f"\n[{len(self.seconds) + 1}/{len(self.expected)}] {name.replace('_', ' ')} (about {self.expected[name] / 60:.1f} min; {left / 60:.1f} min left in all)", flush=True)
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start


def build_corpus(source, label: str, out: Path) -> GenomeCorpus:
    "The corpus in `out`; where no genome is marked `valid`, every tenth record of the training genomes is set aside to watch training."
    genomes = read_table(source, ["file", "split", label])
    base = None if isinstance(source, pd.DataFrame) else Path(source).parent
    out.mkdir(parents=True, exist_ok=True)
    hold_out = 0 if (genomes["split"] == "valid").any() else 10
    corpus = GenomeCorpus.build(genomes, out / "corpus", labels=[label], base=base, hold_out=hold_out, overwrite=True)
    print(corpus)
    return corpus


def train_language_model(corpus: GenomeCorpus, stage: str, tokenizer: KmerTokenizer, preset, pretrained, minutes: float, seed: int) -> tuple[GenomeModel, pd.DataFrame]:
    "Stage 1 (`pretrain`) or 2 (`finetune`): the language model and its learning curve."
    bs, tokens = (64, 100) if stage == "pretrain" else (128, tokenizer.n_tokens(READ_LENGTH))
    dls = GenomeLMDataLoaders.from_corpus(corpus, tokenizer=tokenizer, bs=bs, tokens=tokens, valid_batches=20, seed=seed)
    learn = genome_lm_learner(dls, preset, pretrained=pretrained)
    learn.fit_budget(LR[stage], minutes=minutes)
    return learn.to_model(), learning_curve(learn, bs * tokens, 1 / math.log(2) / tokenizer.stride)


def train_classifier(corpus: GenomeCorpus, label: str, tokenizer: KmerTokenizer, preset, pretrained, minutes: float, seed: int) -> tuple[GenomeModel, pd.DataFrame]:
    "Stage 3, from a language model or from scratch: the classifier and its learning curve."
    set_seed(seed)
    dls = ReadDataLoaders.from_corpus(corpus, label, tokenizer, length=READ_LENGTH, valid_reads=VALID_READS, bs=128, seed=seed)
    learn = genome_classifier_learner(dls, pretrained=pretrained, preset=preset)
    learn.fit_budget(LR["classifier"], minutes=minutes)
    return learn.to_model(label=label, read_length=READ_LENGTH), learning_curve(learn, 128 * (1 + tokenizer.n_tokens(READ_LENGTH)), 1.0)


def learning_curve(learn: GenomeLearner, tokens: int, scale: float) -> pd.DataFrame:
    "Running training loss and validation loss, times `scale`, against million tokens."
    r = learn.recorder
    curve = pd.DataFrame({"tokens": np.arange(1, len(r.losses) + 1) * tokens / 1e6, "train": [float(x) * scale for x in r.losses], "valid": np.nan})
    at = [min(i, len(curve)) - 1 for i in r.iters]
    curve.loc[at, "valid"] = [float(v[-2]) * scale for v in r.values]
    return curve.iloc[:: max(len(curve) // 400, 1)].combine_first(curve.loc[at]).sort_index()


NAMES = {
    "pretrained": "pretrained, fine-tuned, classifier (this package)", "from_scratch": "the same network from scratch", "kmer_logreg": "k-mer counts + logistic regression",
    "kmer_nb_8": "naive Bayes over 8-mers", "kmer_nb_11": "naive Bayes over 11-mers", "majority": "majority class",
}


def draw(corpus: GenomeCorpus, split: str, label: str, classes: list[str], tokenizer: KmerTokenizer, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    "`n` error-free reads of a split: base codes (n, bases) and class numbers (n,)."
    codes, y = CorpusReads(corpus, split, label, classes, tokenizer, READ_LENGTH, reads=n, bs=n, augment=False, seed=seed)[0]
    return codes.numpy(), y.numpy()


def majority_probs(corpus: GenomeCorpus, label: str, classes: list[str], n: int) -> np.ndarray:
    "Always the class with the most training bases."
    bases = corpus.split("train").groupby(label)["length"].sum().reindex(classes)
    return np.tile(np.eye(len(classes))[int(bases.to_numpy().argmax())], (n, 1))


def baseline_probs(corpus: GenomeCorpus, label: str, classes: list[str], tokenizer: KmerTokenizer, reads: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    "Class probabilities of `reads` by each baseline that isn't a network."
    get = lambda split, n, s: draw(corpus, split, label, classes, tokenizer, n, s)
    x, y = get("train", TRAIN_READS, seed + 10)
    probs = {"majority": majority_probs(corpus, label, classes, len(reads))}
    probs["kmer_logreg"] = fit_kmer_logreg(x, y, valid=get("valid", VALID_READS, seed + 1)).predict_proba(reads)
    rows = corpus.split("train")
    genomes, taxa = [corpus.codes(i) for i in rows.index], pd.Index(classes).get_indexer(rows[label])
    for k in (8, 11): probs[f"kmer_nb_{k}"] = fit_kmer_nb(genomes, taxa, k).predict_proba(reads)
    return probs


def judge_language_models(corpus: GenomeCorpus, general: GenomeModel, tuned: GenomeModel) -> dict[str, float]:
    "Bits per base on the test genomes: of the language models (on at most 60 batches of windows drawn from all of them), and of a Markov chain."
    spans = Spans.from_corpus(corpus, "test")
    codes = {s: [corpus.codes(i) for i in corpus.split(s).index] for s in ("train", "test")}
    return {
        "bits_per_base": general.bits_per_base(spans, max_batches=60), "bits_per_base_finetuned": tuned.bits_per_base(spans, tokens=tuned.tokenizer.n_tokens(READ_LENGTH), max_batches=60),
        "markov5_bits_per_base": markov_bits_per_base(codes["train"], codes["test"], order=5),
    }


def standard_error(accuracy: float, n: int) -> float:
    "Binomial standard error of an accuracy on n reads."
    return math.sqrt(accuracy * (1 - accuracy) / n)


def _tied(baseline: dict) -> bool:
    "Whether the lead is less than two standard errors from zero."
    lead = baseline["lead_of_pretrained"]
    return abs(lead["accuracy"]) < 2 * lead["standard_error"]


def _beaten(baseline: dict) -> bool: return not _tied(baseline) and baseline["lead_of_pretrained"]["accuracy"] > 0


def verdict(own: dict, baselines: dict[str, dict]) -> list[str]:
    "Sentences that compare the pretrained classifier with its baselines, by each baseline's `lead_of_pretrained`."
    wins, ties, losses = [], [], []
    for name, other in baselines.items():
        (ties if _tied(other) else wins if _beaten(other) else losses).append(f"{NAMES[name]} ({other['accuracy']:.3f})")
    text = [f"On reads of strains it has never seen, the classifier finds the right class for {own['accuracy']:.1%} of {own['n']:,} reads."]
    if wins: text.append(f"It beats {', '.join(wins)}.")
    if ties: text.append(f"It ties with {', '.join(ties)}.")
    if losses: text.append(f"It loses to {', '.join(losses)}.")
    return text


def _lead(score: dict) -> str:
    d = score.get("lead_of_pretrained")
    return f"{d['accuracy']:+.3f} ± {d['standard_error']:.3f}" if d else ""


def _score_table(results: dict) -> pd.DataFrame:
    scores = {"pretrained": results["test"], **results["baselines"]}
    order = sorted(scores, key=lambda n: -scores[n]["accuracy"])
    return pd.DataFrame([
        {"method": NAMES[n], "accuracy": f"{s['accuracy']:.3f} ± {standard_error(s['accuracy'], s['n']):.3f}", "lead of pretrained": _lead(s), "macro F1": f"{s['macro_f1']:.3f}", "MCC": f"{s['mcc']:.3f}", "calibration error": f"{s['ece']:.3f}"}
        for n, s in ((n, scores[n]) for n in order)
    ])


def _names(data: dict, most: int = 8) -> str:
    "The test genomes by file name, where they are few."
    names = [Path(f["file"]).name.split(".f")[0].replace("_", " ") for f in data["files"] if f["split"] == "test"]
    return f" ({', '.join(names)})" if len(names) <= most else ""


def _naive_bayes_note(results: dict) -> list[str]:
    "What to say where naive Bayes isn't beaten."
    best = max((results["baselines"][n] for n in ("kmer_nb_8", "kmer_nb_11")), key=lambda b: b["accuracy"])
    if _beaten(best): return []
    return [f"Naive Bayes over long k-mers is {'as good' if _tied(best) else 'better'} here ({best['accuracy']:.3f} against {results['test']['accuracy']:.3f}). The test strains are close relatives of training strains: much of their sequence "
            "stands in a training genome almost word for word, and a method that looks words up profits from that. If all your samples are close relatives of reference genomes, use it, or an aligner."]


def write_report(path, results: dict, curves: dict[str, pd.DataFrame], y: np.ndarray, probs: np.ndarray, classes: list[str]) -> Path:
    "The report of a demonstration."
    lm, d, seconds = results["language_model"], results["data"], results["seconds"]
    scores = {NAMES[n]: s["accuracy"] for n, s in {"pretrained": results["test"], **results["baselines"]}.items()}
    per_class = pd.DataFrame([{"class": c, "reads": v["n"], "precision": f"{v['precision']:.3f}", "recall": f"{v['recall']:.3f}", "F1": f"{v['f1']:.3f}"} for c, v in results["test"]["per_class"].items() if v["n"]])
    sections = [
        section("The figures beside the baselines", ["All methods judge the same reads; ± is one standard error. The majority class is the one with the most training bases: right for no read where no test genome belongs to it."], _score_table(results), NAMES["pretrained"], {"Accuracy on strains never seen.": plot_scores(scores, NAMES["pretrained"])}),
        section("Where it fails", [f"Rows are the true classes of the test reads. The model knows {len(classes)} classes; a read may be given to any of them."], per_class,
                figures={"Confusion matrix: share of the reads of each true class.": plot_confusion(y, probs.argmax(1), classes)}),
        section("Can its confidence be trusted?", [f"The expected calibration error is {results['test']['ece']:.3f}: on average, confidence and accuracy differ by that much."],
                figures={"Reliability diagram: accuracy of the reads that were given a certain confidence.": plot_reliability(reliability(y, probs))}),
        section("What was done", [
            f"1. Corpus: {d['train_genomes']} training genomes, {d['train_bases'] / 1e6:.1f} Mbp; {d['test_genomes']} test genomes of other strains, {d['test_bases'] / 1e6:.1f} Mbp{_names(d)}. Training was watched on {d['valid_bases'] / 1e6:.1f} Mbp that were learned by no stage.",
            f"2. A language model (AWD-LSTM, {results['recipe']['weights']:,} weights, k-mers of {results['recipe']['k']} bases every {results['recipe']['stride']}) was pretrained on the training genomes.",
            "3. It was fine-tuned on pieces of the length of a read.",
            f"4. A classifier was put on its encoder and trained on {READ_LENGTH}-base reads of the training genomes, both strands.",
            f"5. The {results['test']['n']:,} test reads were judged once, averaging both strands and all reading phases.",
            f"On the test strains the pretrained language model needs {lm['bits_per_base']:.4f} bits per base, an order-5 Markov model of the same training text {lm['markov5_bits_per_base']:.4f}; knowing nothing takes 2.",
        ], pd.DataFrame({"stage": [s.replace("_", " ") for s in seconds], "seconds": [f"{v:.0f}" for v in seconds.values()]}),
            figures={"Language model: bits per base while training.": plot_curves({k: curves[k] for k in ("pretrain", "finetune")}, "bits per base"),
                     "Classifier: cross-entropy while training.": plot_curves({"pretrained": curves["classifier"], "from scratch": curves["from_scratch"]}, "cross-entropy (nats)")}),
    ]
    notes = [*_naive_bayes_note(results), "A demonstration trained for minutes on parts of a few genomes: a research tool, not a diagnosis."]
    footer = f"Made by {results['command']} with seed {results['seed']}, {', '.join(f'{k} {v}' for k, v in results['versions'].items())}; peak memory {results['peak_memory_mb']:.0f} MB."
    return write_page(path, f"Which {results['recipe']['label']} does a read come from?", verdict(results["test"], results["baselines"]), sections, notes, footer)


def judge_sample(
    reads: np.ndarray,  # base codes, (reads, bases)
    out: Path,
) -> dict:  # reads by genus, the agents that were detected
    "Classify reads with `bacteria-taxa` and screen them; writes `sample.kreport` and `screen/` to `out`."
    model, (agents, about) = TaxonModel.load("bacteria-taxa"), read_agents()
    sample = Sample(model.tree)
    alone = [(r,) for r in reads]
    sample.add(model.judge(alone, both_strands=False, phases=1), alone)
    (out / "sample.kreport").write_text(sample.kreport())
    totals = {"test reads": sample.reads}
    table = compare({"test reads": screen_sample(sample, model, agents)}, totals)
    write_screen(out / "screen", table, totals, about, "bacteria-taxa")
    genera = sample.table().query("code == 'G'").sort_values("clade_reads", ascending=False)
    return {"reads": sample.reads, "unclassified": sample.unclassified, "genera": dict(zip(genera["name"], genera["clade_reads"].tolist())), "detected": table[table["decision"] == DETECTED]["agent"].tolist()}


def _sample_text(found: dict, most: int = 6) -> str:
    "What the sample holds, in a line."
    shares = ", ".join(f"{name} {n / found['reads']:.1%}" for name, n in list(found["genera"].items())[:most])
    return f"bacteria-taxa on the same reads: {shares}; no genus for {1 - sum(found['genera'].values()) / found['reads']:.1%}. {', '.join(found['detected']) or 'No agent of the list'} detected."


def _seconds_expected(minutes: float) -> dict[str, float]:
    return {"corpus": 5, **{s: 60 * minutes * share for s, share in SHARES.items()}, "baselines": 25, "evaluation": 20, "sample": 8}


def _data_summary(corpus: GenomeCorpus) -> dict:
    files = corpus.records.groupby("split")["file"].nunique()
    return {f"{s}_{what}": int(v.get(s, 0)) for what, v in (("genomes", files), ("bases", corpus.splits)) for s in ("train", "valid", "test")} | {"files": corpus.info["sources"]}


def peak_memory_mb() -> float:
    "The most memory this process has held."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if platform.system() == "Darwin" else 1024)  # bytes on macOS, else kB


def versions() -> dict[str, str]:
    "Versions that a figure depends on, and the processor."
    return {p: version(p) for p in ("genomic_ulmfit", "torch", "fastai", "scikit-learn", "numpy")} | {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}


def run_demo(
    out,  # folder for corpus/, model/, results.json and report.html
    table=None,  # genomes: TSV, CSV or DataFrame with `file`, `split` and `label`; the shipped ones unless given
    label: str = "genus",  # what to classify by: a column of the table
    minutes: float = 4.7,  # of training in all; corpus, baselines and evaluation take about one more
    preset="nano",  # size of the network
    test_reads: int = 5000,  # reads to judge on
    seed: int = 0,
) -> dict:  # what is written to results.json
    "Pretrain, fine-tune, classify, compare, screen; writes `results.json`, `model/`, `report.html`, `sample.kreport` and `screen/` to `out`."
    out, tokenizer = Path(out), KmerTokenizer(6, 6)
    source = SAMPLE / "genomes.tsv" if table is None else table
    stages, budget = Stages(_seconds_expected(minutes)), {s: minutes * share for s, share in SHARES.items()}
    set_seed(seed)
    with stages("corpus"):
        corpus = build_corpus(source, label, out)
        classes = sorted(corpus.split("train")[label].unique())
        reads, y = draw(corpus, "test", label, classes, tokenizer, test_reads, seed + 100)
    with stages("pretrain"): general, pretrain_curve = train_language_model(corpus, "pretrain", tokenizer, preset, None, budget["pretrain"], seed)
    with stages("finetune"): tuned, finetune_curve = train_language_model(corpus, "finetune", tokenizer, preset, general, budget["finetune"], seed)
    with stages("classifier"): model, curve = train_classifier(corpus, label, tokenizer, preset, tuned, budget["classifier"], seed)
    with stages("from_scratch"): scratch, scratch_curve = train_classifier(corpus, label, tokenizer, preset, None, budget["from_scratch"], seed)
    with stages("baselines"): probs = baseline_probs(corpus, label, classes, tokenizer, reads, seed)
    with stages("evaluation"):
        own, probs["from_scratch"] = model.predict_proba(list(reads)), scratch.predict_proba(list(reads))
        test = classification_metrics(y, own, classes)
        language = judge_language_models(corpus, general, tuned)
        model.about |= {"training_files": [f for f in corpus.info["sources"] if f["split"] == "train"], "figures": {k: test[k] for k in ("n", "accuracy", "macro_f1", "mcc", "ece")} | language}
        model.save(out / "model")
        same = bool((load_model(out / "model", model.device).predict_proba(list(reads[:500])) == model.predict_proba(list(reads[:500]))).all())
    with stages("sample"): found = judge_sample(reads, out)
    weights = sum(p.numel() for p in model.model.parameters())
    results = {
        "test": test, "baselines": {n: classification_metrics(y, p, classes) | {"lead_of_pretrained": paired_difference(y, own, p)} for n, p in probs.items()}, "language_model": language, "sample": found,
        "seconds": {k: round(v, 1) for k, v in stages.seconds.items()}, "peak_memory_mb": peak_memory_mb(), "seed": seed, "versions": versions(),
        "recipe": {"label": label, "minutes": minutes, "preset": preset, "k": tokenizer.k, "stride": tokenizer.stride, "weights": weights, "read_length": READ_LENGTH},
        "data": _data_summary(corpus), "model_reloads_identically": same, "command": "genomic-ulmfit demo" if table is None else f"genomic-ulmfit demo --genomes {table}",
    }
    (out / "results.json").write_text(json.dumps(results, indent=1))
    curves = {"pretrain": pretrain_curve, "finetune": finetune_curve, "classifier": curve, "from_scratch": scratch_curve}
    write_report(out / "report.html", results, curves, y, own, classes)
    print("\n" + _score_table(results).to_string(index=False), *verdict(test, results["baselines"]), _sample_text(found), sep="\n")
    print(f"wrote {out / 'report.html'}, {out / 'results.json'}, {out / 'model'} and {out / 'screen' / 'report.html'}")
    return results
