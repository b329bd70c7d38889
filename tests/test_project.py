"""The project keeps its own rules: metadata, import order, no executable model files, the sample genomes."""

import ast
import csv
import gzip
import hashlib
import json
import re
import sys
from configparser import ConfigParser
from importlib import metadata
from itertools import groupby
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from genomic_ulmfit.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "genomic_ulmfit"
SAMPLE = LIBRARY / "sample"


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
    extras = settings["extras"].split()
    assert extra == set().union(*(requirement_set(settings[f"{name}_requirements"].splitlines()) for name in extras))


# ---------------------------------------------------------------- imports go down


def default_exports(path):
    """The module that a notebook exports, in a list; none of a tutorial or a study."""
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        found += re.findall(r"^#\| *default_exp +([\w.]+)", "".join(cell["source"]), re.M)
    return list(dict.fromkeys(found))


def order_of_modules():
    """Low to high: the order of the notebooks is the order of the modules, and the only list of them."""
    notebooks = sorted((ROOT / "nbs").rglob("*.ipynb"), key=lambda path: path.relative_to(ROOT).as_posix())
    return [module for path in notebooks for module in default_exports(path) if module != "__init__"]


ORDER = order_of_modules()
ROOMS = list(dict.fromkeys(module.split(".")[0] for module in ORDER))


def modules():
    """Exported modules by name; the generated `__init__` and `_modidx` aside."""
    paths = [path for path in sorted(LIBRARY.rglob("*.py")) if not path.stem.startswith("_")]
    return {".".join(path.relative_to(LIBRARY).with_suffix("").parts): path for path in paths}


def imported_names(source):
    """Dotted names that a module imports, at any depth of its code; `..seq.errors.InputError` where it is relative."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {("." * node.level) + ".".join(filter(None, [node.module, alias.name])) for alias in node.names}
    return found


def absolute(name, here):
    """`..seq.errors.InputError` imported in `text.kmers` -> `genomic_ulmfit.seq.errors.InputError`."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    parents = ["genomic_ulmfit", *here.split(".")][:-level]
    return ".".join([*parents, name.lstrip(".")])


def library_imports(here, source, order):
    """The modules of this library that the module `here` imports."""
    names = [absolute(name, here) for name in imported_names(source)]
    inner = [name.removeprefix("genomic_ulmfit.") for name in names if name.startswith("genomic_ulmfit.")]
    return {module for module in order for name in inner if f"{name}.".startswith(f"{module}.")}


def higher_imports(here, source, order=None):
    """Imports that do not go down the order."""
    order = ORDER if order is None else order
    return {other for other in library_imports(here, source, order) if order.index(other) >= order.index(here)}


