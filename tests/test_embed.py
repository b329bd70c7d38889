"""Embeddings: any length at constant memory, pooled as by hand, files that say where they come from."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import fails, run
from conftest import simulate

from genomic_ulmfit.all import DNA, PROTEIN, InputError, KmerTokenizer, Preset, SequenceRecord, embed_file, load_model
from genomic_ulmfit.model.config import ModelConfig
from genomic_ulmfit.model.model import LanguageModel
from genomic_ulmfit.nets.awdlstm import language_model
from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.tasks import embed as embed_module


def write_fasta(path, sequences, prefix="s"):
    path.write_text("".join(f">{prefix}{i}\n{DNA.decode(codes)}\n" for i, codes in enumerate(sequences)))
    return path


@pytest.fixture(scope="module")
def sequences():
    lengths = (900, 40, 2_500, 3, 300, 77)
    return [simulate("Alpha" if i % 2 else "Beta", i, length) for i, length in enumerate(lengths)]


@pytest.fixture(params=["lm", "clf"])
def folder(models, request):
    return models / request.param


# ---------------------------------------------------------------- model.embed


@pytest.mark.parametrize("pool", ["mean", "max", "last", "ulmfit"])
def test_a_batch_gives_what_each_gives_alone(folder, sequences, pool):
    model = load_model(folder, "cpu")
    together = model.embed(sequences, pool=pool).vectors
    alone = np.concatenate([model.embed([codes], pool=pool, batch_letters=50).vectors for codes in sequences])
    assert np.isfinite(together).all() and np.abs(together - alone).max() < 1e-5
    assert np.abs(together[0] - together[4]).max() > 1e-3


def by_hand(parts, lengths, pool):
    """One vector of the vectors of windows."""
    if pool == "mean":
        return np.average(parts, axis=0, weights=lengths)
    return parts.max(0) if pool == "max" else parts[-1]


@pytest.mark.parametrize("pool", ["mean", "max", "last"])
def test_a_long_sequence_is_its_windows_pooled_by_hand(folder, pool):
    model = load_model(folder, "cpu")
    long = simulate("Alpha", 9, 1_237)
    how = {"pool": pool, "window": 100, "phases": 1, "both_strands": False}
    windows = model.embed([long], level="window", **how)
    assert windows.start[0] == 0 and windows.end[-1] == 1_237 and (windows.end - windows.start).max() <= 100
    assert (windows.start[1:] <= windows.end[:-1]).all(), "nothing is left out between windows"
    pieces = [long[a:b] for a, b in zip(windows.start, windows.end)]
    parts = np.concatenate([model.embed([piece], **how).vectors for piece in pieces])
    assert np.abs(windows.vectors - parts).max() < 1e-5
    kmers = [model.tokenizer.n_tokens(len(piece)) for piece in pieces]
    assert np.abs(model.embed([long], **how).vectors[0] - by_hand(parts, kmers, pool)).max() < 1e-5


def test_ulmfit_is_last_largest_and_mean(folder, sequences):
    model = load_model(folder, "cpu")
    parts = [model.embed(sequences, pool=pool).vectors for pool in ("last", "max", "mean")]
    assert np.abs(model.embed(sequences, pool="ulmfit").vectors - np.hstack(parts)).max() < 1e-6


def test_both_strands_have_one_vector(folder, sequences):
    model = load_model(folder, "cpu")
    short = [codes for codes in sequences if len(codes) <= 300]
    turned = model.embed([DNA.reverse_complement(codes) for codes in short]).vectors
    assert np.abs(model.embed(short).vectors - turned).max() < 1e-5
    assert np.abs(model.embed(short, both_strands=False).vectors - turned).max() > 1e-4


def test_layers(folder, sequences):
    model = load_model(folder, "cpu")
    sizes = [model.embed(sequences[:2], layer=layer).vectors.shape[1] for layer in (0, 1, 2, -1)]
    assert sizes == [16, 24, 16, 16]
    assert np.array_equal(model.embed(sequences[:2], layer=2).vectors, model.embed(sequences[:2]).vectors)
    with pytest.raises(ValueError, match="no layer 3"):
        model.embed(sequences, layer=3)


def test_unknown_letters_have_no_say(folder):
    model = load_model(folder, "cpu")
    known = simulate("Alpha", 3, 300)
    gap = np.full(1_000, DNA.unknown, np.uint8)
    found = model.embed([known, gap, np.zeros(0, np.uint8), known[:2]], layer=0, window=300).vectors
    assert np.isfinite(found[0]).all() and np.isnan(found[1:]).all()
    padded = model.embed([np.concatenate([gap[:900], known])], layer=0, window=300).vectors
    assert np.abs(padded - found[:1]).max() < 1e-5


def test_proteins(tmp_path):
    tokenizer, preset = KmerTokenizer(1, 1, PROTEIN), Preset(8, 12, 2)
    LanguageModel(language_model(tokenizer, preset), ModelConfig(preset, tokenizer)).save(tmp_path / "lm")
    fasta = tmp_path / "p.faa"
    fasta.write_text("".join(f">p{i}\n{'MKVLAEIRWQ' * (i + 1)}\n" for i in range(6)))
    done = embed_file(tmp_path / "lm", fasta, tmp_path / "p.parquet", page=tmp_path / "p.html")
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert list(table) == ["id", "start", "end", "length", "vector"] and done.gc_correlation is None
    assert "GC content" not in (tmp_path / "p.html").read_text()


# ---------------------------------------------------------------- files


def test_records_are_held_a_few_at_a_time(models, tmp_path, monkeypatch):
    """However many records there are, only those of one group have been read and not yet written."""
    monkeypatch.setattr(embed_module, "TOGETHER", 1_000)
    state = {"read": 0, "written": 0, "most": 0}

    def records(*_, **__):
        for number in range(200):
            state["read"] += 1
            state["most"] = max(state["most"], state["read"] - state["written"])
            yield SequenceRecord(f"r{number}", "", simulate("Alpha", number, 100))

    monkeypatch.setattr(embed_module, "sequence_records", records)
    written = lambda rows: state.update(written=rows)
    done = embed_file(models / "lm", "any.fa", tmp_path / "x.parquet", progress=written, phases=1)
    assert done.rows == 200 and state["most"] == 10, "ten records of 100 letters"


def test_order_ids_and_metadata(folder, sequences, tmp_path):
    fasta = write_fasta(tmp_path / "s.fa", sequences)
    embed_file(folder, fasta, tmp_path / "x.parquet", layer=1, phases=1)
    table = pd.read_parquet(tmp_path / "x.parquet")
    assert table["id"].tolist() == [f"s{i}" for i in range(6)] and set(table["strand"]) == {"."}
    assert table["length"].tolist() == table["end"].tolist() == [len(codes) for codes in sequences]
    np.testing.assert_allclose(table["gc"], [((codes == 1) | (codes == 2)).mean() for codes in sequences], atol=1e-6)
    expected = load_model(folder, "cpu").embed(sequences, layer=1, phases=1).vectors
    assert np.abs(np.stack(table["vector"]) - expected).max() < 1e-5
    field = pq.read_schema(tmp_path / "x.parquet").field("vector")
    assert str(field.type) in ("list<element: float>", "list<item: float>")
    about = json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"genomic_ulmfit"])
    assert about["model_sha256"] == sha256(folder / "model.safetensors")
    assert (about["layer"], about["pool"], about["phases"], about["both_strands"]) == (1, "mean", 1, True)


def test_windows_say_where_they_lie(models, sequences, tmp_path):
    fasta = write_fasta(tmp_path / "s.fa", sequences)
    embed_file(models / "lm", fasta, tmp_path / "x.parquet", level="window", window=200, phases=1)
    table = pd.read_parquet(tmp_path / "x.parquet")
    long = table[table["id"] == "s2"]
    assert len(long) == 13 and long["start"].iloc[0] == 0 and long["end"].iloc[-1] == 2_500
    assert (long["length"] == 2_500).all()


def test_what_is_too_short_is_left_out_and_counted(models, sequences, tmp_path, capsys):
    fasta = write_fasta(tmp_path / "s.fa", sequences[:2])
    fasta.write_text(fasta.read_text() + ">tiny\nAC\n>none\n>gap\nNNNNNNNN\n")
    run("embed {m} {f} --out {o} --fast", m=models / "lm", f=fasta, o=tmp_path / "x.parquet")
    assert pd.read_parquet(tmp_path / "x.parquet")["id"].tolist() == ["s0", "s1"]
    assert "3 left out, without a k-mer of known letters, in tiny, none, gap" in capsys.readouterr().err


def test_anndata_has_umap_labels_and_the_checksum(models, tmp_path):
    anndata, _ = pytest.importorskip("anndata"), pytest.importorskip("umap")
    pieces = [simulate("Alpha" if i < 10 else "Beta", i, 150) for i in range(20)]
    fasta = write_fasta(tmp_path / "s.fa", pieces)
    rows = "".join(f"s{i}\t{'Alpha' if i < 10 else 'Beta'}\n" for i in range(20))
    (tmp_path / "l.tsv").write_text("id\tgenus\n" + rows)
    run(
        "embed {m} {f} --out {o} --umap --labels {l} --label genus --page {p} --fast",
        m=models / "clf", f=fasta, o=tmp_path / "x.h5ad", l=tmp_path / "l.tsv", p=tmp_path / "x.html",
    )
    data = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert data.obs_names.tolist() == [f"s{i}" for i in range(20)] and data.X.dtype == np.float32
    assert data.obsm["X_umap"].shape == (20, 2) and np.isfinite(data.obsm["X_umap"]).all()
    assert data.obs["label"].tolist() == ["Alpha"] * 10 + ["Beta"] * 10
    assert data.uns["genomic_ulmfit"]["model_sha256"] == sha256(models / "clf" / "model.safetensors")
    expected = load_model(models / "clf", "cpu").embed(pieces, phases=1, both_strands=False).vectors
    assert np.abs(data.X - expected).max() < 1e-5
    html = (tmp_path / "x.html").read_text()
    assert "UMAP 1" in html and "Pearson" in html and "Alpha" in html
    assert "<script" not in html and "src=" not in html and 'href="http' not in html


def test_a_table_of_sequences_with_its_labels(models, tmp_path):
    rows = [f"{DNA.decode(simulate('Alpha', i, 60))}\tg{i % 2}" for i in range(6)]
    (tmp_path / "s.tsv").write_text("\n".join(["sequence\tgenus", *rows]) + "\n")
    embed_file(models / "lm", tmp_path / "s.tsv", tmp_path / "x.parquet", label="genus", phases=1)
    table = pd.read_parquet(tmp_path / "x.parquet")
    assert table["id"].tolist() == list("123456") and table["label"].tolist() == ["g0", "g1"] * 3


# ---------------------------------------------------------------- bad input


def test_outputs_are_whole_or_not_there(models, sequences, tmp_path):
    fasta = write_fasta(tmp_path / "s.fa", sequences)
    fasta.write_text(fasta.read_text() + ">broken\nMKVLAEIRWQ\n")
    for name in ("x.parquet", "x.h5ad"):
        with pytest.raises(InputError, match="record 'broken'"):
            embed_file(models / "lm", fasta, tmp_path / name, page=tmp_path / "x.html", phases=1)
    assert [path.name for path in tmp_path.iterdir()] == ["s.fa"]


def test_bad_input_is_one_line(models, sequences, tmp_path, capsys):
    fasta = write_fasta(tmp_path / "s.fa", sequences)
    places = {"m": models / "lm", "f": fasta, "o": tmp_path / "x.parquet", "t": tmp_path}
    fails(capsys, "embed {m} {f} --out {t}/x.csv", names=["x.csv: ends with '.csv'"], **places)
    fails(capsys, "embed {m} {f} --out {o} --umap", names=["no place for UMAP's points"], **places)
    fails(capsys, "embed {m} {f} --out {f}", names=["is read and written at once"], **places)
    fails(capsys, "embed {m} {f} --out {o} --layer 7", names=["there is no layer 7"], **places)
    fails(capsys, "embed {m} {f} --out {o} --label genus", names=["has no column 'genus'"], **places)
    fails(capsys, "embed {t}/no {f} --out {o}", names=["no such model folder"], **places)
    fails(capsys, "embed {m} {f} --out {o} --window 0", names=["window: is 0"], **places)
    (tmp_path / "l.tsv").write_text("id\tlabel\ns0\tx\n")
    fails(capsys, "embed {m} {f} --out {o} --labels {t}/l.tsv", names=["record 's1'", "has no label"], **places)
    write_fasta(fasta, sequences[:2])
    fails(capsys, "embed {m} {f} --out {o} --page {t}/x.html", names=["gives 2 vectors, too few"], **places)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l.tsv", "s.fa"]
