"""Tables of the pages of results and of the README, made of the figures that are stored in `docs`."""

import json
import sys
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "nbs" / "studies"))

from harness import PUBLISHED, Results  # noqa: E402

from genomic_ulmfit.demo.judging import NAMES, standard_error, verdict  # noqa: E402


def lines_of(table):
    """A DataFrame as lines of a Markdown table."""
    rows = (table.columns, ["---"] * len(table.columns), *table.astype(object).to_numpy())
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def shown(table):
    """A DataFrame as Markdown."""
    return Markdown("\n".join(lines_of(table)))


def spread(rows, by, methods, figure="mcc"):
    """A row per `by`, a column per method: mean ± standard deviation over splits and seeds."""
    of_cells = rows.groupby([*by, "method"], sort=False)[figure]
    text = of_cells.agg(lambda v: f"{v.mean():.2f} ± {v.std(ddof=0):.2f}")
    return text.unstack("method")[methods].fillna("").reset_index()


# ---------------------------------------------------------------- the demonstration, speed


def demo():
    """What `make demo` wrote: all methods on the same reads, and in words."""
    results = json.loads((ROOT / "docs/demo/results.json").read_text())
    scores = {"pretrained": results["test"], **results["baselines"]}
    rows = [
        {
            "method": NAMES[name],
            "accuracy": f"{s['accuracy']:.3f} ± {standard_error(s['accuracy'], s['n']):.3f}",
            "macro F1": f"{s['macro_f1']:.3f}",
            "MCC": f"{s['mcc']:.3f}",
        }
        for name, s in sorted(scores.items(), key=lambda item: -item[1]["accuracy"])
    ]
    lm = results["language_model"]
    said = (
        f"The language model needs {lm['bits_per_base']:.3f} bits per base on the test strains, an order-5 Markov "
        f"model of the same training text {lm['markov5_bits_per_base']:.3f}. "
        f"All of it took {sum(results['seconds'].values()) / 60:.1f} minutes and "
        f"{results['peak_memory_mb'] / 1000:.1f} GB "
        f"({results['versions']['machine']}, torch {results['versions']['torch']}). ± is one standard error."
    )
    judged = " ".join(verdict(results["test"], results["baselines"]))
    return Markdown("\n".join([*lines_of(pd.DataFrame(rows)), "", judged, "", said]))


def speed():
    """What `make study-speed` wrote, where there is a baseline; not how it grows."""
    lines = [json.loads(line) for line in (ROOT / "docs/benchmarks.jsonl").read_text().splitlines()]
    kept = [m for m in lines if m["baseline"] and m["unit"].endswith("/s") and "records of" not in m["name"]]
    rows = [
        {
            "benchmark": m["name"],
            "speed": f"{m['value']:.3g} {m['unit']}",
            "beside": m["baseline"],
            "ratio": f"{float(format(m['ratio'], '.3g')):,g} ×",
        }
        for m in kept
        if not m["name"].startswith("growth")
    ]
    first = lines[0]
    versions = f"torch {first['versions']['torch']}, fastai {first['versions']['fastai']}"
    machine = f"{first['processor']}, {first['threads']} threads, no GPU, {versions}."
    return Markdown("\n".join([*lines_of(pd.DataFrame(rows)), "", machine]))


# ---------------------------------------------------------------- classes and measurements


def promoters():
    """MCC of promoters, published splits and groups."""
    kmers = ["k-mer logistic regression", "k-mer naive Bayes"]
    methods = [*kmers, "placed words", "from scratch", "pretrained", "pretrained + placed words"]
    rows = Results("promoters").rows().query("protocol != 'folds'").replace("folds of groups", "groups")
    table = spread(rows, ["organism", "protocol"], methods)
    keys = zip(table["organism"], table["protocol"])
    return shown(table.assign(published=[PUBLISHED.get(("promoters", *key), "") for key in keys]))


def fewer_labels():
    """MCC of promoters where labels are few."""
    methods = ["k-mer logistic regression", "k-mer naive Bayes", "from scratch", "pretrained"]
    return shown(spread(Results("fewer_labels").rows(), ["labels"], methods))


