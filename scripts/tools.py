"""Programs of other people that checks run: commands, and environments beside the one that runs the checks."""

import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def run(*command, **kwargs) -> str:
    """What a command prints; stop with all that it said where it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def install(place: Path, packages: list[str]):
    """Make an environment of its own with packages; once for each list of them."""
    made_of = place / "packages.txt"
    if made_of.exists() and made_of.read_text().split() == packages:
        return
    run(sys.executable, "-m", "venv", "--clear", place)
    run(place / "bin/python", "-m", "pip", "install", "--quiet", *packages)
    made_of.write_text("\n".join(packages))
