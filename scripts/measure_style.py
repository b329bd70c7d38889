#!/usr/bin/env python3
"""Measures how readable the library is: the numbers that CONTRIBUTING sets goals for.

python scripts/measure_style.py            # the whole library, a line per figure
python scripts/measure_style.py seq text   # some rooms only
python scripts/measure_style.py --list     # and the places behind the figures that miss their goal
"""

import argparse
import ast
import json
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 120  # columns
CELL, LARGEST_CELL = 15, 60  # lines of an exported cell
FUNCTION = 40  # lines
MODULE = 300  # lines

# Where bases may be known: the alphabet, the tokenizer's notebook, everything about taxa, and the gathering of names.
DNA_ROOMS = ("seq.alphabet", "text.kmers", "taxa.", "all")
DNA = re.compile(
    r"\b(N_CODE|PAD_CODE|BASES|encode_bases|decode_bases|reverse_complement)\b"
    r"|(?<!\d)4 ?\*\* ?|\"ACGT|'ACGT|& 3\b|3 - codes|codes? [<>]=? [345]\b|% 4\b"
)

# Letters that mathematics uses: sizes, counters, matrices and the like, as in the papers that the notebooks name.
MATHEMATICS = set("knxyzcfghiopqtwXYpTC") | {"_"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "genomic_ulmfit").with_suffix("").parts)


def modules(rooms: list[str]) -> dict[str, str]:
    """Source of the exported modules by name."""
    found = {
        module_name(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / "genomic_ulmfit").rglob("*.py"))
    }
    return {
        name: source
        for name, source in found.items()
        if not name.split(".")[-1].startswith("_") and inside(name, rooms)
    }


def inside(name: str, rooms: list[str]) -> bool:
    return not rooms or any(name == room or name.startswith(f"{room}.") for room in rooms)


def exported_cells(rooms: list[str]) -> list[tuple[str, int, str]]:
    """(place, lines, first line) of each exported cell of the library notebooks, directives and empty lines aside."""
    found = []
    for path in sorted((ROOT / "nbs").rglob("*.ipynb")):
        room = ""
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if match := re.search(r"^#\| *default_exp +(\S+)", source, re.M):
                room = match[1]
            if (
                cell["cell_type"] != "code"
                or not re.search(r"^#\| *exporti?\b", source, re.M)
                or not inside(room, rooms)
            ):
                continue
            lines = [line for line in source.splitlines() if line.strip() and not line.startswith("#|")]
            if all(re.match(r"(from|import) |\s|\)", line) for line in lines):
                continue  # imports
            found.append((path.name, len(lines), lines[0]))
    return found


def functions(tree: ast.AST):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def tuple_assignments(tree: ast.AST) -> list[ast.AST]:
    """`a, b = …`: several names assigned together."""
    return [n for n in ast.walk(tree) if isinstance(n, ast.Assign) and any(isinstance(t, ast.Tuple) for t in n.targets)]


def short_locals(tree: ast.AST) -> list[ast.Name]:
    """One-letter names that a function assigns, comprehensions and mathematics aside."""
    found = []
    for function in functions(tree):
        inner = {id(n) for c in ast.walk(function) if isinstance(c, ast.comprehension) for n in ast.walk(c.target)}
        for node in ast.walk(function):
            stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            if stored and len(node.id) == 1 and node.id not in MATHEMATICS and id(node) not in inner:
                found.append(node)
    return list({(n.lineno, n.id): n for n in found}.values())


def strip_strings(source: str) -> str:
    """The source without docstrings and comments."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for i in range(node.lineno - 1, node.end_lineno):
                lines[i] = ""
    return "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in lines)


def dna_places(name: str, source: str) -> list[str]:
    """Lines that know bases though their module must not."""
    if any(name == room or (room.endswith(".") and name.startswith(room)) for room in DNA_ROOMS):
        return []
    lines = [line for line in strip_strings(source).splitlines() if DNA.search(line)]
    return [f"{name}: {line.strip()}" for line in lines]


def wide_lines(source: str) -> list[int]:
    """Numbers of the lines that are too wide."""
    return [number for number, line in enumerate(source.splitlines(), 1) if len(line) > WIDTH]


def measure(rooms: list[str]) -> dict[str, tuple]:
    """Figure, goal and the places behind it, by title."""
    sources = modules(rooms)
    trees = {name: ast.parse(source) for name, source in sources.items()}
    lines = {name: source.splitlines() for name, source in sources.items()}
    total = sum(map(len, lines.values()))
    cells = exported_cells(rooms)
    sizes = [size for _, size, _ in cells] or [0]
    wide = [f"{name}:{i}" for name, source in sources.items() for i in wide_lines(source)]
    long_cells = [f"{place}: {size} lines: {first}" for place, size, first in cells if size > CELL]
    huge = [f"{place}: {size} lines: {first}" for place, size, first in cells if size > LARGEST_CELL]
    largest = max(lines, key=lambda name: len(lines[name]), default="")
    long_functions = [
        f"{n}.{f.name}: {f.end_lineno - f.lineno + 1}"
        for n, t in trees.items()
        for f in functions(t)
        if f.end_lineno - f.lineno + 1 > FUNCTION
    ]
    pairs = [f"{n}:{a.lineno}" for n, t in trees.items() for a in tuple_assignments(t)]
    letters = [f"{n}:{x.lineno} {x.id}" for n, t in trees.items() for x in short_locals(t)]
    dna = [place for n, source in sources.items() for place in dna_places(n, source)]
    return {
        f"lines over {WIDTH} columns": (len(wide), 0, wide),
        f"exported cells over {CELL} lines, %": (round(100 * len(long_cells) / max(len(cells), 1)), 35, long_cells),
        f"exported cells over {LARGEST_CELL} lines": (len(huge), 0, huge),
        "median exported cell, lines": (statistics.median(sizes), 12, []),
        f"largest module, lines ({largest})": (
            len(lines.get(largest, [])),
            MODULE,
            [n for n in lines if len(lines[n]) > MODULE],
        ),
        f"functions over {FUNCTION} lines": (len(long_functions), 0, long_functions),
        "tuple assignments per 1,000 lines": (round(1000 * len(pairs) / max(total, 1), 1), 13, pairs),
        "one-letter locals outside comprehensions and mathematics": (len(letters), 0, letters),
        "places that know DNA": (len(dna), 0, dna),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", help="rooms or modules, e.g. seq or text.kmers (default: all)")
    parser.add_argument("--list", action="store_true", help="name the places behind figures that miss their goal")
    args = parser.parse_args()
    missed = 0
    for title, (figure, goal, places) in measure(args.rooms).items():
        met = figure <= goal
        missed += not met
        print(f"{'' if met else 'MISSED':7}{figure:>7}  (goal {goal})  {title}")
        if args.list and not met:
            print("".join(f"            {place}\n" for place in places), end="")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
