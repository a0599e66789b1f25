"""The prior over codes, held to enumeration."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from nets import seeded
from torch import nn

from minigen.code_prior import CodePrior, ngram_nats, pad


def prior(codes: int = 3, conditions: int = 2) -> CodePrior:
    made = CodePrior(codes, conditions, hidden=6, embed=4, generator=seeded()).double().eval()
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.8, generator=seeded(weight.numel()))
    return made.requires_grad_(False)


@pytest.mark.parametrize("condition", [None, 0, 1])
def test_the_prior_sums_to_one_over_all_sequences(condition):
    """Those that end within four codes, and those that go on: each first four codes, not ended."""
    model = prior()
    total = 0.0
    for length in range(5):
        every = [torch.tensor(s, dtype=torch.long) for s in product(range(3), repeat=length)]
        p = model.conditionals(every, condition)  # (n, length + 1)
        total += p.sum(1).exp().sum().item()  # ended here
        if length == 4:
            total += p[:, :4].sum(1).exp().sum().item() - p.sum(1).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_the_prior_is_causal_and_conditioned():
    model = prior()
    a, b = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 0, 0])
    p = model.conditionals([a, b])
    assert torch.equal(p[0, :2], p[1, :2]) and not torch.equal(p[0, 2:], p[1, 2:])
    given = [model.log_prob([a], c).item() for c in (None, 0, 1)]
    assert len(set(given)) == 3
    mixed = model.log_prob([a, a], torch.tensor([0, 1]))
    assert torch.allclose(mixed, torch.tensor(given[1:]).double())
    assert model.nats([a, b]) == pytest.approx(-model.log_prob([a, b]).sum().item() / 10)


def test_samples_of_the_prior_follow_its_density():
    model = prior()
    drawn = model.sample(4000, 1, max_length=30, generator=seeded())
    counts = Counter(tuple(s.tolist()) for s in drawn)
    for sequence in [(), (0,), (1,), (2, 1)]:
        p = model.log_prob([torch.tensor(sequence, dtype=torch.long)], 1).exp().item()
        assert abs(counts[sequence] / 4000 - p) < 4 * math.sqrt(p / 4000) + 1e-3
    assert all(len(s) <= 5 for s in model.sample(50, max_length=5, generator=seeded()))


def test_hiding_the_condition_trains_the_prior_without_one():
    model = prior().requires_grad_(True)
    sequences, condition = [torch.tensor([0, 1])] * 40, torch.zeros(40, dtype=torch.long)
    whole = model.loss(sequences, condition, hide=0.0)
    none = model.loss(sequences, condition, hide=1.0)
    assert whole.item() == pytest.approx(model.nats(sequences, 0).item())
    assert none.item() == pytest.approx(model.nats(sequences).item())
    usual = model.loss(sequences, condition, generator=seeded())
    assert usual == model.loss(sequences, condition, hide=0.2, generator=seeded())
    assert model.loss(sequences).item() == pytest.approx(none.item())
    (gradient,) = torch.autograd.grad(
        model.loss(sequences, condition, hide=0.5, generator=seeded()), model.condition.weight
    )
    assert (gradient[[0, 2]].abs().sum(1) > 0).all() and (gradient[1] == 0).all()


def test_ngrams_are_counted_by_hand():
    learn = [torch.tensor([0, 0, 1]), torch.tensor([1])]
    test = [torch.tensor([0, 1])]
    alpha, v = 2.0, 3  # symbols 0, 1, end
    counts = {0: 2, 1: 2, 2: 2}
    p1 = {s: (n + alpha / v) / (6 + alpha) for s, n in counts.items()}
    wanted = -np.mean([math.log(p1[s]) for s in (0, 1, 2)])
    assert ngram_nats(1, learn, test, 2, alpha) == pytest.approx(wanted)
    after = {2: {0: 1, 1: 1}, 0: {0: 1, 1: 1}, 1: {2: 2}}  # end stands before each sequence
    p2 = lambda s, c: (after[c].get(s, 0) + alpha * p1[s]) / (sum(after[c].values()) + alpha)
    wanted = -np.mean([math.log(p2(s, c)) for s, c in ((0, 2), (1, 0), (2, 1))])
    assert ngram_nats(2, learn, test, 2, alpha) == pytest.approx(wanted)
    tried = [ngram_nats(2, learn, test, 2, a) for a in (0.5, 1, 2, 4, 8, 16, 32, 64)]
    assert ngram_nats(2, learn, test, 2) == min(tried) == tried[0]
    assert ngram_nats(2, learn[:1], learn[1:], 2) == ngram_nats(2, learn[:1], learn[1:], 2, 64)


def test_errors_say_what_is_wrong():
    for call, message in (
        (lambda: CodePrior(0), "codebook_size >= 1"),
        (lambda: prior().log_prob([torch.tensor([0])], 3), "one of 0 … 1"),
        (lambda: prior().log_prob([torch.tensor([7])]), "symbols"),
        (lambda: CodePrior(3, -1), "conditions >= 0, not 3, -1"),
        (lambda: prior().log_prob([torch.tensor([0])], -1), "one of 0 … 1"),
        (lambda: prior().log_prob([torch.tensor([0])], 0.5), "one of 0 … 1"),
        (lambda: prior().sample(0), "at least 1, not 0"),
        (lambda: ngram_nats(1, [], [torch.tensor([0])], 2), "to learn from and to test on"),
        (lambda: ngram_nats(1, [torch.tensor([0])], [], 2), "to learn from and to test on"),
        (lambda: pad([torch.zeros(1, 2)], 3), "of shape"),
        (lambda: pad([], 3), "at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_what_is_asked_of_the_prior_reaches_its_language_model():
    model = prior()
    drawn = lambda seed, **more: [
        s.tolist() for s in model.sample(20, None, 40, generator=seeded(seed), **more)
    ]
    for sharp in ({"temperature": 1e-3}, {"top_p": 1e-6}):
        assert drawn(0, **sharp) == drawn(1, **sharp)
    assert drawn(0) != drawn(1) and drawn(0, temperature=1.5) != drawn(0)
    assert CodePrior(3, hidden=4, dropout=0.3).lm.dropout.p == 0.3
    assert abs(CodePrior(3, 300, hidden=8).condition.weight.std() - 0.1) < 0.01
