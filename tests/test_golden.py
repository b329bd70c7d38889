"""The answers of the golden file: bytes, tokens and batches exactly, the rest as near as processors agree.

`python scripts/golden.py check` compares everything, reports and screens included, on the processor that wrote it.
"""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import golden

EXACT = ("corpus/", "tokens/", "batches/")
NEAR = ("taxa/default/proba_exact", "taxa/one_view/proba_exact", "bits_per_base")
TRAINED = ("losses/",)  # with random numbers, which differ between releases of PyTorch
TOLERANCE = 2e-3  # sums in float32 and bfloat16 in another order


@pytest.fixture(scope="module")
def known_and_found():
    return golden.read(), golden.json_like(golden.answers())


def test_bytes_tokens_and_batches_are_the_same(known_and_found):
    known, found = known_and_found
    names = [name for name in known if name.startswith(EXACT)]
    assert len(names) > 50
    assert [name for name in names if known[name] != found[name]] == []


def test_predictions_and_losses_are_the_same(known_and_found):
    known, found = known_and_found
    as_written = torch.__version__.startswith(golden.TORCH)
    names = [name for name in known if name.startswith(NEAR + TRAINED if as_written else NEAR)]
    assert len(names) == (5 if as_written else 3)
    assert [name for name in names if not golden.same(known[name], found[name], TOLERANCE)] == []


@pytest.mark.parametrize("other", [1.01, [1.0, 2.0], {"a": 1.0}, "1.0", None])
def test_the_comparison_sees_a_difference(other):
    assert golden.same(1.0, 1.0 + 1e-9, 1e-6)
    assert not golden.same(1.0, other, 1e-6)
