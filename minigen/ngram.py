"""Chapter 6: what counts and a compressor make of a text, the baselines of a language model."""

import bz2
import lzma
import math
import zlib
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from .distributions import Random
from .rnn import draw


def count(target: Tensor, known: Tensor, counts: Tensor) -> Tensor:
    """How often each of `target` was counted: `known` is sorted, `counts` stands beside it.

    >>> count(torch.tensor([7, 2, 3]), torch.tensor([2, 7]), torch.tensor([10, 20]))
    tensor([20, 10,  0])
    """
    place = torch.searchsorted(known, target).clamp(max=len(known) - 1)
    return torch.where(known[place] == target, counts[place], 0)


class NGram:
    """Counts of the last n - 1 symbols, each order leaning on the one below.

        p_k(s | c) = (N(c, s) + α p_{k-1}(s | c')) / (N(c) + α),   p_0 = 1 / V

    c is the last k - 1 symbols, c' without the first of them. Order 1 is the unigram, 2 the bigram.

    Args: vocab: V. order: n. alpha: α, how many counts the lower order is worth.

    References: MacKay and Peto, A Hierarchical Dirichlet Language Model, 1995.

    >>> bigram = NGram(2, order=2).fit(torch.tensor([[0, 1, 0, 1, 0, 1]]))
    >>> bool(bigram.log_prob(torch.tensor([[0, 1]])) > bigram.log_prob(torch.tensor([[0, 0]])))
    True
    """

    def __init__(self, vocab: int, order: int = 2, alpha: float = 4.0) -> None:
        if vocab < 1 or order < 1 or not alpha > 0:
            raise ValueError(f"need vocab, order >= 1, alpha > 0, not {(vocab, order, alpha)}")
        if vocab**order >= 2**63:
            raise ValueError(f"{vocab}^{order} runs cannot be numbered: choose a lower order")
        self.vocab, self.order, self.alpha = vocab, order, alpha
        self.runs, self.contexts = [], []  # of each order up to n: what occurs, sorted; how often

    def __repr__(self) -> str:
        return f"NGram({self.vocab}, order={self.order}, alpha={self.alpha:g})"

    def _index(self, x: Tensor, k: int) -> Tensor:
        """Every run of k symbols of x (B, T) as one number, (B, T - k + 1)."""
        powers = self.vocab ** torch.arange(k - 1, -1, -1)
        return (x.unfold(1, k, 1) * powers).sum(-1)

    def _checked(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a tensor, not {type(x).__name__}")
        if x.ndim != 2 or 0 in x.shape or x.is_floating_point():
            raise ValueError(f"x has shape (B, T) of whole numbers, not {tuple(x.shape)} {x.dtype}")
        if x.min() < 0 or x.max() >= self.vocab:
            raise ValueError(f"symbols lie in 0 … {self.vocab - 1}")
        return x

    def fit(self, x: Tensor, context: int = 0) -> Self:
        """Count the runs in x (B, T), but for those that end in its first `context` symbols -> self."""
        x = self._checked(x)
        orders = range(1, min(self.order, x.shape[1]) + 1)
        runs = [self._index(x, k)[:, max(0, context - k + 1) :] for k in orders]
        self.runs = [run.unique(return_counts=True) for run in runs]  # N(c, s)
        self.contexts = [(run // self.vocab).unique(return_counts=True) for run in runs]  # N(c)
        return self

    def conditionals(self, x: Tensor) -> Tensor:
        """log p(x_t | the n - 1 symbols before), in nats, (B, T)."""
        x = self._checked(x)
        p = torch.full(x.shape, 1 / self.vocab, dtype=torch.float64)
        for k in range(1, min(len(self.runs), x.shape[1]) + 1):
            run = self._index(x, k)
            n = count(run, *self.runs[k - 1])
            seen = count(run // self.vocab, *self.contexts[k - 1])
            p[:, k - 1 :] = (n + self.alpha * p[:, k - 1 :]) / (seen + self.alpha)
        return p.log()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats: x (B, T) -> (B,)."""
        return self.conditionals(x).sum(-1)

    def sample(
        self, shape: Sequence[int] = (), length: int = 100, generator: Random = None
    ) -> Tensor:
        """Sequences (*shape, length)."""
        x = torch.zeros(math.prod(shape), 0, dtype=torch.long)
        symbols = torch.arange(self.vocab)
        for _ in range(length):
            past = x[:, max(0, x.shape[1] - self.order + 1) :]
            next_ = symbols.repeat(len(past))[:, None]
            tried = torch.cat([past.repeat_interleave(self.vocab, 0), next_], 1)
            log_p = self.conditionals(tried)[:, -1].reshape(-1, self.vocab)
            x = torch.cat([x, draw(log_p, generator)[:, None]], 1)
        return x.reshape(*shape, length)


COMPRESSORS = {"gzip": lambda x: zlib.compress(x, 9), "bzip2": bz2.compress, "xz": lzma.compress}


def compressed_bits(text: str, given: str = "", program: str = "gzip") -> int:
    """How many more bits a file has when `text` follows `given`: 8 (|zip(given + text)| - |zip(given)|).

    A compressor is a language model: its code spends -log₂ p bits. gzip (DEFLATE) looks back 32,768
    characters at most, bzip2 900,000, xz (LZMA) millions.

    >>> compressed_bits("the same again. " * 20, given="the same again. " * 20) < 100
    True
    """
    if program not in COMPRESSORS:
        raise ValueError(f"no program {program!r}: choose one of {', '.join(COMPRESSORS)}")
    size = lambda content: len(COMPRESSORS[program](content.encode("utf-8"))) if content else 0
    return 8 * (size(given + text) - size(given))
