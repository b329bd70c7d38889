"""Classifiers as ONNX files: onnxruntime gives what the network gives, and nothing is half written or left out."""

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from commands import CLI, fails, run, words

from genomic_ulmfit.all import (
    PROTEIN,
    Classes,
    Counts,
    KmerTokenizer,
    Predictor,
    Preset,
    Targets,
    Wide,
    export_onnx,
    load_model,
)
from genomic_ulmfit.model import folder as model_folders
from genomic_ulmfit.model import onnx_export
from genomic_ulmfit.model.config import PredictorConfig
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.nets.placed import Placed

GENERA = ["Bacillus", "Listeria", "Vibrio"]
BRANCHES = {"wide": Wide((4, 6, 12), 1000, 8), "counts": Counts(13, 5000, 0.05), "placed": Placed(30, (2, 3))}
PROTEIN_BRANCHES = {"wide": Wide((2, 3), 500, 8), "counts": Counts(5, 900), "placed": Placed(20, (1,))}
KINDS = {
    "plain": (KmerTokenizer(3, 2), {}),
    "sparse": (KmerTokenizer(2, 5), BRANCHES),
    "dense": (KmerTokenizer(4, 1), {"wide": BRANCHES["wide"]}),
    "counts": (KmerTokenizer(3, 3), {"counts": BRANCHES["counts"]}),
    "placed": (KmerTokenizer(3, 2), {"placed": BRANCHES["placed"]}),
    "all": (KmerTokenizer(3, 2), BRANCHES),
    "stranded": (KmerTokenizer(3, 2), {**BRANCHES, "stranded": True}),
    "proteins": (KmerTokenizer(2, 1, PROTEIN), PROTEIN_BRANCHES),
}


def small_predictor(tokenizer, task=None, **settings):
    """A predictor with weights and tables that are not zero."""
    torch.manual_seed(0)
    task, micro = task or Classes(GENERA), Preset(8, 12, 3)
    network = classifier(tokenizer, micro, task.n_outputs, **settings)
    for branch in network.memories():
        branch.table.data = torch.randn(branch.table.shape).half().float()
        if hasattr(branch, "bias"):
            branch.bias.data = torch.randn(branch.bias.shape)
    config = PredictorConfig(micro, tokenizer, task, read_length=60, bfloat16_agreement=1.0, **settings)
    return Predictor(network, config)


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """A model that was loaded from its folder, and a session of its file."""
    tokenizer, settings = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    small_predictor(tokenizer, **settings).save(folder / "m")
    export_onnx(folder / "m", folder / "m.onnx")
    return load_model(folder / "m", "cpu"), session_of(folder / "m.onnx")


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def random_ids(tokenizer, lengths, seed=0):
    """Token ids of random sequences, with unknown letters in them and padding after the shorter ones."""
    alphabet, rng = tokenizer.alphabet, np.random.default_rng(seed)
    codes = np.full((len(lengths), max(lengths)), alphabet.padding, np.uint8)
    for row, length in zip(codes, lengths):
        row[:length] = rng.integers(0, alphabet.n_parts, length)
        row[:length][rng.random(length) < 0.02] = alphabet.unknown
    return tokenizer.batch(torch.from_numpy(codes))


def check_same(model, session, ids, most=1e-5):
    """Logits are those of the network to 1e-5, probabilities those of the task."""
    with torch.inference_mode():
        expected = model.model(ids).double()
    logits, probabilities = session.run(["logits", "probabilities"], {"ids": ids.numpy()})
    assert logits.shape == (len(ids), len(GENERA)) and logits.dtype == np.float32
    assert np.abs(logits - expected.numpy()).max() < most
    assert np.abs(probabilities - expected.softmax(1).numpy()).max() < most


@pytest.mark.parametrize(
    "lengths",
    [[150], [150] * 33, [150, 149, 90, 31, 30, 29, 12, 6, 5, 4], [4, 200], [2], [1, 1], [1, 70], [1000, 3, 499]],
    ids=str,
)
def test_batches_of_any_size_and_length_get_the_same_answers(exported, lengths):
    model, session = exported
    check_same(model, session, random_ids(model.tokenizer, lengths))