def activity():
    """Measured activity of promoters."""
    figures = ["spearman", "auroc", "average_precision"]
    means = Results("activity").rows().groupby("method", sort=False)[figures].mean()
    plain = ["mean", "gkm-SVM (published)", "k-mers", "gapped k-mers"]
    methods = [*plain, "from scratch", "pretrained", "linear models together", "pretrained + linear models"]
    text = means.loc[methods].map(lambda v: "" if pd.isna(v) else f"{v:.3f}").reset_index()
    return shown(text.rename(columns={"average_precision": "average precision"}))


# ---------------------------------------------------------------- proteins

PROTEINS = [  # study, data, figure, what there was to beat
    ("protein_functions", "resistance", "accuracy", ".698, nearest neighbour"),
    ("protein_functions", "peptides", "accuracy", ".525"),
    ("antibodies", "HER2", "auroc", ".892, logistic regression"),
    ("antibodies", "affinity, random", "spearman", ".461, ridge"),
    ("antibodies", "affinity, three substitutions", "spearman", ""),
    ("antibodies", "coronaviruses", "auroc", ""),
    ("protein_variants", "GB1, two against the rest", "spearman", ".594, ridge"),
    ("protein_variants", "GB1, low against high", "spearman", ".343, ridge"),
    ("protein_variants", "GFP", "spearman", ".858, ridge"),
]


def protein_row(study, data, figure, published):
    """A data set: the method without a network that was best on valid, networks, and both together."""
    of = lambda name: Results(name).rows().loc[lambda rows: rows["data"] == data]
    tried = of(f"{study}_tried").set_index("method")[figure].drop("mean")
    test = of(study).groupby("method")[figure].mean().map("{:.3f}".format)
    plain = tried[~tried.index.str.contains("pretrained|from scratch")].idxmax()
    joined = tried[tried.index.str.contains(r"pretrained \+")]
    both = f"{test[joined.idxmax()]} ({joined.idxmax()})" if len(joined) else ""
    alone = [test.get(method, "") for method in ("pretrained", "from scratch")]
    return [f"{data}: {figure}", published, f"{test[plain]} ({plain})", *alone, both]


def proteins():
    """What was measured of proteins."""
    networks = ["pretrained", "from scratch", "with the pretrained network"]
    columns = ["data: figure", "to beat", "without a network", *networks]
    return shown(pd.DataFrame([protein_row(*row) for row in PROTEINS], columns=columns))


def few_protein_labels():
    """Methods beside each other with 24, 96 and 384 labels."""
    few = Results("protein_few").rows()
    few = few.assign(figure=few["spearman"].fillna(few["auroc"]), data=few["data"] + ", " + few["labels"].astype(str))
    methods = ["changes", "one-hot", "BLOSUM62", "BLOSUM62 + changes", "likelihood", "embedding + likelihood"]
    text = few.pivot_table(index="data", columns="method", values="figure", sort=False)[methods].map("{:.2f}".format)
    return shown(text.reset_index())


# ---------------------------------------------------------------- taxa

SPLITS = {"test": "test", "test_novel_species": "novel"}
SHARES = {"genus right": "right", "genus wrong": "wrong", "most probable": "most probable"}
NAMED = ["naive Bayes, k = 12", "Kraken2 0.0", "Kraken2 0.05"]
OURS = [f"{network}{words}" for words in ("small words", "large words") for network in ("", "network + ")]


def taxa():
    """Genus of reads of 150 bases: strains and species never seen."""
    figures = Results("taxa").rows().query("reads == '150'").set_index(["method", "split"])
    text = lambda value: "" if pd.isna(value) else f"{value:.3f}"
    columns = {f"{name}: {said}": (split, key) for split, name in SPLITS.items() for key, said in SHARES.items()}
    rows = [
        {"method": m, **{name: text(figures.loc[(m, split)].get(key)) for name, (split, key) in columns.items()}}
        for m in [*NAMED, "network", *OURS]
    ]
    return shown(pd.DataFrame(rows))


