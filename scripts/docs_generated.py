"""Pages that are made of the code: commands, errors, public names."""

import argparse
import ast
import html
import inspect
import os
import re
from importlib import import_module
from pathlib import Path

from nbdev.showdoc import show_doc

import genomic_ulmfit.all as everything
from genomic_ulmfit.cli.main import COMMANDS, GROUPS, parser
from genomic_ulmfit.seq.errors import install

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "genomic_ulmfit"
WIDTH = "80"  # columns of the help on the pages

# ---------------------------------------------------------------- commands


def command_parsers():
    """The parser of each command, by name."""

    def below(arguments):
        actions = [a for a in arguments._actions if isinstance(a, argparse._SubParsersAction)]
        return actions[0].choices if actions else {}

    found = {}
    for first, arguments in below(parser(tuple(COMMANDS))).items():
        found |= {f"{first} {second}": inner for second, inner in below(arguments).items()} or {first: arguments}
    return {name: found[name] for name in COMMANDS}


def help_of(arguments):
    """What `--help` prints, at a width of 80."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        return arguments.format_help()
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def command_page(name, arguments):
    """The page of a command: what it does, and its help."""
    return f"# {name}\n\n{COMMANDS[name]}\n\n```text\n{help_of(arguments)}```\n"


def command_index():
    """All commands and what they do."""
    rows = [f"| [{name}]({name.replace(' ', '_')}.md) | {does} |" for name, does in COMMANDS.items()]
    groups = " ".join(f"`{group}`: {does[0].lower()}{does[1:]}" for group, does in GROUPS.items())
    top = help_of(parser(tuple(COMMANDS)))
    return (
        "# Commands\n\nEach page is what `genomic-ulmfit COMMAND --help` prints. "
        f"Commands of two words stand in groups. {groups}\n\n| command | does |\n|---|---|\n"
        + "\n".join(rows)
        + f"\n\n## Before the command\n\n```text\n{top}```\n"
    )


# ---------------------------------------------------------------- errors

ERRORS = ("InputError", "InputNotFoundError")


def texts_of(node, known):
    """The texts that an expression may be; what is filled in stands in angle brackets."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else f"<{ast.unparse(p.value)}>" for p in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, known) + texts_of(node.orelse, known)
    if isinstance(node, ast.Name) and node.id in known:
        return [text for value in known[node.id] for text in texts_of(value, {})]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "install":
        return [install(node.args[0].value)]
    return [f"<{ast.unparse(node)}>"]


def assigned(tree):
    """What is given to each name, in a function or at the top of a module."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def errors_of(path):
    """(where, problems, remedies) of each error that a module raises."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = assigned(ast.Module([node for node in tree.body if isinstance(node, ast.Assign)], []))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for function in functions:
        known = top | assigned(function)
        for node in sorted(ast.walk(function), key=lambda node: getattr(node, "lineno", 0)):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and len(node.args) > 2):
                continue
            where, problem, remedy = node.args[:3]
            yield texts_of(where, known)[0], texts_of(problem, known), texts_of(remedy, known)


def cell_of(texts):
    """Texts as a cell of a table."""
    plain = [html.escape(" ".join(text.split()), quote=False) for text in dict.fromkeys(texts)]
    escaped = [re.sub(r"([|*_\[\]`])", r"\\\1", text) for text in plain]
    return "<br>".join(escaped)


def error_page():
    """Every error of the library that names an input, by module, with its remedy."""
    lines = [
        "# Errors and remedies",
        "",
        "Wrong input gets one line, `place: problem. Remedy.`, and exit code 2; nothing half-written is left. Here are "
        "all of them, by the module that raises them; what is filled in stands in &lt;angle brackets&gt;. Exit code "
        "130 is Ctrl-C; what was trained until then is kept, and `--resume` goes on.",
    ]
    for path in sorted(LIBRARY.rglob("*.py")):
        rows = dict.fromkeys((w, cell_of(p), cell_of(r)) for w, p, r in errors_of(path))
        if not rows:
            continue
        module = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
        lines += ["", f"## {module}", "", *about[:1], "", "| where | problem | remedy |", "|---|---|---|"]
        lines += [f"| {cell_of([where])} | {problem} | {remedy} |" for where, problem, remedy in rows]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- public names


