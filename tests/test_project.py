"""The project keeps its own rules: metadata, import order, no executable model files, the sample genomes."""

import ast
import csv
import gzip
import hashlib
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "genomic_ulmfit"
SAMPLE = LIBRARY / "sample"

# Low to high: a module imports only from the left of itself.
ORDER = "sequences kmers corpus data models metrics learner baselines report taxonomy words classify screen demo cli all".split()


# ---------------------------------------------------------------- metadata

@pytest.fixture(scope="module")
def settings():
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]


def requirement_set(lines):
    """Requirements as (name, specifier), whatever the order and spacing."""
    parsed = [Requirement(line) for line in lines if line.strip()]
    return {(r.name.lower().replace("_", "-"), str(r.specifier)) for r in parsed}


def test_version_is_that_of_settings(settings):
    assert metadata.version(settings["lib_name"]) == settings["version"]


def test_requirements_are_those_of_settings(settings):
    installed = metadata.requires(settings["lib_name"])
    plain = requirement_set(line for line in installed if "extra ==" not in line)
    extra = requirement_set(line for line in installed if "extra ==" in line)
    assert plain == requirement_set(settings["requirements"].splitlines())
    assert extra == set().union(*(requirement_set(settings[f"{name}_requirements"].splitlines()) for name in ("dev", "distributed", "parquet")))


# ---------------------------------------------------------------- rules for library code

def modules():
    """The exported modules; the generated `__init__` and `_modidx` aside."""
    return [path for path in sorted(LIBRARY.glob("*.py")) if not path.stem.startswith("_")]


def library_imports(source):
    """The modules of this library that a module imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["genomic_ulmfit" if node.level else "", node.module]))
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("genomic_ulmfit.")}
    return found & set(ORDER)


def higher_imports(name, source):
    """Imports that do not go down the order."""
    return {other for other in library_imports(source) if ORDER.index(other) >= ORDER.index(name)}


def star_imports(source):
    """Modules imported by `*`, other than those that end in `.all`."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    starred = [n.module or "." for n in nodes if any(alias.name == "*" for alias in n.names)]
    return [module for module in starred if module.split(".")[-1] != "all"]


UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_NAMES = {"load_learner", "read_pickle", "allow_pickle"}


def unsafe_loads(source):
    """Names in a module's code by which a file could run code when it is loaded."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import): found |= {a.name.split(".")[0] for a in node.names} & UNSAFE_MODULES
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & UNSAFE_MODULES
            found |= {a.name for a in node.names} & UNSAFE_NAMES
            if node.module == "torch": found |= {"torch.load" for a in node.names if a.name == "load"}
        if isinstance(node, ast.Name): found |= {node.id} & UNSAFE_NAMES
        if isinstance(node, ast.keyword): found |= {node.arg} & UNSAFE_NAMES
        if isinstance(node, ast.Attribute):
            found |= {node.attr} & UNSAFE_NAMES
            if ast.unparse(node) == "torch.load": found.add("torch.load")
    return found


def test_every_module_has_a_place_in_the_order():
    unplaced = {path.stem for path in modules()} - set(ORDER)
    assert not unplaced, f"give these a place in ORDER: {unplaced}"


@pytest.mark.parametrize("name", ORDER)
def test_no_module_imports_a_higher_one(name):
    path = LIBRARY / f"{name}.py"
    if not path.exists(): pytest.skip(f"no module {name}")
    assert not higher_imports(name, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_no_star_import(path):
    assert star_imports(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_nothing_that_runs_code_from_a_file(path):
    assert unsafe_loads(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("source", [
    "from .data import x", "from . import data", "from genomic_ulmfit.data import x", "import genomic_ulmfit.data",
    "from genomic_ulmfit import data", "def f():\n    from .data import x", "from .all import *",
])
def test_the_order_check_sees_an_import_that_goes_up(source):
    assert higher_imports("kmers", source)
    assert not higher_imports("kmers", "from .sequences import x\nfrom fastai.data.core import DataLoaders")


def test_the_star_check_sees_a_star():
    assert star_imports("from .data import *\nfrom fastai.text.all import *\nfrom . import *") == ["data", "."]


@pytest.mark.parametrize("source", [
    "import pickle", "from pickle import loads", "import torch\ntorch.load(f)", "from torch import load as g",
    "from fastai.learner import load_learner", "pd.read_pickle(f)", "np.load(f, allow_pickle=True)",
])
def test_the_load_check_sees_a_loader_that_runs_code(source):
    assert unsafe_loads(source)
    assert not unsafe_loads('"Never torch.load or pickle."\nimport json\njson.load(f)')


# ---------------------------------------------------------------- the sample genomes

COMPLEMENT = str.maketrans("ACGTUNRYSWKMBVDH", "TGCAANYRSWMKVBHD")


@pytest.fixture(scope="module")
def genomes():
    with open(SAMPLE / "genomes.tsv", encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def blocks(path):
    """The sequences of a gzipped FASTA file."""
    with gzip.open(path, "rt", encoding="ascii") as handle:
        records = handle.read().split(">")[1:]
    return ["".join(record.splitlines()[1:]) for record in records]


def test_table_lists_the_files_with_their_checksums(genomes):
    assert {g["file"] for g in genomes} == {path.name for path in SAMPLE.glob("*.gz")}
    for genome in genomes:
        assert hashlib.sha256((SAMPLE / genome["file"]).read_bytes()).hexdigest() == genome["sha256"], genome["file"]


def test_sample_is_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) <= 6_000_000


def test_sample_holds_enough_genera_and_test_strains(genomes):
    strains = {"train": set(), "test": set()}
    for g in genomes: strains[g["split"]].add((g["species"], g["strain"]))
    assert not strains["train"] & strains["test"]
    assert len({g["genus"] for g in genomes}) >= 8
    in_both = {species for species, _ in strains["train"]} & {species for species, _ in strains["test"]}
    assert len(in_both) >= 4


def test_no_test_block_is_a_train_block(genomes):
    by_split = {"train": [], "test": []}
    for genome in genomes:
        sequences = blocks(SAMPLE / genome["file"])
        assert sum(map(len, sequences)) == int(genome["bp"]), genome["file"]
        by_split[genome["split"]] += sequences
    train = set(by_split["train"])
    assert by_split["test"]
    assert not [s for s in by_split["test"] if s in train or s.translate(COMPLEMENT)[::-1] in train]