def star_imports(source):
    """Modules imported by `*`, other than those that end in `.all`."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    starred = [n.module or "." for n in nodes if any(alias.name == "*" for alias in n.names)]
    return [module for module in starred if module.split(".")[-1] != "all"]


def test_modules_are_those_of_the_notebooks():
    assert len(ORDER) == len(set(ORDER)), "a module is exported by two notebooks"
    assert set(modules()) == set(ORDER)


def test_rooms_lie_together():
    """The notebooks of a room have neighbouring numbers: a room is above or below another as a whole."""
    rooms = [module.split(".")[0] for module in ORDER]
    assert [room for room, _ in groupby(rooms)] == ROOMS


def shown(notebook):
    """What the outputs of a notebook say, as text."""
    cells = json.loads((ROOT / "nbs" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/html", []) for output in outputs]
    return "".join(line for text in texts for line in text)


def test_the_house_shows_the_modules_that_there_are():
    listed = re.findall(r"<td [^>]*_col0[^>]*>([^<]+)</td>", shown("00_house"))
    assert listed == [module for module in ORDER], "run nbs/00_house.ipynb again and keep its outputs"


def test_the_help_shows_the_commands_that_there_are():
    listed = re.findall(r"^    (\w+)", shown("cli/99_main").partition("options:")[0], re.M)
    assert listed == list(dict.fromkeys(name.split()[0] for name in COMMANDS)), "run nbs/cli/99_main.ipynb again"


@pytest.mark.parametrize("name", ORDER)
def test_no_module_imports_a_higher_one(name):
    assert not higher_imports(name, modules()[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ORDER)
def test_no_star_import(name):
    assert star_imports(modules()[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ORDER)
def test_nothing_that_runs_code_from_a_file(name):
    assert unsafe_loads(modules()[name].read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "from .spans import x",
        "from . import spans",
        "from ..train.learner import x",
        "from genomic_ulmfit.text.spans import x",
        "import genomic_ulmfit.text.spans",
        "from genomic_ulmfit.text import spans",
        "def f():\n    from .spans import x",
        "from ..all import *",
        "from .kmers import x",
    ],
)
def test_the_order_check_sees_an_import_that_goes_up(source):
    order = ["seq.errors", "text.kmers", "text.spans", "train.learner", "all"]
    assert higher_imports("text.kmers", source, order)
    assert not higher_imports("text.kmers", "from ..seq.errors import x\nfrom fastai.data.core import y", order)


def test_the_star_check_sees_a_star():
    assert star_imports("from .data import *\nfrom fastai.text.all import *\nfrom . import *") == ["data", "."]


# ---------------------------------------------------------------- every import is a declared requirement


def third_party(source):
    """Top-level names of the packages that a module imports, the standard library and this one aside."""
    names = {name.split(".")[0] for name in imported_names(source) if not name.startswith(".")}
    return names - set(sys.stdlib_module_names) - {"genomic_ulmfit"}


def undeclared(packages, declared):
    """Packages without a requirement, by the distributions that provide them."""
    # Python 3.10 doesn't see what a package without top_level.txt provides
    providers = {"sklearn": ["scikit-learn"], **metadata.packages_distributions()}
    known = {name.lower().replace("_", "-") for name in declared}
    return {p for p in packages if not {d.lower().replace("_", "-") for d in providers.get(p, [p])} & known}


def test_every_import_is_a_declared_requirement(settings):
    packages = set().union(*(third_party(path.read_text(encoding="utf-8")) for path in modules().values()))
    keys = ["requirements", *(f"{extra}_requirements" for extra in settings["extras"].split() if extra != "dev")]
    declared = {name for key in keys for name, _ in requirement_set(settings[key].splitlines())}
    assert undeclared(packages, declared) == set()


def test_the_import_check_sees_what_is_missing():
    assert undeclared({"numpy", "Bio", "sklearn"}, {"numpy", "biopython"}) == {"sklearn"}
    assert third_party("import os\nimport torch.nn\nfrom . import x\nfrom genomic_ulmfit.seq import y") == {"torch"}


# ---------------------------------------------------------------- no file runs code


UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_NAMES = {"load_learner", "read_pickle", "allow_pickle"}


def unsafe_loads(source):
    """Names in a module's code by which a file could run code when it is loaded."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[0] for a in node.names} & UNSAFE_MODULES
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & UNSAFE_MODULES
            found |= {a.name for a in node.names} & UNSAFE_NAMES
            if node.module == "torch":
                found |= {"torch.load" for a in node.names if a.name == "load"}
        if isinstance(node, ast.Name):
            found |= {node.id} & UNSAFE_NAMES
        if isinstance(node, ast.keyword):
            found |= {node.arg} & UNSAFE_NAMES
        if isinstance(node, ast.Attribute):
            found |= {node.attr} & UNSAFE_NAMES
            if ast.unparse(node) == "torch.load":
                found.add("torch.load")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(f)",
        "from torch import load as g",
        "from fastai.learner import load_learner",
        "pd.read_pickle(f)",
        "np.load(f, allow_pickle=True)",
    ],
)
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
    for g in genomes:
        strains[g["split"]].add((g["species"], g["strain"]))
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