CONSTANTS = {
    "DNA": "The alphabet of DNA and RNA: letters, complements, codes.",
    "PROTEIN": "The alphabet of proteins.",
    "SAMPLE": "The folder of the genomes that come with the package, a `pathlib.Path`: pieces of 14 genomes of nine "
    "genera as `*.fna.gz`, and `genomes.tsv` with their file, lineage, split (`train`, `test`) and source.",
    "TASKS": "What a model can learn, by name: classes, targets.",
    "PRESETS": "Sizes of networks by name: `nano`, `tiny`, `small`, `full`.",
}


def homes():
    """The module that each name of `all.py` comes from, as `room.module`; those of fastai are left out."""
    tree = ast.parse((LIBRARY / "all.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    ours = [node for node in imports if not node.module.startswith("fastai")]
    return {alias.name: node.module.removeprefix("genomic_ulmfit.") for node in ours for alias in node.names}


def methods_of(owner):
    """The public methods of a class of ours that it, or a class of ours above it, defines and describes."""
    for name, method in inspect.getmembers(owner):
        inner = getattr(method, "__func__", method)
        ours = getattr(inner, "__module__", None) or ""
        if name.startswith("_") or not callable(inner) or not ours.startswith("genomic_ulmfit"):
            continue
        if inspect.getdoc(inner) and not inspect.isclass(inner):
            yield name, method


def described(thing, name, level):
    """A heading, the signature with the comments of its parameters, and the docstring."""
    shown = show_doc(thing, name=name)._repr_markdown_()
    body = shown.split("\n### ", 1)[1].split("\n", 1)[1].strip()
    body = re.sub(r"^(```python\ndef )\w+", rf"\1{name.split('.')[-1]}", body)  # it may be another name's function
    if "." in name:
        body = re.sub(r"\(\n    model, #[^\n]*\n", "(\n", body)  # of a method, itself
    return f"{'#' * level} {name}\n\n{body}\n"


def name_parts(name):
    """The lines of a public name."""
    thing = getattr(everything, name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return [f"## {name}\n\n{CONSTANTS[name]}\n"]
    parts = [described(thing, name, 2)]
    if inspect.isclass(thing):
        parts += [described(method, f"{name}.{inner}", 3) for inner, method in methods_of(thing)]
    return parts


def public_names():
    """Public names by room, then by module; those of other packages are left out."""
    rooms, places = {}, homes()
    for name in everything.__all__:
        if name in places:
            rooms.setdefault(places[name].split(".")[0], {}).setdefault(places[name], []).append(name)
    return rooms


def room_page(room, modules, chapters):
    """The public names of a room, with the chapters that they are from."""
    about = (import_module(f"genomic_ulmfit.{room}").__doc__ or "").strip()
    lines = [f"# {room}", "", about, ""]
    for module, names in modules.items():
        lines.append(f"Of `{module}` ([chapter](../{chapters[module]})):\n")
        lines += [part for name in names for part in name_parts(name)]
    return "\n".join(lines)


def anchor_of(name):
    """The anchor of a heading, as Python's Markdown makes it."""
    return name.lower().replace(".", "")


def name_index(rooms):
    """All public names in the order of the alphabet."""
    places = {name: room for room, modules in rooms.items() for names in modules.values() for name in names}
    rows = [f"- [{name}]({places[name]}.md#{anchor_of(name)})" for name in sorted(places, key=str.lower)]
    text = "What `from genomic_ulmfit.all import *` brings, and what it takes and gives."
    return f"# Python\n\n{text} Comments beside parameters say unit, shape and default.\n\n" + "\n".join(rows) + "\n"
