import numpy as np

from genomic_ulmfit.seq.alphabet import N_CODE


def kmer_numbers(
    codes: np.ndarray,  # base codes, last dimension is the position
    k: int,
) -> np.ndarray:  # (…, positions - k + 1) int64; -1 where a base is none of A, C, G, T
    "The base-4 numbers of all overlapping k-mers."
    n = max(codes.shape[-1] - k + 1, 0)
    numbers, other = np.zeros((*codes.shape[:-1], n), np.int64), np.zeros((*codes.shape[:-1], n), bool)
    for j in range(k):
        numbers = numbers * 4 + codes[..., j : j + n]
        other |= codes[..., j : j + n] >= N_CODE
    return np.where(other, -1, numbers)


def reverse_numbers(numbers: np.ndarray, k: int) -> np.ndarray:
    "The numbers of the reverse complements of k-mers."
    out, rest = np.zeros_like(numbers), numbers.copy()
    for _ in range(k): out, rest = out * 4 + 3 - rest % 4, rest // 4
    return out
