"""Notebooks and Markdown files as pages of the site: outputs as they are stored, links to where pages stand there."""

import posixpath
import re
from pathlib import Path

import nbformat
from make_readme import LINKS, NOT_RELATIVE, TEMPLATE, outside_code, prepare
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_EXP = re.compile(r"^\s*#\|\s*default_exp\s+(\S+)", re.MULTILINE)
FRAME_STYLE = re.compile(r"<style scoped>.*?</style>\s*", re.DOTALL)  # of a table of pandas
FRAME_CLASS = ' border="1" class="dataframe"'
LIST_AFTER_TEXT = re.compile(r"^((?![-*|#>\d ]).+)\n(?=[-*] |\d+\. )", re.MULTILINE)

SITE_TEMPLATE = f"""{TEMPLATE}
{{%- block data_html scoped %}}
{{{{ output.data['text/html'] }}}}
{{% endblock data_html -%}}
"""

# Where the files of a folder of the repository stand in the site; the first that fits counts.
PLACES = [
    ("nbs/index.ipynb", "index.md"),
    ("nbs/howto/", "howto/"),
    ("nbs/tutorials/", "tutorials/"),
    ("nbs/results/", "results/"),
    ("nbs/studies/", "studies/"),
    ("nbs/", "house/"),
    ("docs/", ""),
    ("workflows/snakemake/README.md", "workflows/snakemake.md"),
    ("genomic_ulmfit/pretrained/", "models/"),
]


def site_path(path):
    """Where a file of the repository stands in the site."""
    before, after = next(((a, b) for a, b in PLACES if path.startswith(a)), ("", ""))
    place = after + path.removeprefix(before) if before.endswith("/") or not before else after
    if place.startswith("models/"):
        place = place.replace("/README.md", ".md")
    return re.sub(r"\.ipynb$", ".md", place)


def relinked(text, source):
    """Markdown of a file of the repository with its relative links as the site has them.

    Raises `ValueError` for a link to what isn't there.
    """
    here = posixpath.dirname(site_path(source))

    def moved(match):
        target, _, anchor = match["target"].partition("#")
        if not target or NOT_RELATIVE.match(target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not (ROOT / path).exists():
            raise ValueError(f"{source} links to {target}, which isn't there")
        link = posixpath.relpath(site_path(path), here or ".")
        return f"{match['before']}{link}{'#' if anchor else ''}{anchor}"

    return outside_code(text, *((pattern, moved) for pattern in LINKS))


def loosened(text):
    """Markdown with an empty line between a line of text and a list, which Python's Markdown asks for."""
    return outside_code(text, (LIST_AFTER_TEXT, r"\1\n\n"))


def shown_output(output):
    """An output as a page shows it; None for a bar of progress and for what has no form but a name."""
    if output.output_type == "error":
        return None
    data = output.get("data", {})
    html = data.get("text/html", "")
    if "fastprogress" in html + data.get("text/markdown", ""):
        return None
    if html:
        data["text/html"] = FRAME_STYLE.sub("", html).replace(FRAME_CLASS, "")
    if not html and set(data) == {"text/plain"} and data["text/plain"].startswith("<IPython.core.display"):
        return None
    return output


def shown_cell(cell, source):
    """A cell as a page shows it, None for one that it leaves out."""
    outputs = lambda found: [output for output in map(shown_output, found) if output is not None]
    return prepare(cell, lambda text: loosened(relinked(text, source)), outputs)


def module_of(path):
    """The module that a notebook exports, as `room.module`; None for others."""
    cells = nbformat.read(path, as_version=4).cells
    found = [DEFAULT_EXP.search(cell.source) for cell in cells if cell.cell_type == "code"]
    return next((match[1] for match in found if match), None)


def title_of(text):
    """The first heading of a page, as the navigation shows it: without marks of code and of emphasis."""
    return re.sub("[`*]", "", re.search(r"^# (.+)$", text, re.MULTILINE)[1]).strip()


def notebook_page(path, out):
    """Write a notebook as a page into the folder of the site, with its pictures; returns its title and place."""
    source = path.relative_to(ROOT).as_posix()
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in (shown_cell(cell, source) for cell in notebook.cells) if cell is not None]
    place = out / site_path(source)
    pictures = f"{place.stem}_files"
    body, found = MarkdownExporter(raw_template=SITE_TEMPLATE).from_notebook_node(
        notebook, {"output_files_dir": pictures, "unique_key": place.stem}
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    for name, data in found["outputs"].items():
        (place.parent / name).parent.mkdir(exist_ok=True)
        (place.parent / name).write_bytes(data)
    place.write_text(body, encoding="utf-8")
    return {title_of(body): site_path(source)}


def markdown_page(path, out):
    """Write a Markdown file as a page into the folder of the site; returns its title and place."""
    source = path.relative_to(ROOT).as_posix()
    text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)  # a card's metadata
    place = out / site_path(source)
    place.parent.mkdir(parents=True, exist_ok=True)
    body = loosened(relinked(text, source))
    if place.parent.name == "models":
        body = body.replace("# ", f"# {place.stem}: ", 1)
    place.write_text(body, encoding="utf-8")
    return {title_of(body): site_path(source)}
