#!/usr/bin/env python3
"""Build the documentation site into `site`: how-tos, tutorials, results, commands, errors, public names, the house.

Pages are notebooks with their stored outputs, Markdown files, and what is made of the code; a link to nothing is an
error. Notebooks become Markdown rather than pages of mkdocs-jupyter, so that their headings, links and text are the
site's: they are searched and checked. Names are described by nbdev's `show_doc` rather than mkdocstrings, which
knows no docments.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import docs_generated as generated
from docs_notebooks import ROOT, markdown_page, module_of, notebook_page, site_path
from mkdocs.commands.build import build
from mkdocs.config import load_config

NBS = ROOT / "nbs"
MARKED = {"howto": 4, "commands": 3, "tutorials": 2, "results": 2, "reference": 2, "studies": 0.5}
MARKED |= dict.fromkeys(("formats.md", "coordinates.md", "glossary.md", "limits.md"), 3) | {"errors.md": 0.5}
ROOMS = {"seq": "Sequences", "text": "Text", "nets": "Networks", "report": "Reports", "model": "Models"}
ROOMS |= {"train": "Training", "taxa": "Taxa", "tasks": "Tasks", "demo": "Demonstration", "cli": "Commands"}


def notebooks_in(folder, out):
    """The pages of a folder of notebooks, as entries of the navigation."""
    return [notebook_page(path, out) for path in sorted((NBS / folder).glob("[0-9]*.ipynb"))]


def written(text, place, out, title):
    """Write a page; returns its entry of the navigation."""
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    (out / place).write_text(text, encoding="utf-8")
    return {title: place}


def of_markdown(paths, out):
    """Markdown files of the repository as entries of the navigation."""
    return [markdown_page(ROOT / path, out) for path in paths]


def chapters(out):
    """The house: the chapters of each room, and where each module's is."""
    rooms, places = {}, {}
    for path in [*sorted(NBS.glob("[0-9]*.ipynb")), *sorted((NBS / "cli").glob("[0-9]*.ipynb"))]:
        entry = notebook_page(path, out)
        module = module_of(path)
        room = module.split(".")[0] if module and "." in module else "The house"
        rooms.setdefault(room, []).append(entry)
        places[module] = next(iter(entry.values()))
    first = [*rooms.pop("The house"), *of_markdown(["CONTRIBUTING.md"], out)]
    return [*first, *({ROOMS[room]: rooms[room]} for room in ROOMS)], places


def commands(out):
    """A page a command, and one of all."""
    pages = [written(generated.command_index(), "commands/index.md", out, "All commands")]
    for name, arguments in generated.command_parsers().items():
        place = f"commands/{name.replace(' ', '_')}.md"
        pages.append(written(generated.command_page(name, arguments), place, out, name))
    return pages


def reference(out, places):
    """Public names, formats, errors, cards, words."""
    rooms = generated.public_names()
    names = [written(generated.name_index(rooms), "reference/index.md", out, "All names")]
    for room, modules in rooms.items():
        names.append(written(generated.room_page(room, modules, places), f"reference/{room}.md", out, ROOMS[room]))
    cards = sorted((ROOT / "genomic_ulmfit/pretrained").glob("*/README.md"))
    models = [{card.parent.name: place} for card in cards for place in markdown_page(card, out).values()]
    return [
        {"Python": names},
        *of_markdown(["docs/formats.md", "docs/coordinates.md"], out),
        written(generated.error_page(), "errors.md", out, "Errors and remedies"),
        {"Model cards": models},
        *of_markdown(["docs/glossary.md", "docs/limits.md"], out),
    ]


def pages(out):
    """Write all pages; returns the navigation."""
    notebook_page(NBS / "index.ipynb", out)
    for name in ("flow.svg", "site.css"):
        shutil.copy(ROOT / "docs" / name, out)
    rooms, places = chapters(out)
    studies = [*of_markdown(["nbs/studies/README.md"], out), *notebooks_in("studies", out)]
    project = ["CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "workflows/snakemake/README.md"]
    workflow = ["workflows/snakemake/Snakefile", "workflows/snakemake/config.yaml"]
    files = ["nbs/howto/made.py", "LICENSE", "CITATION.cff", *workflow]
    for file in files:
        (out / site_path(file)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, out / site_path(file))
    everything = of_markdown(["docs/results.md"], out)
    return [
        {"Home": "index.md"},
        {"How-tos": notebooks_in("howto", out)},
        {"Tutorials": notebooks_in("tutorials", out)},
        {"Results": [*notebooks_in("results", out), *everything, {"Studies": studies}]},
        {"Commands": commands(out)},
        {"Reference": reference(out, places)},
        {"The house": rooms},
        {"Project": of_markdown(project, out)},
    ]


def where_to_run(place, repository):
    """Links that open a notebook of the repository in Colab and in Binder; both install the released package."""
    notebook = f"nbs/{place.removesuffix('.md')}.ipynb"
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?labpath={notebook}"
    return f"[Open in Colab]({colab}){{ .md-button }} [Open in Binder]({binder}){{ .md-button }}"


def finished(text, place, repository):
    """A page with its weight in searches, and where it can be run; no repository, no such links."""
    folder = place.split("/")[0]
    if repository and folder == "tutorials":
        title, rest = text.split("\n", 1)
        text = f"{title}\n\n{where_to_run(place, repository)}\n{rest}"
    search = "exclude: true" if folder == "house" else f"boost: {MARKED.get(folder, 1)}"  # code is no answer
    return f"---\nsearch:\n  {search}\n---\n\n{text}"


def main():
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="folder to make (default site)")
    arguments = parser.parse_args()
    site = arguments.out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        navigation = pages(out)
        for page in out.rglob("*.md"):
            place = page.relative_to(out).as_posix()
            text = finished(page.read_text(encoding="utf-8"), place, os.environ.get("GITHUB_REPOSITORY"))
            page.write_text(text, encoding="utf-8")
        config = load_config(
            str(ROOT / "mkdocs.yml"), docs_dir=str(out), site_dir=str(site), nav=navigation, strict=True
        )
        config.plugins.run_event("startup", command="build", dirty=False)
        try:
            build(config)
        finally:
            config.plugins.run_event("shutdown")
    number = sum(1 for _ in site.rglob("*.html"))
    print(f"{number} pages; see them with `python -m http.server --directory {arguments.out.name}`")


if __name__ == "__main__":
    main()
