"""The page of samples: figures that add up, names that are no HTML, a picture that zooms in a browser."""

import json
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from genomic_ulmfit.report.sunburst import sunburst
from genomic_ulmfit.taxa.calls import Judged
from genomic_ulmfit.taxa.sample import REASONS, Sample
from genomic_ulmfit.taxa.sample_page import join_taxa, page_figures, write_sample_page
from genomic_ulmfit.taxa.taxonomy import taxonomy_from_table

HOSTILE = ["</script><script>alert(1)</script>", "<!--", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "&lt;b&gt;"]


def tree_of(species="S. two"):
    """Three species of two genera."""
    table = pd.DataFrame(
        {
            "phylum": ["One", "One", "Two"],
            "genus": ["Alpha", "Alpha", "Beta"],
            "species": ["S. one", species, "S. three"],
        }
    )
    return taxonomy_from_table(table, table["species"].tolist())


def judged(tree, reads, seed=0):
    """Reads that are given to anything, with random probabilities; some have none."""
    rng = np.random.default_rng(seed)
    probs = tree.sum_up(rng.dirichlet(np.ones(4), reads)[:, :3].astype(np.float32))
    row = np.where(rng.random(reads) < 0.3, -1, rng.integers(1, len(tree), reads))
    probs[:3] = 0
    row[:3] = -1
    return Judged(probs, row, [], np.full(reads, -1), np.zeros(reads, bool))


def sample_of(tree, reads=60, seed=0):
    sample = Sample(tree)
    sample.add(judged(tree, reads, seed))
    return sample


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of each script."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.scripts, self.text = [], [], []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, sorted(name for name, _ in attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        self.text.append(data)
        if self.inside == "script":
            self.scripts.append(data)


# ---------------------------------------------------------------- figures


def test_reasons_add_up_to_the_reads_without_a_taxon():
    some = judged(tree_of(), 60)
    counts = sample_of(tree_of()).to_dict()
    none = some.row < 0
    assert sum(counts["unknown"].values()) == counts["unclassified"] == none.sum() > 10
    assert counts["unknown"]["no_kmer"] == 3
    assert counts["unknown"]["stranger"] == (none & (some.probs[:, 0] < 0.5)).sum() - 3
    assert list(counts["unknown"]) == REASONS


def test_confidence_is_the_mean_over_the_clade():
    tree = tree_of()
    some = judged(tree, 60)
    for taxon in sample_of(tree).to_dict()["taxa"]:
        node = tree.find(taxon["name"])
        below = [row >= 0 and node in tree.lineage(row) for row in some.row]
        assert taxon["confidence"] == pytest.approx(some.probs[below, node].mean(), abs=1e-4), taxon["name"]


def test_rows_of_the_page_are_those_of_the_samples():
    samples = {str(seed): page_figures(sample_of(tree_of(), 20 + seed, seed)) for seed in range(4)}
    joined = join_taxa(samples)
    for name, counts in samples.items():
        rows = joined.figures[name].assign(name=joined.nodes["name"]).set_index("name")
        for taxon in counts["taxa"]:
            shown = rows.loc[taxon["name"]]
            assert shown["clade_reads"] == taxon["clade_reads"] and shown["confidence"] == taxon["confidence"]
        assert rows["reads"].sum() == counts["reads"] - counts["unclassified"]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_no_html(name, tmp_path):
    plain = write_sample_page(tmp_path / "a.html", {"a": sample_of(tree_of()), "b": sample_of(tree_of())})
    odd = write_sample_page(tmp_path / "b.html", {"a": sample_of(tree_of(name)), name: sample_of(tree_of(name))})
    plain, odd = (Elements(page.read_text(encoding="utf-8")) for page in (plain, odd))
    assert odd.elements == plain.elements
    assert len(odd.scripts) == 2 and odd.scripts[1] == plain.scripts[1]
    assert name in json.loads(odd.scripts[0])["name"]
    assert any(name in text for text in odd.text), "it is shown as it is written"


# ---------------------------------------------------------------- a browser

BROWSERS = ("google-chrome", "chromium-headless-shell", "chromium", "chromium-browser")
PRESS = """<script>
const named = name => [...document.querySelectorAll("svg")[0].querySelectorAll(".sector")]
  .find(sector => sector.getAttribute("aria-label").startsWith(name));
const press = (element, key) => element.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const seen = () => [[...document.querySelectorAll("svg")].map(svg => svg.querySelectorAll("path").length),
  [...document.querySelectorAll(".above button")].map(button => button.textContent).join(" > ")];
const steps = [seen()];
press(named("a ("), "Enter"); steps.push(seen());
named("a (").dispatchEvent(new MouseEvent("click")); steps.push(seen());
named("a (").dispatchEvent(new MouseEvent("click")); press(named("a1"), "Enter"); steps.push(seen());
press(named("a ("), "Escape"); steps.push(seen());
document.body.textContent = JSON.stringify(steps);
</script>"""


def test_the_picture_zooms_in_a_browser(tmp_path):
    """A sector by key and the centre by mouse; a leaf leads nowhere; Escape goes back. Both pictures follow."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        pytest.skip("no browser")
    nodes = pd.DataFrame({"name": ["all", "a", "a1", "a2", "b"], "note": "x", "parent": [-1, 0, 1, 1, 0]})
    picture = sunburst(nodes, {"one": np.array([9, 6, 5, 1, 3]), "two": np.array([9, 2, 2, 0, 0])}, "things")
    page = tmp_path / "page.html"
    page.write_text(
        f"<!doctype html><meta charset=utf-8><title>A page</title><body>{picture}{PRESS}</body>", encoding="utf-8"
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    if "<title>A page</title>" not in shown:
        pytest.skip("the browser opens no file here")  # as where it is kept apart from the disk
    steps = json.loads("".join(Elements(shown).text).partition("A page")[2])
    whole, of_a = [[4, 2], "all"], [[2, 1], "all > a"]
    assert steps == [whole, of_a, whole, of_a, whole]
