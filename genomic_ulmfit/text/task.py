from collections.abc import Sequence

import numpy as np
import torch
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from scipy.special import softmax

from genomic_ulmfit.seq.tables import label_numbers


class Task:
    "What a head is to answer: everything that differs between classes, labels and values is asked of it."

    kind = ""  # in config.json; a key of `TASKS`

    def __init__(self, names: Sequence[str]): self.names = list(names)

    def __eq__(self, other): return type(self) is type(other) and self.names == other.names

    def __repr__(self): return f"{type(self).__name__}({len(self.names)})"

    @property
    def n_outputs(self) -> int:
        "Outputs of the head."
        return len(self.names)

    @classmethod
    def from_targets(cls, targets) -> "Task":
        "The task that the targets of the training sequences (a column of a table) set."
        raise NotImplementedError

    def encode(self, targets, where) -> np.ndarray:
        "Targets as the loss wants them, (n,) or (n, outputs). Raises `InputError` naming `where` for one that isn't possible."
        raise NotImplementedError

    def show(self, encoded) -> list[str]:
        "Encoded targets for people, one text each."
        raise NotImplementedError

    def loss_func(self):
        "The loss of outputs (n, n_outputs) and encoded targets, a fastai loss."
        raise NotImplementedError

    def metrics(self) -> list:
        "fastai metrics to watch."
        raise NotImplementedError

    def to_average(self, outputs: torch.Tensor) -> torch.Tensor:
        "What is averaged over strands, phases and windows, float64 (n, n_outputs)."
        raise NotImplementedError

    def activate(self, mean: np.ndarray) -> np.ndarray:
        "From the average to the answer, (n, n_outputs) float32."
        raise NotImplementedError

    def answers(self, outputs: np.ndarray) -> dict:
        "The answers for people: column -> (n,) values; the columns of `predict` and of `show_results`."
        raise NotImplementedError

    def agreement(self, a: np.ndarray, b: np.ndarray) -> float:
        "Share of reads that two ways of computing give the same answer."
        raise NotImplementedError

    def describe(self) -> str:
        "A line for the model card."
        raise NotImplementedError

    def to_dict(self) -> dict: return {"kind": self.kind, "names": self.names}


class Classes(Task):
    "One of several classes."

    kind = "classes"

    @classmethod
    def from_targets(cls, targets): return cls(sorted(set(targets)))
    def encode(self, targets, where): return label_numbers(np.asarray(targets), self.names, where)
    def show(self, encoded): return [self.names[int(i)] for i in encoded]
    def loss_func(self): return CrossEntropyLossFlat()
    def metrics(self): return [accuracy]
    def to_average(self, outputs): return outputs.double().log_softmax(1)
    def activate(self, mean): return softmax(mean, 1).astype(np.float32)
    def answers(self, outputs): return {"label": np.array(self.names)[outputs.argmax(1)], "confidence": outputs.max(1)}
    def agreement(self, a, b): return float((a.argmax(1) == b.argmax(1)).mean())
    def describe(self): return f"Classes: {', '.join(self.names)}"


TASKS = {task.kind: task for task in (Classes,)}


def task_from_dict(known: dict) -> Task: return TASKS[known["kind"]](known["names"])
