#!/usr/bin/env python3
"""The site is built, whole, and can be used: pages of commands and names, then a browser opens it and searches.

The browser is Debian's chromium, which is installed where it is missing and can be; elsewhere the last line says that
it was left out.
"""

import functools
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from docs_generated import WIDTH, public_names
from tools import BIN, install

from genomic_ulmfit.cli.main import COMMANDS

TOOLS = BIN.parent / "docs-tools"  # playwright, which drives the browser
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

QUERIES = {  # what somebody types, and the page that is to be among the first five
    "score VCF": "howto/06_variants",
    "FASTQ taxa": "howto/02_fastq",
    "own genomes taxa": "howto/03_own_taxa",
    "threat": "howto/04_threat",
    "anthrax": "tutorials/02_anthrax",
    "table of sequences": "howto/01_table",
    "measured activity": "howto/05_activity",
    "proteins": "howto/07_proteins",
    "antibodies few labels": "tutorials/08_few_labels",
    "embeddings": "howto/08_embeddings",
    "GPU": "howto/09_gpu",
    "cluster": "howto/10_cluster",
    "share a model": "howto/11_models",
    "kraken report columns": "formats",
    "ref_mismatch": "coordinates",
    "near group": "glossary",
    "load_model": "reference/model",
    "GenomeCorpus": "reference/text",
    "calibrate": "commands/calibrate",
    "bacteria-proteins-small": "models/bacteria-proteins-small",
}


def check_commands(site):
    """Each command's page shows what `--help` prints."""
    for name in COMMANDS:
        command = [BIN / "genomic-ulmfit", *name.split(), "--help"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": WIDTH})
        page = (site / "commands" / name.replace(" ", "_") / "index.html").read_text(encoding="utf-8")
        block = re.search(r"<pre>.*?<code>(.*?)</code>", page, re.DOTALL)[1]
        shown = html.unescape(re.sub(r"<[^>]+>", "", block))
        assert shown.split() == said.stdout.split(), f"the page of {name} is not what its --help prints"


def check_names(site):
    """Each public name has a heading in the reference."""
    for room, modules in public_names().items():
        page = (site / "reference" / room / "index.html").read_text(encoding="utf-8")
        headings = set(re.findall(r'<h2 id="([^"]+)"', page))
        missing = [name for names in modules.values() for name in names if name.lower() not in headings]
        assert not missing, f"no part of reference/{room} is about {missing}"


def browser():
    """The program of a browser, installed where it can be; None where there is none."""
    found = next((shutil.which(name) for name in BROWSERS if shutil.which(name)), None)
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], capture_output=True)
        found = shutil.which("chromium")
    return found


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *arguments):
        """Nothing."""


def check_in_browser(site, program):
    """The site in a browser: wide and narrow, twenty searches, nothing fetched from elsewhere."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        queries = [part for pair in QUERIES.items() for part in pair]
        script = Path(__file__).with_name("browse_docs.py")
        address = f"http://127.0.0.1:{server.server_address[1]}"
        install(TOOLS, ["playwright"])
        subprocess.run([TOOLS / "bin/python", script, program, address, *queries], check=True)
    finally:
        server.shutdown()


def main():
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        subprocess.run([sys.executable, Path(__file__).with_name("make_docs.py"), "--out", site], check=True)
        check_commands(site)
        check_names(site)
        program = browser()
        if program is None:
            print("the site has all commands and names; not opened: no browser here, and none can be installed")
            return
        check_in_browser(site, program)
    print(f"the site has all commands and names, and {len(QUERIES)} searches find their page")


if __name__ == "__main__":
    main()
