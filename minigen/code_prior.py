"""Chapter 11: a prior over codes, sequences of the symbols that `vq.VectorQuantizer` makes, of any length."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .distributions import Random
from .ngram import NGram
from .rnn import RNNLM


def pad(sequences: Sequence[Tensor], end: int) -> Tensor:
    """Sequences (T_i,) of whole numbers, each with `end` behind it -> (B, max T_i + 1), int64.

    >>> pad([torch.tensor([3, 1]), torch.tensor([2])], end=9)
    tensor([[3, 1, 9],
            [2, 9, 9]])
    """
    if not len(sequences) or any(s.ndim != 1 for s in sequences):
        raise ValueError("pad takes at least one sequence, each of shape (T,)")
    out = torch.full((len(sequences), max(map(len, sequences)) + 1), end)
    for row, sequence in zip(out, sequences, strict=True):
        row[: len(sequence)] = sequence
    return out


class CodePrior(nn.Module):
    """An autoregressive density of code sequences of any length, with a condition or without.

        log p(k_1 … k_T, end | c) = Σ_t log p(k_t | k_{<t}, c) + log p(end | k_{<=T}, c)

    The network is `rnn.RNNLM`; c chooses the state that it starts from. A VQ-VAE is trained as if all
    codes were equally likely and independent. They are neither; what is learned here is the difference.

    Args:
        codebook_size: K. conditions: how many there are (words, say); one more stands for "none".
        hidden, embed, dropout, generator: of `RNNLM`.

    Sums over all sequences to one, for every condition. p without a condition is trained on sequences whose
    condition was hidden (`hide` in `loss`).

    >>> prior = CodePrior(16, conditions=10, hidden=8)
    >>> prior.log_prob([torch.tensor([1, 2, 3]), torch.tensor([4])], torch.tensor([0, 9])).shape
    torch.Size([2])
    >>> [s.dtype for s in prior.sample(2, condition=3, max_length=5)]
    [torch.int64, torch.int64]
    """

    def __init__(
        self,
        codebook_size: int,
        conditions: int = 0,
        hidden: int = 128,
        embed: int = 32,
        dropout: float = 0.0,
        generator: Random = None,
    ) -> None:
        super().__init__()
        if codebook_size < 1 or conditions < 0:
            raise ValueError(
                f"need codebook_size >= 1, conditions >= 0, not {codebook_size}, {conditions}"
            )
        self.codebook_size, self.conditions, self.end = codebook_size, conditions, codebook_size
        self.lm = RNNLM(self.end + 1, hidden, embed, "torch", self.end, dropout, generator)
        self.condition = nn.Embedding(conditions + 1, 2 * hidden)  # the last row: none
        nn.init.normal_(self.condition.weight, std=0.1, generator=generator)

    def _state(self, condition: Tensor | int | None, batch: int) -> tuple[Tensor, Tensor]:
        condition = self.conditions if condition is None else condition
        device = self.condition.weight.device
        condition = torch.as_tensor(condition, device=device).expand(batch)
        known = (condition >= 0) & (condition <= self.conditions)
        if condition.is_floating_point() or not known.all():
            raise ValueError(f"a condition is one of 0 … {self.conditions - 1}, or None")
        return tuple(self.condition(condition).chunk(2, -1))

    def conditionals(
        self, sequences: Sequence[Tensor], condition: Tensor | int | None = None
    ) -> Tensor:
        """log p of every code and of the end, (B, max T + 1) in nats; 0 behind the end."""
        x = pad(sequences, self.end).to(self.condition.weight.device)
        return self.lm.conditionals(x, self._state(condition, len(x)))

    def log_prob(
        self, sequences: Sequence[Tensor], condition: Tensor | int | None = None
    ) -> Tensor:
        """log p of whole sequences, their ends included: B of (T_i,) -> (B,) nats."""
        return self.conditionals(sequences, condition).sum(1)

    def nats(self, sequences: Sequence[Tensor], condition: Tensor | int | None = None) -> Tensor:
        """-log p divided by the number of symbols, ends included: a scalar, for `ngram_nats`."""
        return -self.log_prob(sequences, condition).sum() / sum(len(s) + 1 for s in sequences)

    def loss(
        self,
        sequences: Sequence[Tensor],
        condition: Tensor | None = None,
        hide: float = 0.2,
        generator: Random = None,
    ) -> Tensor:
        """`nats`, where the condition of a part `hide` of the sequences is hidden."""
        if condition is not None:
            hidden = torch.rand(len(sequences), generator=generator) < hide
            condition = torch.where(hidden, self.conditions, condition)
        return self.nats(sequences, condition)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: Tensor | int | None = None,
        max_length: int = 200,
        temperature: float = 1.0,
        top_p: float = 1.0,
        generator: Random = None,
    ) -> list[Tensor]:
        """n sequences, without their ends; one that has not ended after `max_length` codes is cut."""
        if n < 1:
            raise ValueError(f"n counts sequences, at least 1, not {n}")
        state = self._state(condition, n)
        drawn = self.lm.sample((n,), max_length, temperature, top_p, None, state, generator)
        lengths = (drawn == self.end).long().cumsum(1).eq(0).sum(1)
        return [row[:length] for row, length in zip(drawn, lengths, strict=True)]


def ngram_nats(
    order: int, learn: Sequence[Tensor], test: Sequence[Tensor], k: int, alpha: float | None = None
) -> float:
    """What `ngram.NGram` (smoothed counts) makes of test sequences, in nats a symbol, ends included.

    An end also stands before each sequence, so that the first code has a context. Without `alpha`, the
    best of 0.5, 1, 2, … 64 on the test sequences is taken, in favour of the n-gram.
    """
    if not learn or not test:
        raise ValueError("an n-gram needs sequences to learn from and to test on")
    if alpha is None:
        return min(ngram_nats(order, learn, test, k, 2.0**power) for power in range(-1, 7))
    end = torch.tensor([k])
    joined = torch.cat([end, *(torch.cat([sequence, end]) for sequence in learn)])
    model = NGram(k + 1, order, alpha).fit(joined[None], context=1)
    total = count = 0.0
    for sequence in test:
        total -= model.conditionals(torch.cat([end, sequence, end])[None])[0, 1:].sum().item()
        count += len(sequence) + 1
    return total / count
