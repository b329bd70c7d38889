from collections import defaultdict
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.torch_core import get_model
from fastai.torch_core import rank_distrib
from pathlib import Path
from safetensors.torch import load_file
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_file
from safetensors.torch import save_model as save_weights
import json
import shutil
import torch

from genomic_ulmfit.seq.errors import InputError


class Checkpoint(Callback):
    "Save the state of training after each epoch."

    order = 70  # after the Recorder

    def __init__(
        self,
        folder,  # where checkpoints go
        plan: dict,  # what is being trained for how long; a checkpoint of another plan is refused
    ):
        self.folder, self.plan = Path(folder), plan

    def after_epoch(self):
        if rank_distrib(): return  # one of several processes is enough: all have the same
        partial, final = self.folder / "partial", self.folder / f"epoch-{self.epoch + 1:04d}"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            self._write(partial)
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
        except OSError as e:
            shutil.rmtree(partial, ignore_errors=True)
            raise InputError(self.folder, f"the checkpoint cannot be written ({e.strerror or e}); the one before is kept", "Free some space and resume") from e
        for old in self.folder.glob("epoch-*"):
            if old != final: shutil.rmtree(old, ignore_errors=True)

    def _write(self, folder: Path):
        save_weights(get_model(self.model), str(folder / "model.safetensors"))
        tensors = {f"{i}.{k}": v.contiguous() for i, state in self.opt.state_dict()["state"].items() for k, v in state.items()}
        if torch.cuda.is_available(): tensors["cuda_rng"] = torch.cuda.get_rng_state()
        save_file({**tensors, "rng": torch.get_rng_state()}, folder / "optimizer.safetensors")
        state = {
            "plan": self.plan, "epoch": self.epoch + 1, "data_epoch": self.dls.train.dataset.epoch,
            "seconds": self.learn.speed.seconds(),
            "values": [[float(v) for v in row] for row in self.recorder.values], "losses": [float(x) for x in self.recorder.losses],
        }
        (folder / "state.json").write_text(json.dumps(state))


def last_checkpoint(folder) -> Path | None:
    "The newest whole checkpoint in a folder."
    return max(Path(folder).glob("epoch-*"), default=None)


def _restore(learn: Learner, checkpoint: Path, plan: dict) -> dict:
    "Put a checkpoint into a learner; returns its state. Raises `InputError` where it belongs to another training."
    state = json.loads((checkpoint / "state.json").read_text())
    differ = [k for k in plan if state["plan"].get(k) != plan[k]]
    if differ:
        k = differ[0]
        raise InputError(checkpoint, f"belongs to another training: {k} was {state['plan'].get(k)!r}, now {plan[k]!r}", "Resume with the same settings, or choose another folder")
    load_weights(learn.model.to(learn.dls.device), str(checkpoint / "model.safetensors"), device=str(learn.dls.device))
    learn.create_opt()  # its state goes to where the weights are
    tensors = load_file(checkpoint / "optimizer.safetensors", device=str(learn.dls.device))
    torch.set_rng_state(tensors.pop("rng").cpu())
    if "cuda_rng" in tensors: torch.cuda.set_rng_state(tensors.pop("cuda_rng").cpu())
    saved = defaultdict(dict)
    for name, value in tensors.items():
        i, key = name.split(".", 1)
        saved[int(i)][key] = value
    learn.opt.load_state_dict(learn.opt.state_dict() | {"state": dict(saved)})
    learn.dls.train.dataset.epoch = state["data_epoch"]
    return state
