from dataclasses import dataclass
from torch import nn
import torch
import warnings

from genomic_ulmfit.text.kmers import KmerTokenizer, PAD, kmer_embedding_init


@dataclass(frozen=True)
class Preset:
    "Sizes and dropouts of an AWD-LSTM."

    emb: int  # size of the embedding and of the last layer's output
    hidden: int  # size of the other layers' outputs
    layers: int  # LSTM layers
    input_p: float = 0.25  # dropout of the embedded input
    embed_p: float = 0.02  # whole words dropped from the embedding
    hidden_p: float = 0.15  # dropout between layers
    weight_p: float = 0.2  # DropConnect on the hidden-to-hidden weights
    output_p: float = 0.1  # dropout before the decoder


PRESETS = {"nano": Preset(64, 128, 2), "tiny": Preset(64, 256, 2), "small": Preset(128, 512, 3), "full": Preset(400, 1152, 3)}


def get_preset(
    preset,  # a name in `PRESETS`, or a `Preset`
) -> Preset:
    "The preset of that name. Raises `ValueError` that lists the names."
    if isinstance(preset, Preset): return preset
    if preset not in PRESETS: raise ValueError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[preset]


def dropout_bytes(
    like: torch.Tensor,  # weights to mask
    p: float,  # probability to drop an element, rounded to 1/256
) -> torch.Tensor:  # `like`'s shape: 0 or 1 / (share kept)
    "A dropout mask made of random bytes."
    drop = round(p * 256)
    words = torch.empty(-(-like.numel() // 8), dtype=torch.int64, device=like.device).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: like.numel()].view_as(like) >= drop
    return keep.to(like.dtype).div_(1 - drop / 256)


class RowDropout(nn.Module):
    "Dropout with one mask for all positions of a sequence."

    def __init__(self, p: float): super().__init__(); self.p = p

    def forward(
        self,
        x: torch.Tensor,  # (batch, positions, units)
    ) -> torch.Tensor:
        if not self.training or self.p == 0: return x
        return x * x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - self.p).div_(1 - self.p)


_LARGE = 600_000  # a quarter of a layer's weights from which `_LargeLSTM` is faster


class _LargeLSTM(torch.autograd.Function):
    "An LSTM layer from zero states in the precision of its inputs: x (batch, positions, n_in) to (batch, positions, n)."

    @staticmethod
    def forward(ctx, x, w_ih, w_hh, bias):
        x, n = x.transpose(0, 1).contiguous(), w_hh.shape[1]
        steps, rows, _ = x.shape
        gates = torch.addmm(bias, x.flatten(0, 1), w_ih.t()).view(steps, rows, 4 * n)
        h, c = x.new_zeros(steps + 1, rows, n), x.new_zeros(steps + 1, rows, n, dtype=torch.float32)
        for t in range(steps):
            now = torch.addmm(gates[t], h[t], w_hh.t()).float()
            i, f, g, o = now.chunk(4, 1)
            now[:, : 2 * n].sigmoid_(), g.tanh_(), o.sigmoid_()
            gates[t] = now
            torch.addcmul(i * g, f, c[t], out=c[t + 1])
            h[t + 1] = c[t + 1].tanh().mul_(o)
        ctx.save_for_backward(x, w_ih, w_hh, gates, h, c)
        return h[1:].transpose(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, w_ih, w_hh, gates, h, c = ctx.saved_tensors
        through_sigmoid, through_tanh = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
        d, dh, dc, w = torch.empty_like(gates), grad[:, -1], torch.zeros_like(c[0]), w_hh.t().contiguous().t()
        for t in reversed(range(len(gates))):
            (i, f, g, o), dh, squashed = gates[t].float().chunk(4, 1), dh.float(), c[t + 1].tanh()
            dc += through_tanh(dh * o, squashed)
            parts = through_sigmoid(dc * g, i), through_sigmoid(dc * c[t], f), through_tanh(dc * i, g), through_sigmoid(dh * squashed, o)
            d[t] = torch.cat(parts, 1)
            dc *= f
            if t: dh = torch.addmm(grad[:, t - 1], d[t], w)
        d = d.flatten(0, 1)
        return (d @ w_ih).view_as(x).transpose(0, 1), d.t() @ x.flatten(0, 1), d.t() @ h[:-1].flatten(0, 1), d.sum(0)


warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")  # on a GPU: DropConnect makes new ones each time


class WeightDropLSTM(nn.Module):
    "One LSTM layer with DropConnect on its hidden-to-hidden weights; parameters named as in fastai's `WeightDropout`."

    def __init__(self, n_in: int, n_out: int, weight_p: float):
        super().__init__()
        self.module, self.weight_p = nn.LSTM(n_in, n_out, batch_first=True), weight_p
        self.weight_hh_l0_raw = nn.Parameter(self.module.weight_hh_l0.data)
        del self.module._parameters["weight_hh_l0"]

    def forward(
        self,
        x: torch.Tensor,  # (batch, positions, n_in)
    ) -> torch.Tensor:  # (batch, positions, n_out)
        w, m = self.weight_hh_l0_raw, self.module
        if self.training and self.weight_p: w = w * dropout_bytes(w, self.weight_p)
        if self.training and x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and (m.input_size + m.hidden_size) * m.hidden_size > _LARGE:
            return _LargeLSTM.apply(*(t.to(torch.get_autocast_dtype("cpu")) for t in (x, m.weight_ih_l0, w, m.bias_ih_l0 + m.bias_hh_l0)))
        zeros = x.new_zeros(1, x.shape[0], w.shape[1])
        weights = [m.weight_ih_l0, w, m.bias_ih_l0, m.bias_hh_l0]
        return torch.lstm(x, (zeros, zeros), weights, True, 1, 0.0, self.training, False, True)[0]


class AWDLSTM(nn.Module):
    "Embedding and LSTM stack of ULMFiT: token ids to one vector per token."

    def __init__(
        self,
        tokenizer: KmerTokenizer,
        preset: Preset,
        drop_mult: float = 1.0,  # scales all dropouts
    ):
        super().__init__()
        p, n = preset, preset.layers
        self.encoder = nn.Embedding(tokenizer.vocab_size, p.emb, padding_idx=PAD)
        self.encoder.weight.data = kmer_embedding_init(tokenizer, p.emb)
        self.embed_p = p.embed_p * drop_mult
        sizes = [p.emb] + [p.hidden] * (n - 1) + [p.emb]
        self.rnns = nn.ModuleList(WeightDropLSTM(i, o, p.weight_p * drop_mult) for i, o in zip(sizes[:-1], sizes[1:]))
        self.input_dp = RowDropout(p.input_p * drop_mult)
        self.hidden_dps = nn.ModuleList(RowDropout(p.hidden_p * drop_mult) for _ in range(n - 1))

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        "Embedded tokens; in training whole words are dropped, the same ones everywhere in the batch."
        x = self.encoder(ids)
        if not self.training or self.embed_p == 0: return x
        words = x.new_empty(self.encoder.num_embeddings, 1).bernoulli_(1 - self.embed_p).div_(1 - self.embed_p)
        return x * words[ids]

    def forward(
        self,
        ids: torch.Tensor,  # token ids, (batch, positions)
    ) -> torch.Tensor:  # (batch, positions, emb)
        "The last layer's output."
        x = self.input_dp(self.embed(ids))
        for i, rnn in enumerate(self.rnns):
            x = rnn(x)
            if i < len(self.hidden_dps): x = self.hidden_dps[i](x)
        return x


class LMDecoder(nn.Module):
    "Logits over the vocabulary from the encoder's output, weights tied to the embedding."

    def __init__(self, encoder: AWDLSTM, output_p: float):
        super().__init__()
        vocab, emb = encoder.encoder.weight.shape
        self.decoder = nn.Linear(emb, vocab)
        self.decoder.weight = encoder.encoder.weight
        self.decoder.bias.data.zero_()
        self.output_dp = RowDropout(output_p)

    def forward(self, raw):
        dropped = self.output_dp(raw)
        return self.decoder(dropped), raw, dropped


def language_model(
    tokenizer: KmerTokenizer,
    preset,  # a name in `PRESETS`, or a `Preset`
    drop_mult: float = 1.0,  # scales all dropouts
) -> nn.Sequential:  # ids (batch, positions) -> logits (batch, positions, vocabulary), raw and dropped outputs
    "An AWD-LSTM language model."
    preset = get_preset(preset)
    encoder = AWDLSTM(tokenizer, preset, drop_mult)
    return nn.Sequential(encoder, LMDecoder(encoder, preset.output_p * drop_mult))


def lm_groups(model: nn.Sequential) -> list[list[nn.Parameter]]:
    "Parameter groups of a language model: each LSTM layer, then embedding and decoder (tied)."
    encoder, decoder = model
    return [list(r.parameters()) for r in encoder.rnns] + [[*encoder.encoder.parameters(), decoder.decoder.bias]]
