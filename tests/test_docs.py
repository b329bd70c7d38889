"""The documentation: links, statuses and keys that the code has, snippets that run, results that are those stored."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from execnb.shell import CaptureShell

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT / "nbs"
sys.path.insert(0, str(ROOT / "scripts"))

import docs_generated as generated  # noqa: E402
from docs_notebooks import loosened, relinked, shown_cell, site_path, title_of  # noqa: E402
from make_docs import finished  # noqa: E402

from genomic_ulmfit.tasks import vcf  # noqa: E402
from genomic_ulmfit.tasks.alleles import STATUSES  # noqa: E402

SNIPPET = re.compile(r"^```(?:sh|bash|python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN_BY_CI = {"make demo", "make test"}  # of the README: the first in the workflow, the second is CI itself


# ---------------------------------------------------------------- what pages say


def test_all_statuses_and_keys_of_variants_are_explained():
    said = (ROOT / "docs/coordinates.md").read_text()
    assert [status for status in STATUSES if f"| `{status}` |" not in said] == []
    said = (ROOT / "docs/formats.md").read_text()
    assert [key for key in vcf._DESCRIPTIONS if f"`{key}`" not in said] == []


def texts():
    """The Markdown of README, docs, how-tos, tutorials and results, by file."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        yield path, path.read_text(encoding="utf-8")
    folders = ("howto", "tutorials", "results")
    for path in [path for folder in folders for path in sorted((NBS / folder).glob("*.ipynb"))]:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        yield path, "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def code_of(path):
    """The code of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_every_snippet_is_a_cell_that_runs():
    ten_lines = code_of(NBS / "index.ipynb")
    for path, text in texts():
        for found in SNIPPET.finditer(text):
            lines = [line.split("   #")[0].strip() for line in found[1].splitlines() if line.strip()]
            left = [line for line in lines if line not in RUN_BY_CI]
            assert path.name == "README.md" or not left, f"{path.name} has a snippet that nobody runs: {left[:1]}"
            assert [line for line in left if line not in ten_lines] == []


@pytest.mark.parametrize("path", sorted((NBS / "howto").glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_commands_print_is_kept(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    commands = [cell for cell in cells if "".join(cell["source"]).startswith("%%bash")]
    assert commands and all(cell["outputs"] for cell in commands)


def test_the_readme_is_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def stored_markdown(cell):
    """What a cell shows as Markdown, as it is stored or as it was just made."""
    return ["".join(output["data"]["text/markdown"]) for output in cell["outputs"] if "data" in output]


@pytest.mark.parametrize("path", sorted((NBS / "results").glob("*.ipynb")), ids=lambda path: path.stem)
def test_tables_of_results_are_of_the_stored_figures(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    monkeypatch.syspath_prepend(str(path.parent))
    shell = CaptureShell()
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            made = shell.run("".join(cell["source"]))
            assert stored_markdown({"outputs": made}) == stored_markdown(cell), "run the page again"


def test_the_table_of_the_readme_is_of_the_stored_figures(monkeypatch):
    monkeypatch.syspath_prepend(str(NBS / "results"))
    import tables

    assert tables.headline().data in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", sorted((NBS / "tutorials").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_tutorial_installs_the_package_in_colab(path):
    assert 'if "google.colab" in sys.modules:' in code_of(path)


# ---------------------------------------------------------------- how pages are made


@pytest.mark.parametrize(
    ("source", "link", "there"),
    [
        ("nbs/howto/01_table.ipynb", "../tutorials/02_anthrax.ipynb", "../tutorials/02_anthrax.md"),
        ("nbs/tutorials/02_anthrax.ipynb", "../10_kmers.ipynb#stride", "../house/10_kmers.md#stride"),
        ("docs/formats.md", "../nbs/11_corpus.ipynb", "house/11_corpus.md"),
        ("nbs/index.ipynb", "../docs/limits.md", "limits.md"),
        ("nbs/index.ipynb", "../LICENSE", "LICENSE"),
    ],
)
def test_links_go_where_the_site_has_the_page(source, link, there):
    assert relinked(f"see [it]({link}) and `[not]({link})`", source) == f"see [it]({there}) and `[not]({link})`"


def test_a_link_to_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"docs/formats.md links to nowhere.md, which isn't there"):
        relinked("see [it](nowhere.md)", "docs/formats.md")


def test_cards_have_the_name_of_their_model():
    assert site_path("genomic_ulmfit/pretrained/bacteria-taxa/README.md") == "models/bacteria-taxa.md"


def test_the_navigation_has_titles_without_marks():
    assert title_of("text\n\n# Promoters of *E. coli*, by `train`\n\n## More") == "Promoters of E. coli, by train"


def test_a_list_gets_a_line_before_it():
    assert loosened("text\n- one\n- two\n") == "text\n\n- one\n- two\n"
    assert loosened("```text\ntext\n- one\n```") == "```text\ntext\n- one\n```"


def cell(source, outputs=()):
    """A cell as nbformat reads one."""
    made = nbformat.v4.new_code_cell(source)
    made.outputs = [nbformat.from_dict(output) for output in outputs]
    return made


def test_hidden_cells_bars_and_styles_are_left_out():
    assert shown_cell(cell("#| hide\nx = 1"), "nbs/a.ipynb") is None
    bar = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<progress class='fastprogress'>"}}
    style = "<style scoped>\n a {}\n</style>\n"
    frame = {"output_type": "display_data", "metadata": {}}
    frame["data"] = {"text/html": f'<div>{style}<table border="1" class="dataframe">'}
    shown = shown_cell(cell("#| export\nx = 1", [bar, frame]), "nbs/a.ipynb")
    assert shown.source == "x = 1" and shown.metadata.language == "python"
    assert [output.data["text/html"] for output in shown.outputs] == ["<div><table>"]
    assert shown_cell(cell("%%bash -e\nls"), "nbs/a.ipynb").metadata.language == "bash"


def test_errors_are_read_off_the_code(tmp_path):
    code = """