def agents():
    """Agents at 0.1 % of 200,000 reads."""
    columns = ["agent", "strain", "species", "group", "Kraken2, 5 reads"]
    return shown(Results("screen_agents").rows().query("level == 0.001")[columns])


def false_alarms():
    """Blanks, and near neighbours at 1 %."""
    columns = ["sample", "species named", "group only", "groups", "Kraken2 raises", "raised by Kraken2"]
    return shown(Results("screen_traps").rows()[columns])


# ---------------------------------------------------------------- beside the alternatives

BASES = ("150", "150, 1 % errors", "1000", "10000")  # of a read


def alternatives_reads():
    """The genus of reads of known and of new species: right / wrong, a column per program."""
    rows = Results("alternatives_reads").rows().set_index(["method", "split", "reads"])
    text = lambda key: "{:.3f} / {:.3f}".format(*rows.loc[key, ["right", "wrong"]])
    plain = ["genomic_ulmfit", "genomic_ulmfit, no network"]
    methods = [*plain, "Kraken2", "Kraken2 --confidence 0.05", "naive Bayes, 12-mers"]
    table = [
        {"bases of a read": f"{SPLITS[split]}, {bases}", **{m: text((m, split, bases)) for m in methods}}
        for split in SPLITS
        for bases in BASES
    ]
    return shown(pd.DataFrame(table))


def alternatives_strangers():
    """Reads of genera that nobody learned: the share that is given a genus all the same, of the study of taxa."""
    rows = Results("taxa").rows().set_index(["split", "reads", "method"])["hidden"]
    names = {"genomic_ulmfit": "network + small words", "genomic_ulmfit, no network": "small words"}
    names |= {"Kraken2": "Kraken2 0.0"}
    table = [
        {"bases of a read": bases, **{name: f"{rows['test', bases, m]:.3f}" for name, m in names.items()}}
        for bases in BASES
    ]
    return shown(pd.DataFrame(table))


def alternatives_samples():
    """What is in samples: a row per program, means over ten samples."""
    rows = Results("alternatives_samples").rows().groupby("program", sort=False)
    mean, spread = (rows[["genus F1", "genus shares", "species F1", "species shares"]].agg(f) for f in ("mean", "std"))
    text = mean.map("{:.3f}".format) + spread.map(" ± {:.3f}".format)
    return shown(text.where(mean.notna(), "").reset_index().rename(columns={"program": ""}))


def alternatives_cost():
    """Reads a second, memory, sizes: a row per program."""
    rows = Results("alternatives_samples").rows().groupby("program", sort=False)[["took", "MB"]].median()
    cost = Results("alternatives_cost").rows().set_index("what")
    sizes = cost.loc["MB on disk"].dropna()
    whole = lambda value: "" if pd.isna(value) else f"{value:,.0f}"
    of = lambda program, what: whole(sizes.get(f"{program.removesuffix(' --no-network')}: {what}"))
    table = [
        {
            "": program,
            "reads a second": f"{round(200_000 / row['took'], -2):,.0f}",
            "memory, MB": whole(row["MB"]),
            "model or database, MB": of(program, "model"),
            "installed, MB": of(program, "installed"),
        }
        for program, row in rows.iterrows()
    ]
    shape = cost.loc["arithmetic of DNABERT-2"]
    rates = [f"{shape[f'reads/s, {precision}']:.0f} ({precision})" for precision in ("float32", "bfloat16")]
    table.append(
        {
            "": "a network of the shape of DNABERT-2",
            "reads a second": ", ".join(rates),
            "model or database, MB": whole(shape["MB of weights"]),
        }
    )
    return shown(pd.DataFrame(table).fillna(""))