def test_longer_sequences_than_a_window_differ_by_the_rounding_of_float32(exported):
    model, session = exported
    check_same(model, session, random_ids(model.tokenizer, [5000, 3]), most=1e-4)


def test_padding_changes_nothing(exported):
    model, session = exported
    ids = random_ids(model.tokenizer, [80])
    padded = torch.nn.functional.pad(ids, (0, 57), value=1)
    once, again = (session.run(["logits"], {"ids": each.numpy()})[0] for each in (ids, padded))
    assert np.abs(once - again).max() < 1e-5
    check_same(model, session, padded)


def test_tokens_that_contradict_each_other_are_read_alike(exported):
    """Overlapping k-mers that no sequence has: the letters are those of the later place, as in the network."""
    model, session = exported
    ids = torch.randint(0, model.tokenizer.vocab_size, (5, 60), generator=torch.Generator().manual_seed(0))
    ids[:, 0] = 2
    ids[ids == 1] = 0
    check_same(model, session, ids)


def test_the_file_is_plain_onnx_with_free_sizes(tmp_path):
    tokenizer, settings = KINDS["all"]
    export_onnx(small_predictor(tokenizer, **settings), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)] and model.ir_version == 8
    assert {node.domain for node in model.graph.node} == {""} and not model.functions
    shapes = {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"ids": ["batch", "tokens"], "logits": ["batch", 3], "probabilities": ["batch", 3]}
    tables = {tuple(each.dims) for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT16}
    assert tables == {(3000, 8), (5000, 3), (30 * (16 + 64), 3)}
    export_onnx(small_predictor(tokenizer, **settings), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()


@pytest.mark.parametrize("kind, strands", [("plain", True), ("stranded", False), ("proteins", False)])
def test_the_file_says_how_its_input_is_made(tmp_path, kind, strands):
    tokenizer, settings = KINDS[kind]
    model = small_predictor(tokenizer, **settings)
    model.about["license"] = "mit"
    export_onnx(model, tmp_path / "m.onnx")
    said = session_of(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert said["alphabet"] == tokenizer.alphabet.name and said["letters"] == tokenizer.alphabet.letters
    assert [json.loads(said[name]) for name in ("k", "stride")] == [tokenizer.k, tokenizer.stride]
    ids = [json.loads(said[f"{name}_id"]) for name in ("unknown", "padding", "start", "first_word")]
    assert tokenizer.vocab[: ids[-1]] == json.loads(said["specials"])
    assert [tokenizer.token(id) for id in ids[:3]] == ["xxunk", "xxpad", "xxbos"]
    assert tokenizer.token(ids[3]) == tokenizer.alphabet.letters[0] * tokenizer.k
    assert json.loads(said["classes"]) == GENERA and json.loads(said["strands_averaged"]) is strands
    assert json.loads(said["window"]) == 120 and said["license"] == "mit" and "cite" not in said


def test_a_trained_classifier_goes_through_the_command(models, tmp_path, capsys):
    (tmp_path / "m.onnx").write_text("an older file")
    run("models export {models}/clf --onnx {tmp}/m.onnx --json {tmp}/m.json", models=models, tmp=tmp_path)
    said = json.loads((tmp_path / "m.json").read_text())
    assert said["size"] == (tmp_path / "m.onnx").stat().st_size and said["classes"] == 2
    assert "is in" in capsys.readouterr().out
    model, session = load_model(models / "clf", "cpu"), session_of(tmp_path / "m.onnx")
    reads = ["".join(np.random.default_rng(i).choice([*"ACGT"], 60 + i)) for i in range(9)]
    codes = np.full((9, 68), model.alphabet.padding, np.uint8)
    for row, read in zip(codes, reads):
        row[: len(read)] = model.alphabet.encode(read)
    ids = model.tokenizer.batch(torch.from_numpy(codes)).numpy()
    found = session.run(["probabilities"], {"ids": ids})[0]
    expected = model.predict_proba(reads, both_strands=False, phases=1, exact=True)
    assert np.abs(found - expected).max() < 1e-5 and np.ptp(expected[:, 0]) > 0.05


def test_a_file_can_be_a_pipe_and_a_model_may_lie_on_a_hub(models, tmp_path, monkeypatch):
    monkeypatch.setattr(model_folders, "fetched", lambda source: models / "clf")
    run("models export hf://lab/genera@v1 --onnx {tmp}/m.onnx", tmp=tmp_path)
    done = subprocess.run(
        [*CLI, *words("models export {models}/clf --onnx -", models=models)], capture_output=True, check=True
    )
    assert done.stdout == (tmp_path / "m.onnx").read_bytes()


def test_weights_that_were_kept_in_float16_are_exported(tmp_path):
    tokenizer, settings = KINDS["all"]
    small_predictor(tokenizer, **settings).save(tmp_path / "m", half=True)
    export_onnx(tmp_path / "m", tmp_path / "m.onnx")
    check_same(load_model(tmp_path / "m", "cpu"), session_of(tmp_path / "m.onnx"), random_ids(tokenizer, [150, 20]))


# ---------------------------------------------------------------- what is refused


@pytest.fixture
def saved(tmp_path):
    """A classifier's folder, and one of targets."""
    small_predictor(KmerTokenizer(3, 2)).save(tmp_path / "genera")
    task = Targets.from_targets(pd.DataFrame({"activity": [0.1, 0.7, 0.4]}))
    small_predictor(KmerTokenizer(3, 2), task).save(tmp_path / "targets")
    return tmp_path


@pytest.mark.parametrize(
    "model, said",
    [
        ("bacteria-small", ["bacteria-small: is a language model and has no classes", "genomic-ulmfit train"]),
        ("bacteria-taxa", ["bacteria-taxa: is a model of taxa", "a calibration and a tree", "Export the classifier"]),
        ("{tmp}/targets", ["targets: predicts targets, not classes", "Give a classifier"]),
        ("{tmp}/nothing", ["nothing: no such model folder"]),
    ],
)
def test_what_is_no_classifier_is_refused(saved, capsys, model, said):
    fails(capsys, f"models export {model} --onnx {{tmp}}/m.onnx", names=said, tmp=saved)
    assert not (saved / "m.onnx").exists()


def test_a_missing_extra_is_said(saved, capsys, monkeypatch):
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None)
    said = ["onnx: is not installed", "pip install 'genomic_ulmfit[onnx]'"]
    fails(capsys, "models export {tmp}/genera --onnx {tmp}/m.onnx", names=said, tmp=saved)


def test_a_model_that_is_too_large_for_the_format_is_refused(saved, capsys, monkeypatch):
    monkeypatch.setattr(onnx_export, "LARGEST", 1000)
    said = ["genera: has 0.0 GB of weights", "fewer rows"]
    fails(capsys, "models export {tmp}/genera --onnx {tmp}/m.onnx", names=said, tmp=saved)


def test_a_place_that_cannot_be_written_is_said_first(saved, capsys):
    fails(capsys, "models export nothing --onnx {tmp}/no/m.onnx", names=["no/m.onnx", "its folder"], tmp=saved)
    fails(capsys, "models export nothing --onnx {tmp}", names=["is a directory"], tmp=saved)


def test_a_full_disk_leaves_the_file_that_was_there(saved, capsys, monkeypatch):
    (saved / "m.onnx").write_text("the older file")
    whole = Path.write_bytes

    def full(self, content):
        whole(self, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    said = ["m.onnx", "No space left on device"]
    fails(capsys, "models export {tmp}/genera --onnx {tmp}/m.onnx", names=said, tmp=saved)
    assert (saved / "m.onnx").read_text() == "the older file"
    assert {path.name for path in saved.iterdir()} == {"genera", "targets", "m.onnx"}


def test_a_graph_that_the_checker_refuses_is_not_written(saved, monkeypatch):
    made = onnx_export.onnx_model

    def broken(model, package):
        found = made(model, package)
        found.graph.node[0].op_type = "Gathers"
        return found

    monkeypatch.setattr(onnx_export, "onnx_model", broken)
    with pytest.raises(onnx.checker.ValidationError):
        export_onnx(saved / "genera", saved / "m.onnx")
    assert not (saved / "m.onnx").exists()
