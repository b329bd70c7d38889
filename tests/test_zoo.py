"""Models on a hub: a fake one with repositories, revisions, a cache and rules; the real client without a network."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import fails, run
from huggingface_hub import constants, errors
from safetensors.numpy import load_file, save_file

from genomic_ulmfit.all import (
    KmerTokenizer,
    LanguageModel,
    Preset,
    load_model,
    pretrained_models,
    self_test,
    write_test,
)
from genomic_ulmfit.model import hub, zoo
from genomic_ulmfit.model.config import ModelConfig, PredictorConfig
from genomic_ulmfit.model.model import Predictor
from genomic_ulmfit.nets.awdlstm import language_model
from genomic_ulmfit.nets.heads import classifier
from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.text.task import Classes

TOKEN = "hf_averysecrettoken"
RESPONSE = SimpleNamespace(headers={"authorization": f"Bearer {TOKEN}"}, request=None)


class Hub:
    """Repositories by name, each with folders by revision; a cache; whether there is a network, and a token."""

    def __init__(self, place: Path):
        self.place = place
        self.private = set()
        self.online = True
        self.token = None
        self.commits = 0

    def _refuse(self, kind):
        raise kind(f"Client Error. Invalid token {TOKEN}", response=RESPONSE)

    def _folder(self, repository, revision) -> Path:
        if not self.online:
            raise ConnectionError(f"no route; headers: {TOKEN}")
        there = self.place / "hub" / repository
        if not there.exists() or (repository in self.private and self.token != TOKEN):
            self._refuse(errors.RepositoryNotFoundError)
        if not (there / (revision or "main")).exists():
            self._refuse(errors.RevisionNotFoundError)
        return there / (revision or "main")

    def list_repo_files(self, repository, revision=None):
        folder = self._folder(repository, revision)
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def snapshot_download(self, repository, revision=None, allow_patterns=None, local_files_only=False):
        kept = self.place / "cache" / repository / (revision or "main")
        if local_files_only and not kept.exists():
            raise errors.LocalEntryNotFoundError(f"not in the cache {TOKEN}")
        if not local_files_only:
            folder = self._folder(repository, revision)
            for path in (path for pattern in allow_patterns for path in folder.glob(pattern)):
                (kept / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, kept / path.relative_to(folder))
        return str(kept)

    def create_repo(self, repository, private, exist_ok):
        if self.token != TOKEN:
            self._refuse(errors.HfHubHTTPError)
        (self.place / "hub" / repository).mkdir(parents=True, exist_ok=exist_ok)
        self.private |= {repository} if private else set()

    def upload_folder(self, repo_id, folder_path, allow_patterns, commit_message, revision=None):
        self.commits += 1
        for name in ("main", f"c{self.commits}"):
            target = self.place / "hub" / repo_id / name
            for path in (path for pattern in allow_patterns for path in Path(folder_path).glob(pattern)):
                (target / path.relative_to(folder_path)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / path.relative_to(folder_path))
        return SimpleNamespace(oid=f"c{self.commits}")


@pytest.fixture
def there(tmp_path, monkeypatch):
    """The hub that all commands talk to."""
    fake = Hub(tmp_path)
    for module in (hub, zoo):
        monkeypatch.setattr(module, "hub_client", lambda: fake)
    return fake


def save_model(folder, seed=0):
    torch.manual_seed(seed)
    micro, tokenizer = Preset(8, 12, 1), KmerTokenizer(3, 3)
    return LanguageModel(language_model(tokenizer, micro), ModelConfig(micro, tokenizer)).save(folder)


@pytest.fixture
def pushed(there, tmp_path, capsys):
    """A model on the hub, private, and the token to see it with."""
    there.token = TOKEN
    save_model(tmp_path / "soil")
    write_test(tmp_path / "soil")
    facts = "--license apache-2.0 --cite doi:10.1/x"
    run(f"models push {{tmp}}/soil hf://lab/soil {facts} --json {{tmp}}/at.json", tmp=tmp_path)
    assert json.loads((tmp_path / "at.json").read_text())["at"] == "hf://lab/soil@c1"
    assert TOKEN not in capsys.readouterr().out
    return there


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters()))


def test_what_was_pushed_is_taken_by_its_name_wherever_a_model_is(pushed, tmp_path, capsys):
    own = load_model(tmp_path / "soil", "cpu")
    assert same_weights(own, load_model("hf://lab/soil", "cpu")) and self_test("hf://lab/soil@c1").passed
    run("models test hf://lab/soil@c1", tmp=tmp_path)
    run("models info hf://lab/soil --json {tmp}/info.json", tmp=tmp_path)
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["license"] == "apache-2.0" and info["cite"] == "doi:10.1/x" and info["schema"]["outputs"]
    run("models pull hf://lab/soil --out {tmp}/copy", tmp=tmp_path)
    assert same_weights(own, load_model(tmp_path / "copy", "cpu"))
    (tmp_path / "a.fa").write_text(">a\nACGTACGTTACG\n>b\nTTTTGGGACG\n")
    run("embed hf://lab/soil {tmp}/a.fa --out {tmp}/a.parquet", tmp=tmp_path)
    assert (tmp_path / "a.parquet").exists()


def test_train_takes_a_pretrained_model_of_the_hub(pushed, tmp_path):
    kinds = {"A": "at", "C": "gc", "G": "gc", "T": "at"}
    rows = [f"{base * 12}\t{kind}\t{split}" for split in ("train", "valid") for base, kind in kinds.items()]
    (tmp_path / "t.tsv").write_text("\n".join(["sequence\tlabel\tsplit", *rows * 3]))
    run("train {tmp}/t.tsv --pretrained hf://lab/soil@c1 --epochs 1 --bs 4 --out {tmp}/m", tmp=tmp_path)
    assert load_model(tmp_path / "m", "cpu").about["base_model"] == "hf://lab/soil@c1"


def test_a_new_push_does_not_change_a_commit(pushed, tmp_path):
    save_model(tmp_path / "soil", seed=1)
    write_test(tmp_path / "soil")
    run("models push {tmp}/soil hf://lab/soil --license apache-2.0", tmp=tmp_path)
    assert not same_weights(load_model("hf://lab/soil@c1", "cpu"), load_model("hf://lab/soil@c2", "cpu"))


def test_offline_the_cache_is_enough_and_nothing_else_is_there(pushed, capsys, tmp_path):
    run("models pull hf://lab/soil")
    pushed.online = False
    assert self_test("hf://lab/soil").passed
    err = fails(capsys, "models pull hf://lab/soil@c1", names=["hf://lab/soil@c1", "isn't in the cache"])
    assert TOKEN not in err


@pytest.mark.parametrize(
    "name, said",
    [("hf://lab/soil@v9", "no such revision"), ("hf://lab/air", "isn't on the hub"), ("hf://lab", "is no name of")],
)
def test_what_is_not_there_is_said(pushed, capsys, name, said):
    err = fails(capsys, f"models pull {name}", names=[name, said.replace("isn't", "is not")])
    assert TOKEN not in err


def test_a_private_model_needs_a_token_which_is_never_said(pushed, capsys, tmp_path):
    pushed.token = None
    for command in ("models pull hf://lab/soil", "models push {tmp}/soil hf://lab/soil"):
        err = fails(capsys, command, names=["HF_TOKEN"], tmp=tmp_path)
        assert TOKEN not in err
    pushed.private.clear()
    run("models pull hf://lab/soil")


@pytest.mark.parametrize("name", ["old.pt", "test/more.pkl", "deep/er/weights.bin"])
def test_a_repository_with_a_pickle_is_refused_before_anything_is_fetched(pushed, capsys, tmp_path, name):
    there = tmp_path / "hub/lab/soil/main" / name
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(b"")
    fails(capsys, "models pull hf://lab/soil", names=["hf://lab/soil", name, "may run code"])
    assert not (tmp_path / "cache").exists()


def test_a_changed_byte_is_refused(pushed, capsys, tmp_path):
    weights = tmp_path / "hub/lab/soil/main/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    fails(capsys, "models pull hf://lab/soil --out {tmp}/copy", names=["is not the file that was saved"], tmp=tmp_path)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_partial_download_is_refused(pushed, capsys, tmp_path, name):
    run("models pull hf://lab/soil")
    pushed.online = False
    (tmp_path / "cache/lab/soil/main" / name).unlink()
    fails(capsys, "models test hf://lab/soil", names=[name, "is missing"])


def test_no_model_of_ours_is_refused(there, capsys, tmp_path):
    (tmp_path / "hub/lab/text/main").mkdir(parents=True)
    (tmp_path / "hub/lab/text/main/config.json").write_text("{}")
    fails(capsys, "models pull hf://lab/text", names=["hf://lab/text", "model.safetensors", "no model of genomic"])


def test_nothing_is_pushed_without_a_licence_or_a_test_that_passes(there, capsys, tmp_path):
    there.token = TOKEN
    save_model(tmp_path / "soil")
    fails(capsys, "models push {tmp}/soil hf://lab/soil", names=["soil", "no licence"], tmp=tmp_path)
    push = "models push {tmp}/soil hf://lab/soil --license mit"
    fails(capsys, push, names=["soil", "has no test"], tmp=tmp_path)
    run("models test {tmp}/soil --write", tmp=tmp_path)
    expected = tmp_path / "soil/test/expect.safetensors"
    save_file({name: values + 1 for name, values in load_file(expected).items()}, expected)
    fails(capsys, push, names=["expect.safetensors", "is not the file"], tmp=tmp_path)
    config = json.loads((tmp_path / "soil/config.json").read_text())
    config["test"]["files"]["expect.safetensors"]["sha256"] = sha256(expected)
    (tmp_path / "soil/config.json").write_text(json.dumps(config))
    fails(capsys, push, names=["soil", "its test fails"], tmp=tmp_path)
    fails(capsys, "models test {tmp}/soil", names=["answers otherwise"], tmp=tmp_path)
    assert not (tmp_path / "hub").exists()


def test_a_test_has_the_sequences_and_tolerances_that_one_gives(tmp_path, capsys):
    save_model(tmp_path / "soil")
    (tmp_path / "a.fa").write_text(">a\nACGTACGTTACG\n>b\nTTTTGGGACG\n")
    run("models test {tmp}/soil --write --sequences {tmp}/a.fa --rtol 0.5 --json {tmp}/r.json", tmp=tmp_path)
    assert json.loads((tmp_path / "r.json").read_text())["sequences"] == 2
    config = json.loads((tmp_path / "soil/config.json").read_text())
    assert config["test"]["rtol"] == 0.5 and (tmp_path / "soil/test/inputs.fa").read_text().startswith(">a\nACGT")
    fails(capsys, "models test {tmp}/soil --sequences {tmp}/a.fa", names=["--write"], tmp=tmp_path)
    save_model(tmp_path / "soil", seed=1)
    fails(capsys, "models test {tmp}/soil", names=["soil", "has no test"], tmp=tmp_path)


def test_a_test_is_written_into_folders_of_ones_own(pushed, capsys):
    for name in ("hf://lab/soil", "bacteria-small"):
        fails(capsys, f"models test {name} --write", names=["is no model folder"])


def test_a_predictor_tests_its_answers(tmp_path):
    micro, tokenizer = Preset(8, 12, 1), KmerTokenizer(3, 2)
    config = PredictorConfig(micro, tokenizer, Classes(["a", "b", "c"]), read_length=40)
    torch.manual_seed(0)
    Predictor(classifier(tokenizer, micro, 3), config).save(tmp_path / "m")
    write_test(tmp_path / "m")
    expected = load_file(tmp_path / "m/test/expect.safetensors")
    assert expected["answers"].shape == (5, 3) and np.allclose(expected["answers"].sum(1), 1)
    assert self_test(tmp_path / "m").passed


def test_models_of_the_package_are_listed_and_pass(capsys, tmp_path):
    run("models list --json {tmp}/list.json", tmp=tmp_path)
    rows = json.loads((tmp_path / "list.json").read_text())
    assert [row["model"] for row in rows] == pretrained_models() and all(row["test"] and row["license"] for row in rows)
    for name in pretrained_models():
        assert self_test(name).passed


def test_the_real_client_without_a_network(tmp_path, monkeypatch, capsys):
    """Its offline switch, its cache on disk and its errors are what the fake ones stand for."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    fails(capsys, "models pull hf://lab/soil", names=["hf://lab/soil", "isn't in the cache"])
    kept = tmp_path / "cache/models--lab--soil"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs/main").write_text("c0ffee")
    save_model(kept / "snapshots/c0ffee")
    write_test(kept / "snapshots/c0ffee")
    run("models test hf://lab/soil")
    assert self_test("hf://lab/soil").passed


def test_a_gated_model_is_asked_for(pushed, monkeypatch, capsys):
    monkeypatch.setattr(Hub, "list_repo_files", lambda self, *args, **how: self._refuse(errors.GatedRepoError))
    assert TOKEN not in fails(capsys, "models pull hf://lab/soil", names=["only who were let in", "Ask on its page"])