def alternatives_text():
    """fastai's stock text beside this package on the same splits: MCC on each, seconds of a training."""
    here = Results("promoters").rows().query("organism == 'E. coli' and protocol == 'random' and seed < 2")
    stock = Results("alternatives_fastai").rows()
    best = stock[stock["lr"] == stock.groupby("lr")["mcc"].mean().idxmax()]
    stock = best.assign(method="fastai's stock text, from scratch")
    rows = pd.concat([here, stock]).pivot(index="method", columns="seed", values=["mcc", "seconds"])
    methods = ["majority", "k-mer naive Bayes", "fastai's stock text, from scratch", "from scratch", "pretrained"]
    table = [
        {
            "method": method,
            **{f"split {seed}: MCC": f"{rows.loc[method, ('mcc', seed)]:.3f}" for seed in range(2)},
            "seconds": f"{rows.loc[method, 'seconds'].mean():,.0f}",
        }
        for method in methods
    ]
    return shown(pd.DataFrame(table))


def alternatives_promoters():
    """Promoters beside published figures of transformers."""
    rows = Results("alternatives_promoters").rows().groupby(["data", "protocol", "method"], sort=False)
    text = rows[["accuracy", "auroc"]].mean().map("{:.3f}".format).agg(" / ".join, axis=1)
    table = text.unstack("method").reset_index()
    published = [PUBLISHED["alternatives_promoters", data] for data in table["data"]]
    return shown(table.assign(published=published))


# ---------------------------------------------------------------- the short answer


COLUMNS = ["question", "this package", "counting", "without pretraining"]


def elsewhere():
    """Where the method wins, ties and loses, and the command that measures it; the demonstration shows it."""
    taxa = Results("taxa").rows().query("reads == '150'").set_index(["method", "split"])["most probable"]
    ours, bayes = "network + small words", "naive Bayes, k = 12"
    promoters = Results("fewer_labels").rows().groupby(["labels", "method"])["mcc"].mean()
    activity = Results("activity").rows().groupby("method")["spearman"].mean()
    her2 = Results("antibodies").rows().query("data == 'HER2'").groupby("method")["auroc"].mean()
    figure = "{:.2f}".format
    with_name = lambda value, name: f"{value:.2f} ({name})"
    few = [
        (
            f"is it a promoter of E. coli, {n:,} labels: MCC",
            figure(promoters[n, "pretrained"]),
            with_name(promoters[n, "k-mer naive Bayes"], "naive Bayes"),
            figure(promoters[n, "from scratch"]),
            "make study-fewer_labels",
        )
        for n in (100, 1000)
    ]
    genus = [
        (
            f"genus of 150 bases, {said}: accuracy",
            figure(taxa[ours, split]),
            with_name(taxa[bayes, split], "naive Bayes"),
            "",
            "make study-taxa",
        )
        for split, said in (("test_novel_species", "species never seen"), ("test", "known species"))
    ]
    promoter_activity = (
        "activity of a promoter: Spearman",
        figure(activity["pretrained"]),
        with_name(activity["linear models together"], "linear models"),
        figure(activity["from scratch"]),
        "make study-activity",
    )
    binders = (
        "does an antibody bind HER2: AUROC",
        figure(her2["pretrained"]),
        with_name(her2["kernel"], "kernel"),
        figure(her2["from scratch"]),
    )
    rows = [*genus, *few, promoter_activity, (*binders, "make study-antibodies")]
    return pd.DataFrame(rows, columns=[*COLUMNS, "measured by"])


def headline():
    """The same with the demonstration between, for the README."""
    demo = json.loads((ROOT / "docs/demo/results.json").read_text())
    figures = [demo["test"], demo["baselines"]["kmer_nb_11"], demo["baselines"]["from_scratch"]]
    own, bayes, scratch = (f"{each['accuracy']:.2f}" for each in figures)
    row = ["genus of 150 bases, `make demo`: accuracy", own, f"{bayes} (naive Bayes)", scratch]
    table = elsewhere()[COLUMNS]
    rows = [*table[:2].to_numpy().tolist(), row, *table[2:].to_numpy().tolist()]
    return shown(pd.DataFrame(rows, columns=["", *COLUMNS[1:]]))