REMEDY = "Check the path"


def opened(path, names):
    if not names:
        raise InputError(path, f"has {len(names)} names | none", install("hub"))
    problem = "is old" if names[0] else f"is {names[1]!r}"
    raise InputNotFoundError("the file", problem, REMEDY, record=names[0])
"""
    (tmp_path / "module.py").write_text(code)
    assert list(generated.errors_of(tmp_path / "module.py")) == [
        ("<path>", ["has <len(names)> names | none"], ["Run pip install 'genomic_ulmfit[hub]'"]),
        ("the file", ["is old", "is <names[1]>"], ["Check the path"]),
    ]
    assert generated.cell_of(["a | b", "a | b", "<c>"]) == r"a \| b<br>&lt;c&gt;"


def test_every_error_of_the_library_is_on_the_page():
    raised = sum(path.read_text().count("raise InputError(") for path in (ROOT / "genomic_ulmfit").rglob("*.py"))
    assert sum(len(list(generated.errors_of(path))) for path in (ROOT / "genomic_ulmfit").rglob("*.py")) >= raised


def test_a_name_has_its_signature_with_comments_and_its_methods():
    parts = "\n".join(generated.name_parts("GenomeCorpus"))
    assert "## GenomeCorpus" in parts and "### GenomeCorpus.build" in parts
    embed = "\n".join(generated.name_parts("LanguageModel")).split("### LanguageModel.embed")[1].split("###")[0]
    assert "def embed(\n    sequences, # letters or codes, a list" in embed
    assert "# folder to make" in parts and "Stream sequence files into a corpus." in parts


def test_tutorials_can_be_opened_elsewhere_where_the_repository_is_known():
    page = finished("# Title\n\ntext\n", "tutorials/02_anthrax.md", "lab/genomes")
    assert "colab.research.google.com/github/lab/genomes/blob/main/nbs/tutorials/02_anthrax.ipynb" in page
    assert "mybinder.org/v2/gh/lab/genomes/main?labpath=nbs/tutorials/02_anthrax.ipynb" in page
    assert page.index("# Title") < page.index("Colab") < page.index("text")
    assert "Colab" not in finished("# Title\n\ntext\n", "tutorials/02_anthrax.md", None)
    assert "Colab" not in finished("# Title\n\ntext\n", "howto/01_table.md", "lab/genomes")
