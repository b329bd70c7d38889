#!/usr/bin/env python3
"""Run one study notebook in place and keep its outputs: `run_study.py promoters`.

A study whose data are not there is skipped with a message.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "nbs" / "studies"


def notebook(name):
    """The notebook of that name; stops with the names there are."""
    names = {p.stem.split("_", 1)[1]: p for p in sorted(STUDIES.glob("[0-9]*.ipynb"))}
    if name not in names:
        sys.exit(f"no study {name!r}; there are: {', '.join(names)}")
    return names[name]


def missing(path):
    """What a notebook asks `shared_data` for and isn't there."""
    sys.path.insert(0, str(STUDIES))
    from harness import InputNotFoundError, shared_data

    for name in re.findall(r'shared_data\(\\"([^"\\]+)\\"\)', path.read_text()):
        try:
            shared_data(name)
        except InputNotFoundError as e:
            return str(e)
    return None


def without_paths(text):
    """A notebook's text output without the paths of the machine that ran it, as warnings have them."""
    return re.sub(r"\S+/ipykernel_\d+/\d+\.py", "cell", text.replace(f"{ROOT}/", "").replace(f"{ROOT.parent}/", "../"))


def clean_outputs(path):
    """Rewrite the text outputs of a notebook without paths."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for output in (o for c in notebook["cells"] for o in c.get("outputs", [])):
        if "text" in output:
            output["text"] = [without_paths(line) for line in output["text"]]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    path = notebook(sys.argv[1] if len(sys.argv) == 2 else "")
    if lacks := missing(path):
        sys.exit(f"{path.stem} is skipped: {lacks}")
    run = lambda *command: subprocess.run([str(c) for c in command], check=True)
    run(Path(sys.executable).parent / "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", path)
    clean_outputs(path)
    run(Path(sys.executable).parent / "nbdev-clean", "--fname", path)


if __name__ == "__main__":
    main()
