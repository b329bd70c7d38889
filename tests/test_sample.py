"""Parts of a sample add up to the whole, however it is cut and in whatever order they come."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genomic_ulmfit.taxa.calls import Judged
from genomic_ulmfit.taxa.overlaps import Sketches
from genomic_ulmfit.taxa.sample import Sample
from genomic_ulmfit.taxa.taxonomy import taxonomy_from_table

LINEAGES = pd.DataFrame(
    {
        "phylum": ["One", "One", "One", "Two"],
        "genus": ["Alpha", "Alpha", "Beta", "Gamma"],
        "species": ["a", "b", "c", "d"],
    }
)
TREE = taxonomy_from_table(LINEAGES, LINEAGES["species"].tolist())
CLASSES = len(TREE.classes)
GENOME = np.random.default_rng(0).integers(0, 4, 600).astype(np.uint8)
PROBS = TREE.sum_up(np.random.default_rng(1).dirichlet(np.ones(CLASSES + 1), 20)[:, :CLASSES].astype(np.float32))
MOST = 3  # reads of a class whose words are kept: so few that some are always left out

# What is known of one read. It lies on a short genome, so that many overlap and some are the same.
READ = st.tuples(
    st.integers(0, 9),  # where it begins, in steps of 40 bases
    st.sampled_from([0, 10, 50, 100]),  # bases
    st.integers(0, len(PROBS) - 1),  # its probabilities
    st.integers(-1, len(TREE) - 1),  # the node that it is given to
    st.integers(-1, CLASSES - 1),  # its best class
    st.booleans(),  # whether it is close to that
    st.integers(-1, len(TREE) - 1),  # the node that Kraken2 gives it to
)
READS = st.lists(READ, min_size=1, max_size=20)


def counted(some, with_words=True, with_kraken2=True) -> Sample:
    """The sample of some reads, added at once; those that begin at an odd place have a mate."""
    start, bases, probs, row, best, close, kraken2 = np.array(some, int).reshape(-1, 7).T
    judged = Judged(PROBS[probs], row, [], best, (close == 1) & (best >= 0), kraken2 if with_kraken2 else None)
    pieces = [GENOME[40 * first : 40 * first + n] for first, n in zip(start, bases)]
    sample = Sample(TREE)
    sample.sketches = Sketches(MOST)
    sample.add(judged, [(p, p[::-1]) if n % 2 else (p,) for p, n in zip(pieces, start)] if with_words else None)
    return sample


def everything(sample) -> list:
    """All that can be asked of a sample."""
    sets = [[c] for c in range(CLASSES)] + [[0, 1], list(range(CLASSES))]
    arrays = (sample.direct, sample.best, sample.close, sample.kraken2, sample.sketched, sample.probability)
    arrays += (sample.confidence, sample.unknown)
    return [
        sample.kreport(),
        json.dumps(sample.to_dict()),
        [sample.overlaps(classes) for classes in sets],
        [array.tolist() for array in (*arrays, sample.clade, sample.kraken2_clade)],
        (sample.reads, sample.unclassified, sample.kraken2_reads, bool(sample.sketches)),
    ]


def added(parts, draw) -> Sample:
    """The parts put together two by two, in an order and with brackets that are drawn."""
    parts = list(parts)
    while len(parts) > 1:
        first = parts.pop(draw(st.integers(0, len(parts) - 1)))
        second = parts.pop(draw(st.integers(0, len(parts) - 1)))
        parts.append(first + second)
    return parts[0]


@settings(deadline=None, max_examples=100)
@given(data=st.data(), some=READS)
def test_parts_add_up_to_the_whole(data, some):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(some)), max_size=5)))
    edges = [0, *cuts, len(some)]
    parts = [counted(some[start:end]) for start, end in zip(edges, edges[1:])]
    assert everything(added(parts, data.draw)) == everything(counted(some))


@settings(deadline=None, max_examples=50)
@given(data=st.data(), some=READS)
def test_the_order_of_reads_does_not_matter(data, some):
    assert everything(counted(data.draw(st.permutations(some)))) == everything(counted(some))


@settings(deadline=None, max_examples=50)
@given(some=READS, other=READS)
def test_parts_with_words_and_kraken2_and_parts_without(some, other):
    one, two = counted(some), counted(other, with_words=False, with_kraken2=False)
    before = everything(one), everything(two)
    total = one + two
    assert everything(total) == everything(two + one)
    assert total.kraken2_reads == len(some) and total.reads == len(some) + len(other)
    assert total.sketched.tolist() == one.sketched.tolist()
    assert (everything(one), everything(two)) == before, "parts stay as they are"


@pytest.mark.parametrize("close", [(1, 1, 0, 0, 0), (0, 1, 0, 1, 0), (0, 0, 0, 1, 1)])
def test_copies_of_a_read_that_are_close_or_not(close):
    """They have the same key: which of them are kept must not depend on the order either."""
    copies = [(0, 100, 0, 0, 0, flag, -1) for flag in close]
    assert counted(copies).sketched[0] == MOST
    assert everything(counted(copies)) == everything(counted(sorted(copies)))


def test_an_empty_sample_adds_nothing():
    assert everything(Sample(TREE) + Sample(TREE)) == everything(Sample(TREE))


def test_samples_of_other_trees_do_not_add_up():
    other = taxonomy_from_table(LINEAGES[:3], ["a", "b", "c"])
    with pytest.raises(ValueError, match="different trees"):
        Sample(TREE) + Sample(other)
