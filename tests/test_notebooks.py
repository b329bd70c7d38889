"""Checks in notebooks can fail, expected failures run, and outputs name no place of the machine that made them."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path for path in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)

CHECK = "expect_fail"  # fastcore's context manager: it checks what a `with` does inside it

# What a cell shows when its last value was never run.
NEVER_RUN = re.compile(r"<(async_)?generator object|<coroutine object|GeneratorContextManager")

# A folder of one machine: where a notebook was run, or where it put its files.
OF_A_MACHINE = re.compile(r"(?<![\w.:/])/(tmp|home|root|work|workspace|Users|private|var/folders)/\S*")


def cells(path):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def tree_of(source):
    """The syntax tree of a cell, lines of the shell and magics aside; what they give to a name is `None`."""
    lines = [re.sub(r"^(\s*\w+ = )[!%].*", r"\1None", line) for line in source.splitlines()]
    lines = ["pass" if re.match(r"\s*[!%]", line) else line for line in lines]
    if source.lstrip().startswith("%%"):
        return ast.parse("")
    return ast.parse("\n".join(lines))


def name_of(call):
    """The last part of a called name: `expect_fail` of `test.expect_fail(…)`."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def never_entered(tree):
    """Calls of `expect_fail` that no `with` enters: they make a context manager and check nothing."""
    entered = {id(i.context_expr) for w in ast.walk(tree) if isinstance(w, ast.With) for i in w.items}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) == CHECK]
    return [ast.unparse(call) for call in calls if id(call) not in entered]


def handed_a_function(tree):
    """Calls of `expect_fail` with a function to call: it would be taken for the class of the error."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) == CHECK]
    return [ast.unparse(call) for call in calls if any(isinstance(a, ast.Lambda) for a in call.args)]


def always_true(tree):
    """Assertions of what is never false: a generator, a function, a tuple, a constant."""
    never_false = (ast.GeneratorExp, ast.Lambda, ast.JoinedStr, ast.List, ast.Dict)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assert):
            continue
        test = node.test
        constant = isinstance(test, ast.Constant) and bool(test.value)
        if constant or isinstance(test, never_false) or (isinstance(test, ast.Tuple) and test.elts):
            found.append(ast.unparse(node))
    return found


def unused_generators(tree):
    """Statements that make a generator and throw it away."""
    return [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.GeneratorExp)]


CHECKS = (never_entered, handed_a_function, always_true, unused_generators)


def no_ops(source):
    tree = tree_of(source)
    return [place for check in CHECKS for place in check(tree)]


def shown(cell):
    """What a cell shows as its last value."""
    data = [output.get("data", {}).get("text/plain", []) for output in cell["outputs"]]
    return ["".join(lines) for lines in data]


def written(cell):
    """All that a cell wrote and showed, pictures aside."""
    outputs = cell["outputs"]
    data = [lines for output in outputs for kind, lines in output.get("data", {}).items() if kind.startswith("text/")]
    return ["".join(lines) for lines in [*data, *(output.get("text", []) for output in outputs)]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_check_can_fail(path):
    assert [place for cell in cells(path) for place in no_ops("".join(cell["source"]))] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_shows_what_never_ran(path):
    assert [text for cell in cells(path) for text in shown(cell) if NEVER_RUN.search(text)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_name_no_place_of_a_machine(path):
    assert [found[0] for cell in cells(path) for text in written(cell) if (found := OF_A_MACHINE.search(text))] == []


PLACE = "/".join(["", "home", "me"])


@pytest.mark.parametrize(
    "output",
    [
        {"text": [f"saved to {PLACE}/model: accuracy 0.9\n"]},
        {"data": {"text/html": [f"<td>{PLACE}/genomes.tsv</td>"]}},
        {"text": [f"in PosixPath('{PLACE}')"]},
    ],
)
def test_a_place_of_a_machine_is_seen(output):
    assert any(OF_A_MACHINE.search(text) for text in written({"outputs": [output]}))


@pytest.mark.parametrize(
    "source",
    [
        f"{CHECK}(lambda: read('x'), contains='no such file')",
        f"test.{CHECK}(lambda: read('x'))",
        f"with {CHECK}(lambda: read('x')): pass",
        f"def check():\n    {CHECK}(ValueError)",
        "assert (x > 0 for x in values)",
        "assert (values == other, 'they differ')",
        "assert lambda: values == other",
        "assert 'text'",
        "(check(x) for x in values)",
    ],
)
def test_a_check_that_cannot_fail_is_seen(source):
    assert no_ops(source)


@pytest.mark.parametrize(
    "source",
    [
        f"with {CHECK}(ValueError, contains='no such file'): read('x')",
        "!ls\nassert all(x > 0 for x in values), 'negative'",
        "%%time\nread('x'",
        "assert values == (1, 2)",
    ],
)
def test_a_check_that_can_fail_is_let_be(source):
    assert not no_ops(source)


@pytest.mark.parametrize("text", ["<generator object f at 0x7f>", "<contextlib._GeneratorContextManager at 0x7f>"])
def test_a_value_that_never_ran_is_seen(text):
    cell = {"outputs": [{"data": {"text/plain": [text]}}]}
    assert any(NEVER_RUN.search(t) for t in shown(cell))
