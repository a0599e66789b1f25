"""Counts by hand, sums to one, the entropy of a known chain; and programs that compress."""

import bz2
import lzma
import zlib

import pytest
import torch
from nets import seeded

from minigen.ngram import NGram, compressed_bits


def symbols(*shape: int, vocab: int = 4, seed: int = 2) -> torch.Tensor:
    return torch.randint(vocab, shape, generator=seeded(seed))


def every(length: int, vocab: int) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(vocab)] * length).reshape(-1, length)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 9])
def test_ngrams_sum_to_one(order):
    model = NGram(3, order).fit(symbols(2, 30, vocab=3))
    assert abs(model.log_prob(every(4, 3)).exp().sum().item() - 1) < 1e-12


def test_unigram_and_bigram_by_hand():
    x = torch.tensor([[0, 1, 1, 0, 1]])
    uni = NGram(2, 1, alpha=1.0).fit(x)
    assert torch.allclose(
        uni.conditionals(torch.tensor([[1]])).exp(), torch.tensor(3.5 / 6).double()
    )
    bi = NGram(2, 2, alpha=1.0).fit(x)  # after 0: 1, 1; after 1: 1, 0
    got = bi.conditionals(torch.tensor([[0, 1, 1]])).exp()[0]
    want = torch.tensor([2.5 / 6, (2 + 3.5 / 6) / 3, (1 + 3.5 / 6) / 3]).double()
    assert torch.allclose(got, want)


def test_many_counts_reach_the_entropy_of_a_known_chain():
    p = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    u, x = torch.rand(20_000, generator=seeded()), [0]
    for value in u.tolist():
        x.append(int(value >= p[x[-1], 0]))
    x = torch.tensor(x)[None]
    stationary = torch.tensor([0.8, 0.2])
    entropy = -(stationary[:, None] * p * p.log()).sum().item()
    rate = {n: -NGram(2, n).fit(x).log_prob(x).item() / x.shape[1] for n in (1, 2, 3)}
    assert abs(rate[2] - entropy) < 0.015 and abs(rate[3] - entropy) < 0.015
    assert rate[1] > entropy + 0.05


def test_ngram_samples_follow_log_prob():
    model = NGram(3, 2).fit(symbols(3, 10, vocab=3))
    n = 20_000
    x = model.sample((n,), length=2, generator=seeded(1))
    counts = torch.bincount((x * torch.tensor([3, 1])).sum(1), minlength=9)
    p = model.log_prob(every(2, 3)).exp()
    assert ((counts / n - p) / (p / n).sqrt()).abs().max() < 4.5
    assert model.sample((2, 3), 7).shape == (2, 3, 7) and model.sample().shape == (100,)


def test_programs_count_what_the_file_grows_by():
    given, text = "abç " * 50, "the quick brown fox jumps over the lazy dog " * 9
    packers = {"bzip2": bz2.compress, "xz": lzma.compress, "gzip": lambda x: zlib.compress(x, 9)}
    for program, pack in packers.items():
        both, first = (len(pack(x.encode())) for x in (given + text, given))
        assert compressed_bits(text, given, program) == 8 * (both - first)
        assert compressed_bits(given, program=program) == 8 * first  # an empty file costs nothing
    assert compressed_bits(text, given) == compressed_bits(text, given, "gzip")
    with pytest.raises(ValueError, match="no program 'zip': choose one of gzip, bzip2, xz"):
        compressed_bits(text, given, "zip")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: NGram(0), r"vocab, order >= 1, alpha > 0, not \(0, 2, 4"),
        (lambda: NGram(3, 0), "order >= 1"),
        (lambda: NGram(3, alpha=0), "alpha > 0"),
        (lambda: NGram(2, 63), r"2\^63 runs cannot be numbered"),
        (lambda: NGram(3).fit([[0, 1]]), "a tensor, not list"),
        (lambda: NGram(3).fit(torch.zeros(1, 2)), "whole numbers"),
        (lambda: NGram(3).fit(torch.zeros(2).long()), r"\(B, T\)"),
        (lambda: NGram(3).fit(torch.zeros(0, 2).long()), r"\(B, T\)"),
        (lambda: NGram(3).log_prob(torch.tensor([[3]])), "0 … 2"),
        (lambda: NGram(3).log_prob(torch.tensor([[-1]])), "0 … 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_the_first_symbols_may_be_context_alone():
    """Runs that end in them are not counted: neither the symbols nor the pairs."""
    x = torch.tensor([[2, 0, 0, 1], [2, 1, 0, 1]])
    bigram = NGram(3, 2).fit(x, context=2)
    assert [n.tolist() for n in bigram.runs[0]] == [[0, 1], [2, 2]]
    assert [n.tolist() for n in bigram.runs[1]] == [[0, 1, 3], [1, 2, 1]]  # 00, 01, 10
    assert [n.tolist() for n in bigram.contexts[1]] == [[0, 1], [3, 1]]


def test_long_contexts_are_counted_as_a_dictionary_counts_them():
    x, fresh, order, alpha = symbols(1, 400, vocab=5), symbols(1, 60, vocab=5, seed=3), 8, 3.0
    counts: dict = {}
    for t in range(400):
        for k in range(min(order, t + 1)):
            context = tuple(x[0, t - k : t].tolist())
            counts.setdefault(context, [0] * 5)[x[0, t]] += 1
    want = []
    for t in range(60):
        p = 1 / 5
        for k in range(min(order, t + 1)):
            seen = counts.get(tuple(fresh[0, t - k : t].tolist()), [0] * 5)
            p = (seen[fresh[0, t]] + alpha * p) / (sum(seen) + alpha)
        want.append(p)
    got = NGram(5, order, alpha).fit(x).conditionals(fresh)[0].exp()
    assert torch.allclose(got, torch.tensor(want).double(), atol=1e-12)


def test_a_repr_says_the_order():
    assert repr(NGram(3, 2)) == "NGram(3, order=2, alpha=4)"
