import math, torch
from fastai.learner import Metric
class BitsPerBase(Metric):
    def __init__(self, stride): self.stride=stride
    def reset(self): self.n=self.t=0
    def accumulate(self, learn):
        p = learn.pred[0] if isinstance(learn.pred, tuple) else learn.pred
        y=learn.y[:,1:]; self.t+=torch.nn.functional.cross_entropy(p[:,1:].float().flatten(0,1), y.flatten(), ignore_index=-100, reduction='sum').item(); self.n+=(y!=-100).sum().item()
    @property
    def value(self): return self.t/self.n/math.log(2)/self.stride if self.n else None
    @property
    def name(self): return 'bits_per_base'
