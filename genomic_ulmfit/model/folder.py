from fastai.torch_core import default_device
from importlib.resources import files
from pathlib import Path
import json
import torch

from genomic_ulmfit.seq.errors import InputError, InputNotFoundError
from genomic_ulmfit.seq.files import sha256
from genomic_ulmfit.text.kmers import KmerTokenizer, VOCAB_SCHEME


MODEL_FORMAT = "genomic_ulmfit-model/1"


_PICKLES = {".pkl", ".pickle", ".pth", ".pt", ".bin", ".ckpt"}


def _card_table(title: str, rows) -> str:
    "A dict, or a list of dicts of the same keys, as a Markdown table."
    rows = [{"": k, title: v} for k, v in rows.items()] if isinstance(rows, dict) else rows
    lines = [rows[0].keys(), ["---"] * len(rows[0]), *(r.values() for r in rows)]
    return f"\n\n## {title}\n\n" + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def model_card(config: dict) -> str:
    "A short description of a model folder in Markdown."
    about = "\n".join(f"- **{k}**: {v}" for k, v in config["about"].items() if not isinstance(v, (dict, list)))
    about += "".join(_card_table(k, v) for k, v in config["about"].items() if k in ("bits_per_base", "per_read_figures", "training_files"))
    classes = f"\nClasses: {', '.join(config['classes'])}\n" if config["classes"] else ""
    return f"""# A genome {config['kind']}

Made with genomic_ulmfit {config['versions']['genomic_ulmfit']}; AWD-LSTM {config['preset']['emb']}/{config['preset']['hidden']}/{config['preset']['layers']},
k-mers of {config['k']} bases every {config['stride']}. The folder holds weights and text only; nothing in it is executable.
{classes}
{about}

A research tool. Load it with `genomic_ulmfit.learner.load_model`.
"""


def _model_config(folder: Path) -> dict:
    "The checked description of a model folder."
    pickles = [p.name for p in folder.iterdir() if p.suffix in _PICKLES]
    if pickles: raise InputError(folder, f"holds {pickles[0]}, which may run code when it is loaded", "Use a folder saved by genomic_ulmfit, or remove that file")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).exists(): raise InputError(folder, f"{name} is missing", "Copy the whole model folder")
    try: config = json.loads((folder / "config.json").read_text())
    except ValueError as e: raise InputError(folder / "config.json", f"is not JSON ({e})", "Copy the model folder again") from e
    if config.get("format") != MODEL_FORMAT: raise InputError(folder, f"has the format {config.get('format')!r}, not {MODEL_FORMAT}", "Use the version that made it")
    if config["vocabulary"] != VOCAB_SCHEME or config["vocabulary_size"] != KmerTokenizer(config["k"], config["stride"]).vocab_size:
        raise InputError(folder, f"was trained with the vocabulary {config['vocabulary']} of {config['vocabulary_size']} words, not {VOCAB_SCHEME}", "Use the version that made it")
    if sha256(folder / "model.safetensors") != config["files"]["model.safetensors"]["sha256"]:
        raise InputError(folder / "model.safetensors", "is not the file that was saved with this model", "Copy the model folder again")
    return config


def find_device(
    name=None,  # `cpu`, `cuda`, `mps`, … or a `torch.device`; fastai's default device unless given
) -> torch.device:
    "A device that works. Raises `InputError` where it isn't there."
    if name is None: return default_device()
    try: return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise InputError(f"device {name}", f"is not there ({str(e).splitlines()[0]})", "Leave the device out to take the best there is") from e


PRETRAINED = Path(str(files("genomic_ulmfit"))) / "pretrained"  # the folder of the models that come with the package


def pretrained_models() -> list[str]:
    "Names of the models that come with the package; `load_model` takes them, and `pretrained=` those of language models."
    return sorted(p.parent.name for p in PRETRAINED.glob("*/config.json"))


def model_folder(source) -> Path:
    "The folder of a model that is given by its path or by its name in `pretrained_models()`; a path that exists comes first."
    names = pretrained_models()
    if Path(source).is_dir(): return Path(source)
    if str(source) in names: return PRETRAINED / str(source)
    raise InputNotFoundError(source, "no such model folder", f"Check the path, or take a model that comes with the package: {', '.join(names) or 'there is none'}")
