"""What a new user types first: is all there, and does the tab key help."""

import json
import subprocess
import sys

import pytest
from commands import run

from genomic_ulmfit import __version__
from genomic_ulmfit.cli import doctor


def test_doctor_says_what_there_is(capsys, tmp_path):
    run("doctor --json {tmp}/found.json", tmp=tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["genomic_ulmfit"] == __version__ and all(found["packages"].values())
    assert found["python"] == sys.version.split()[0] and found["device"] and found["threads"] >= 1
    assert "torch: " in capsys.readouterr().out


def test_doctor_says_what_is_missing_and_how_to_get_it(capsys, monkeypatch):
    known = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda name: None if name in ("pysam", "pyarrow") else known(name))
    run("doctor")
    said = capsys.readouterr().out
    assert "variants: missing pysam" in said and "embed: missing" not in said
    assert "genomic_ulmfit[variants" in said and "needed and missing: pyarrow" in said


@pytest.mark.parametrize(
    "typed, offered",
    [("cla", {"classify"}), ("models pu", {"push", "pull"}), ("pretrain --pre", {"--preset"})],
)
def test_the_tab_key_completes(capsys, tmp_path, typed, offered):
    run("completion bash")
    (tmp_path / "completion.sh").write_text(capsys.readouterr().out)
    words = ["genomic-ulmfit", *typed.split()]
    script = f"source {tmp_path}/completion.sh; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
    script += '_shtab_genomic_ulmfit; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert offered <= set(done.stdout.split()), done
