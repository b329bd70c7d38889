"""Benchmarks of genomic_ulmfit beside what it replaces.

    python benchmarks/run.py NAME [--quick] [--json FILE]

NAME is one of start, read, tokenise, load, train, predict, words, classify, growth, taxa-growth, variants,
mutagenesis. One JSON line per measurement; product and baseline are timed in turns in one process. `--quick` ends
within 50 seconds on two cores. Nothing of ../shared is needed.
"""

import argparse
import importlib
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
NAMES = (
    "start",
    "read",
    "tokenise",
    "load",
    "train",
    "predict",
    "words",
    "classify",
    "growth",
    "taxa-growth",
    "variants",
    "mutagenesis",
)


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    p.add_argument("--quick", action="store_true", help="smaller inputs; ends within 50 seconds")
    p.add_argument("--json", metavar="FILE", help="append the lines to a file")
    args = p.parse_args(argv)
    warnings.filterwarnings("ignore")
    from common import dump

    dump(importlib.import_module(f"bench_{args.name.replace('-', '_')}").measurements(args.quick), args.json)


if __name__ == "__main__":
    main()
