from torch import nn
import torch

from genomic_ulmfit.nets.awdlstm import AWDLSTM, Preset, get_preset
from genomic_ulmfit.text.kmers import KmerTokenizer, PAD, kmer_embedding_init


def pool(
    encoded: torch.Tensor,  # last layer, (batch, positions, emb)
    ids: torch.Tensor,  # token ids, (batch, positions); the first of a row is never padding
) -> torch.Tensor:  # (batch, 3 * emb) float32
    "Last, maximal and mean output of each row, without the padding."
    encoded, padding = encoded.float(), (ids == PAD)[..., None]
    n = ids.shape[1] - padding.sum(1)
    last = encoded.gather(1, (n - 1)[..., None].expand(-1, 1, encoded.shape[2])).squeeze(1)
    largest = encoded.masked_fill(padding, -torch.inf).amax(1)
    mean = encoded.masked_fill(padding, 0).sum(1) / n
    return torch.cat([2 * last, 4 * largest, 8 * mean], 1)


class Composition(nn.Module):
    "Mean of an embedding over the k-mers of a read, standardised."

    def __init__(self, tokenizer: KmerTokenizer, size: int):
        super().__init__()
        self.words = nn.EmbeddingBag.from_pretrained(kmer_embedding_init(tokenizer, size), freeze=False, mode="mean", padding_idx=PAD)

    def forward(
        self,
        ids: torch.Tensor,  # token ids, (batch, positions)
    ) -> torch.Tensor:  # (batch, size) float32
        table, n = self.words.weight, (ids != PAD).sum(1, keepdim=True)
        return (self.words(ids) - table.mean(0)) * n.sqrt() / table.std()


class ReadClassifier(nn.Module):
    "Encoder, pooling and a head of two layers: token ids to class logits."

    def __init__(
        self,
        tokenizer: KmerTokenizer,
        preset: Preset,
        n_classes: int,
        drop_mult: float = 1.0,  # scales all dropouts of the encoder
        hidden: int = 64,  # units of the head's inner layer
        output_p: float = 0.1,  # dropout before the head
    ):
        super().__init__()
        self.encoder, self.composition = AWDLSTM(tokenizer, preset, drop_mult), Composition(tokenizer, preset.emb)
        self.head = nn.Sequential(
            nn.Dropout(output_p), nn.Linear(4 * preset.emb, hidden), nn.ReLU(), nn.LayerNorm(hidden), nn.Dropout(output_p / 2), nn.Linear(hidden, n_classes)
        )

    def forward(
        self,
        ids: torch.Tensor,  # token ids, (batch, positions)
    ) -> torch.Tensor:  # logits, (batch, classes) float32
        ids = ids.as_subclass(torch.Tensor)
        pooled = torch.cat([pool(self.encoder(ids), ids), self.composition(ids)], 1)
        with torch.autocast(ids.device.type, enabled=False): return self.head(pooled)


def classifier(
    tokenizer: KmerTokenizer,
    preset,  # a name in `PRESETS`, or a `Preset`
    n_classes: int,
    drop_mult: float = 1.0,  # scales all dropouts of the encoder
) -> ReadClassifier:
    "A read classifier on an untrained encoder."
    return ReadClassifier(tokenizer, get_preset(preset), n_classes, drop_mult)


def classifier_groups(model: ReadClassifier) -> list[list[nn.Parameter]]:
    "Parameter groups of a classifier: embedding, each LSTM layer, composition and head."
    encoder = model.encoder
    return [list(m.parameters()) for m in (encoder.encoder, *encoder.rnns)] + [[*model.composition.parameters(), *model.head.parameters()]]
