from fastai.data.block import TransformBlock
from fastai.torch_core import TensorBase
from fasttransform import Transform
import torch

from genomic_ulmfit.seq.alphabet import PAD_CODE, decode_bases, encode_bases
from genomic_ulmfit.text.kmers import KmerTokenizer


class TensorBases(TensorBase):
    "Base codes as a fastai tensor type."


class TensorKmers(TensorBase):
    "Token ids as a fastai tensor type."


class ToBases(Transform):
    "Letters to base codes."

    def encodes(self, sequence: str): return TensorBases(torch.from_numpy(encode_bases(sequence).copy()))
    def decodes(self, codes: TensorBases): return decode_bases(codes)


class Kmerize(Transform):
    "Batches of base codes to token ids, on the batch's device."

    def __init__(self, tokenizer: KmerTokenizer): self.tokenizer = tokenizer
    def encodes(self, codes: TensorBases): return TensorKmers(self.tokenizer.batch(codes.as_subclass(torch.Tensor)))


def pad_bases(items: list) -> list:
    "Fill up the bases of the items of a batch to one length."
    width = max(len(item[0]) for item in items)
    fill = lambda codes: TensorBases(torch.nn.functional.pad(codes.as_subclass(torch.Tensor), (0, width - len(codes)), value=PAD_CODE))
    return [(fill(item[0]), *item[1:]) for item in items]


def SequenceBlock(
    tokenizer: KmerTokenizer | None = None,  # k=5, stride=2 unless given
) -> TransformBlock:
    "A block for fastai's `DataBlock`: letters in, token ids out."
    return TransformBlock(type_tfms=[ToBases], batch_tfms=[Kmerize(tokenizer or KmerTokenizer())], dls_kwargs={"before_batch": pad_bases})
