from torch import nn
import torch



class _StreamedCrossEntropy(torch.autograd.Function):
    "Mean cross-entropy and its gradient in one pass over the logits; backward works once."

    @staticmethod
    def forward(ctx, logits, y, ignore_index):
        keep = y != ignore_index
        weight, y = (keep / keep.sum().clamp(min=1))[:, None], y.clamp(min=0)[:, None]
        grad = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        loss = torch.zeros((), device=logits.device)
        rows = 64 if logits.device.type == "cpu" else len(logits)
        for i in range(0, len(logits), rows):
            part, target, share = logits[i : i + rows].float(), y[i : i + rows], weight[i : i + rows].float()
            p = part.softmax(1)
            normaliser = part.amax(1, keepdim=True) - p.amax(1, keepdim=True).log()
            loss += ((normaliser - part.gather(1, target)) * share).sum()
            if grad is not None: grad[i : i + rows] = p.scatter_add_(1, target, torch.full_like(share, -1.0)).mul_(share)
        ctx.save_for_backward(grad)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, scale): return ctx.saved_tensors[0].mul_(scale), None, None


class StreamedCrossEntropy(nn.CrossEntropyLoss):
    "`nn.CrossEntropyLoss` for many classes: the mean over (n, classes) logits without float copies of them."

    def forward(self, logits, y):
        if self.reduction != "mean" or self.weight is not None or self.label_smoothing: return super().forward(logits, y)
        return _StreamedCrossEntropy.apply(logits, y, self.ignore_index)
