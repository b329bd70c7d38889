#!/usr/bin/env python3
"""Make README.md from nbs/index.ipynb; `--check` only says whether it is up to date.

What is left out: raw cells, cells that start with `#| hide`, the code of cells
with `#| echo: false`, other directive lines, and output that isn't text. Outputs are those stored in the notebook.
Relative links of the notebook are turned into links from the repository's root.
"""

import argparse
import posixpath
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "nbs" / "index.ipynb"
README = ROOT / "README.md"
NOTE = "<!-- Made from nbs/index.ipynb by scripts/make_readme.py: edit the notebook, then run `make readme`. -->"

HIDE = re.compile(r"\s*#\|\s*hide\s*(\n|$)")
NO_ECHO = re.compile(r"^\s*#\|\s*echo:\s*false\s*$", re.MULTILINE)
DIRECTIVE = re.compile(r"^\s*#\|.*\n?", re.MULTILINE)
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
LINKS = [
    re.compile(r"(?P<before>\]\()(?P<target>[^)\s]+)"),  # [text](target), ![text](target)
    re.compile(r"(?P<before>\b(?:src|href)=\")(?P<target>[^\"]+)"),  # <img src="target">
    re.compile(r"(?P<before>^\[[^\]]+\]:\s+)(?P<target>\S+)", re.MULTILINE),  # [id]: target
]
NOT_RELATIVE = re.compile(r"#|/|[a-zA-Z][a-zA-Z0-9+.-]*:")

TEMPLATE = """
{%- extends 'markdown/index.md.j2' -%}
{%- block input %}
{%- if cell.source %}
```{{ cell.metadata.language }}
{{ cell.source }}
```
{% endif %}
{%- endblock input -%}
{%- block stream %}
```text
{{ output.text }}
```
{% endblock stream -%}
{%- block data_text scoped %}
```text
{{ output.data['text/plain'] }}
```
{% endblock data_text -%}
"""


# ---------------------------------------------------------------- links


def from_root(target, folder="nbs"):
    """A link target of a notebook in `folder`, seen from the repository's root."""
    if NOT_RELATIVE.match(target):
        return target
    return posixpath.normpath(posixpath.join(folder, target))


def outside_code(text, *substitutions):
    """Markdown with substitutions (pattern, replacement) made everywhere but in code."""
    pieces = CODE.split(text)  # the odd ones are code
    for pattern, replacement in substitutions:
        pieces[::2] = [pattern.sub(replacement, piece) for piece in pieces[::2]]
    return "".join(pieces)


def relink(text):
    """Markdown with its relative links seen from the root; code stays as it is."""
    moved = lambda match: match["before"] + from_root(match["target"])
    return outside_code(text, *((pattern, moved) for pattern in LINKS))


# ---------------------------------------------------------------- cells


def shell_cell(source):
    """The commands of a cell that only calls the shell, else None."""
    lines = [line for line in source.splitlines() if line.strip()]
    if lines and lines[0].startswith(("%%bash", "%%sh")):
        return "\n".join(lines[1:])
    if lines and all(line.startswith("!") for line in lines):
        return "\n".join(line[1:].strip() for line in lines)
    return None


def text_outputs(outputs):
    """The outputs that are text: what was printed, and values by their plain-text form."""
    kept = []
    for output in outputs:
        if output.output_type == "stream" and output.name == "stdout":
            output.text = strip_ansi(output.text).strip("\n")
            if output.text:
                kept.append(output)
        elif output.output_type in ("execute_result", "display_data"):
            if any(kind.startswith("image/") for kind in output.data):
                sys.exit("nbs/index.ipynb holds a picture as output. Save it under docs/ and refer to the file.")
            if "fastprogress" in output.data.get("text/html", "") + output.data.get("text/markdown", ""):
                continue  # a progress bar
            if "text/markdown" in output.data:
                output.data = {"text/markdown": relink(output.data["text/markdown"])}
                kept.append(output)
                continue
            text = strip_ansi(output.data.get("text/plain", "")).strip("\n")
            if text and not text.startswith(("<IPython.core.display.", "<div")):
                output.data = {"text/plain": text}
                kept.append(output)
    return kept


def prepare(cell, text, outputs):
    """A cell as a page shows it, or None for one that it leaves out; `text` and `outputs` change what there is."""
    if cell.cell_type == "raw" or HIDE.match(cell.source):
        return None
    if cell.cell_type == "markdown":
        cell.source = text(cell.source)
        return cell
    source = "" if NO_ECHO.search(cell.source) else DIRECTIVE.sub("", cell.source).strip("\n")
    commands = shell_cell(source)
    cell.source = source if commands is None else commands
    cell.metadata.language = "python" if commands is None else "bash"
    cell.outputs = outputs(cell.outputs)
    return cell if cell.source.strip() or cell.outputs else None


def markdown(path):
    """The README's text for a notebook."""
    notebook = nbformat.read(path, as_version=4)
    shown = [prepare(cell, relink, text_outputs) for cell in notebook.cells]
    notebook.cells = [cell for cell in shown if cell is not None]
    body, _ = MarkdownExporter(raw_template=TEMPLATE).from_notebook_node(notebook)
    return f"{NOTE}\n\n" + outside_code(body, (re.compile(r"\n{3,}"), "\n\n")).strip("\n") + "\n"


# ---------------------------------------------------------------- command line


def main():
    parser = argparse.ArgumentParser(description="Make README.md from nbs/index.ipynb.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where README.md is not up to date")
    check = parser.parse_args().check
    if not NOTEBOOK.exists():
        sys.exit(f"make_readme.py: no {NOTEBOOK.relative_to(ROOT)}")
    text = markdown(NOTEBOOK)
    if not check:
        README.write_text(text, encoding="utf-8")
    elif not README.exists() or README.read_text(encoding="utf-8") != text:
        sys.exit("README.md is not what nbs/index.ipynb makes. Run `make readme` and commit.")


if __name__ == "__main__":
    main()
