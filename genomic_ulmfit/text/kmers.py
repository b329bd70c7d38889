from fastcore.basics import patch
import numpy as np
import torch

from genomic_ulmfit.seq.alphabet import N_CODE, PAD_CODE, decode_bases, encode_bases


UNKNOWN, PAD, START = 0, 1, 2


SPECIALS = ("xxunk", "xxpad", "xxbos")  # fastai's names for the same things


NO_LOSS = -100  # a target that carries no loss (PyTorch's default ignore_index)


VOCAB_SCHEME = "lexicographic-kmers/1"  # stored with a model; another scheme is refused, never reinterpreted


class KmerTokenizer:
    "Cuts bases into k-mers of `k` bases, one every `stride` bases, numbered in lexicographic order after the specials."

    def __init__(
        self,
        k: int = 5,  # bases in a k-mer, 1 to 8
        stride: int = 2,  # bases from one k-mer's start to the next; above `k` bases between them are skipped
    ):
        if not 1 <= k <= 8: raise ValueError(f"k must be 1 to 8, not {k}: the vocabulary has 4**k words")
        if stride < 1: raise ValueError(f"stride must be at least 1, not {stride}")
        self.k, self.stride = int(k), int(stride)

    def __repr__(self): return f"KmerTokenizer(k={self.k}, stride={self.stride})"
    def __eq__(self, other): return isinstance(other, KmerTokenizer) and (self.k, self.stride) == (other.k, other.stride)
    def __hash__(self): return hash((self.k, self.stride))

    @property
    def vocab_size(self) -> int:
        "Number of ids: the specials and 4**k words."
        return len(SPECIALS) + 4**self.k

    @property
    def vocab(self) -> list[str]:
        "All tokens in id order."
        return [self.token(i) for i in range(self.vocab_size)]

    def token(self, id: int) -> str:
        "The token of an id: a special's name or the k-mer's letters."
        if not 0 <= id < self.vocab_size: raise ValueError(f"id {id} is outside the vocabulary of {self!r}")
        if id < len(SPECIALS): return SPECIALS[id]
        word = id - len(SPECIALS)
        return decode_bases([word >> 2 * (self.k - 1 - j) & 3 for j in range(self.k)])

    def n_tokens(self, n_letters):
        "k-mers in a sequence of `n_letters` (a number or an array), the start token not counted; 0 below k bases."
        n = (n_letters - self.k) // self.stride + 1
        return np.maximum(n, 0) if isinstance(n, np.ndarray) else max(n, 0)

    def n_letters(self, n_tokens: int) -> int:
        "Bases that `n_tokens` k-mers cover."
        return (n_tokens - 1) * self.stride + self.k if n_tokens else 0


def _kmer_ids(codes, k: int, stride: int, xp, dtype):
    "Ids of the k-mers along the last dimension; `codes` uint8, `xp` is numpy or torch, `dtype` one of its types that holds the ids."
    n = max((codes.shape[-1] - k) // stride + 1, 0)
    bases = [codes[..., j : j + (n - 1) * stride + 1 : stride] if n else codes[..., :0] for j in range(k)]
    ids = xp.asarray(bases[0], dtype=dtype)
    for base in bases[1:]: ids = ids * 4 + base
    ids = ids + len(SPECIALS)
    if xp is np and codes.max(initial=0) < N_CODE: return ids  # asking a GPU would make the processor wait for it
    highest = bases[0]
    for base in bases[1:]: highest = xp.maximum(highest, base)
    return xp.where(highest == PAD_CODE, PAD, xp.where(highest == N_CODE, UNKNOWN, ids))


@patch
def encode(
    self: KmerTokenizer,
    sequence,  # letters, or base codes of one dimension
    block: int = 65_536,  # k-mers cut at a time, so that what is in between stays in the processor's cache
) -> np.ndarray:  # ids, (n_tokens,) int64; empty where the sequence is shorter than k
    "Token ids of one sequence, without a start token."
    codes = encode_bases(sequence) if isinstance(sequence, (str, bytes)) else np.asarray(sequence, np.uint8)
    ids = np.empty(self.n_tokens(len(codes)), np.int64)
    for first in range(0, len(ids), block):
        part = ids[first : first + block]
        start = first * self.stride
        part[:] = _kmer_ids(codes[start : start + self.n_letters(len(part))], self.k, self.stride, np, np.uint16 if self.k < 8 else np.int32)
    return ids


@patch
def batch(
    self: KmerTokenizer,
    codes: torch.Tensor,  # base codes, (batch, bases) uint8, padded at the end with `PAD_CODE`
) -> torch.Tensor:  # ids, (batch, 1 + tokens) int64 on the same device, a start token first
    "Token ids of a batch; a k-mer that reaches into the padding is padding."
    ids = _kmer_ids(codes, self.k, self.stride, torch, torch.int32)
    return torch.nn.functional.pad(ids.long(), (1, 0), value=START)


@patch
def decode(
    self: KmerTokenizer,
    ids,  # token ids of one dimension
) -> str:  # letters; unknown k-mers give N
    "The bases that token ids stand for: each k-mer adds its new bases (at strides above k, N for those skipped)."
    out, fresh = [], False
    for i in (int(i) for i in ids):
        if i in (PAD, START): continue
        word = "N" * self.k if i == UNKNOWN else self.token(i)
        out.append(word if not fresh else ("N" * (self.stride - self.k) + word)[-self.stride :])
        fresh = True
    return "".join(out)


def kmer_embedding_init(
    tokenizer: KmerTokenizer,
    size: int,  # dimension of the embedding
    scale: float = 0.1,  # standard deviation of the entries
) -> torch.Tensor:  # (vocab_size, size): row of a k-mer = sum of a vector per base and position; zeros for padding
    "Start values of a k-mer embedding in which words that share bases are near one another."
    positions = torch.randn(tokenizer.k, 4, size) * scale / tokenizer.k**0.5
    words = torch.arange(4**tokenizer.k)
    table = sum(positions[j, words >> 2 * (tokenizer.k - 1 - j) & 3] for j in range(tokenizer.k))
    specials = torch.randn(len(SPECIALS), size) * scale
    specials[PAD] = 0
    return torch.cat([specials, table])
