"""Recurrent language models: cells equal torch's, steps equal the pass, sums to one, causality."""

import json
import math
from pathlib import Path

import pytest
import torch
from nets import seeded
from torch import nn

from minigen import audio, data, rnn
from minigen.ngram import NGram, compressed_bits
from minigen.rnn import (
    RNNLM,
    Characters,
    LSTMLayer,
    RNNLayer,
    TorchLSTM,
    Translator,
    draw,
    load,
    sharpen,
)

CELLS = ("rnn", "lstm", "torch")


def make(cell: str = "lstm", vocab: int = 4, end: int | None = None, seed: int = 0) -> RNNLM:
    """A model with large random weights, in double precision."""
    model = RNNLM(vocab, hidden=6, embed=3, cell=cell, end=end, generator=seeded(seed)).double()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.8, generator=seeded(seed + 1))
    return model


def every(length: int, vocab: int) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(vocab)] * length).reshape(-1, length)


def symbols(*shape: int, vocab: int = 4, seed: int = 2) -> torch.Tensor:
    return torch.randint(vocab, shape, generator=seeded(seed))


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize("ours, torchs", [(RNNLayer, nn.RNN), (LSTMLayer, nn.LSTM)])
def test_written_out_cells_equal_torchs(ours, torchs):
    layer = ours(3, 5, seeded()).double()
    other = torchs(3, 5, batch_first=True).double()
    other.load_state_dict(layer.state_dict())
    x = torch.randn(4, 9, 3, generator=seeded(1)).double()
    start = tuple(
        torch.randn(4, 5, generator=seeded(k)).double() for k in range(len(layer.start(1)))
    )
    packed = tuple(part[None] for part in start)
    want, last = other(x, packed if len(packed) == 2 else packed[0])
    got, state = layer(x, start)
    assert torch.allclose(got, want, atol=1e-12)
    last = last if isinstance(last, tuple) else (last,)
    assert all(torch.allclose(a, b[0], atol=1e-12) for a, b in zip(state, last, strict=True))


@pytest.mark.parametrize("ours, torchs", [(RNNLayer, nn.RNN), (LSTMLayer, nn.LSTM)])
def test_and_so_do_their_gradients(ours, torchs):
    layer = ours(3, 5, seeded()).double()
    other = torchs(3, 5, batch_first=True).double()
    other.load_state_dict(layer.state_dict())
    x = torch.randn(4, 9, 3, generator=seeded(1)).double()
    layer(x, layer.start(4))[0].square().sum().backward()
    other(x)[0].square().sum().backward()
    for a, b in zip(layer.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-10)


@pytest.mark.parametrize("kind", [RNNLayer, LSTMLayer, TorchLSTM])
def test_steps_equal_the_pass(kind):
    layer = kind(3, 5, seeded()).double()
    x = torch.randn(4, 9, 3, generator=seeded(1)).double()
    want, _ = layer(x, layer.start(4))
    state = layer.start(4)
    for t in range(9):
        state = layer.step(x[:, t], state)
        assert torch.allclose(state[0], want[:, t], atol=1e-12)


def test_the_forget_gate_starts_open():
    layer = LSTMLayer(3, 5)
    assert torch.equal(layer.bias_hh_l0[5:10], torch.ones(5))
    assert layer.bias_hh_l0.sum() == 5


def test_the_lstm_keeps_a_gradient_that_the_vanilla_cell_loses():
    """Same size, same scale of weights; how much of an input 60 steps ago is left."""
    left = {}
    for kind in (RNNLayer, LSTMLayer):
        layer = kind(3, 20, seeded()).double()
        if kind is LSTMLayer:
            with torch.no_grad():
                layer.bias_hh_l0[20:40] = 6.0  # a gate that stays open
        x = torch.randn(1, 60, 3, generator=seeded(1)).double().requires_grad_()
        layer(x, layer.start(1))[0][0, -1].sum().backward()
        left[kind] = x.grad[0, 0].norm().item()
    assert left[LSTMLayer] > 1e6 * left[RNNLayer] > 0


# ---------------------------------------------------------------- the language model


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [1, 4])
def test_sums_to_one(cell, length):
    total = make(cell).log_prob(every(length, 4)).exp().sum().item()
    assert abs(total - 1) < 1e-10


@pytest.mark.parametrize("cell", CELLS)
def test_sequential_equals_parallel(cell):
    model, x = make(cell), symbols(5, 12)
    want = model.conditionals(x)
    state, last = model.start(5), None
    for t in range(12):
        logits, state = model.step(last, state)
        last = x[:, t]
        got = logits.log_softmax(-1).gather(-1, last[:, None])[:, 0]
        assert torch.allclose(got, want[:, t], atol=1e-12)
    assert torch.allclose(model.log_prob(x), want.sum(1))


@pytest.mark.parametrize("cell", CELLS)
def test_causal_by_gradient(cell):
    """d logits[t] / d (what stands for x[t']) is exactly zero for t' >= t, and not before."""
    model, x = make(cell), symbols(1, 7)
    vectors = model.embedding(x).detach().requires_grad_()  # of x_1 … x_T
    start = model.embedding(torch.tensor([[model.vocab]]))
    h, _ = model.layer(torch.cat([start, vectors[:, :-1]], 1), model.start(1))
    assert torch.equal(model.out(h), model(x))
    for t in range(7):
        (grad,) = torch.autograd.grad(model.out(h)[0, t].sum(), vectors, retain_graph=True)
        size = grad[0].abs().sum(-1)
        assert (size[t:] == 0).all() and (size[:t] > 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_changing_the_future_changes_nothing(cell):
    model, x = make(cell), symbols(6, 8)
    for t in range(8):
        other = x.clone()
        other[:, t:] = (other[:, t:] + 1) % 4
        assert torch.equal(model(x)[:, : t + 1], model(other)[:, : t + 1])


def test_a_missing_shift_is_caught():
    """The planted mistake: x_t is fed at t. It sees what it describes, and no longer sums to one."""

    class Peeking(RNNLM):
        def shifted(self, x):
            return x

    model = Peeking(4, hidden=6, embed=3, generator=seeded()).double()
    for weight in model.parameters():
        nn.init.normal_(weight, std=1.5, generator=seeded(1))
    x = symbols(3, 6)
    other = x.clone()
    other[:, 3:] = (other[:, 3:] + 1) % 4
    assert not torch.equal(model(x)[:, 3], model(other)[:, 3])
    assert abs(model.log_prob(every(3, 4)).exp().sum().item() - 1) > 0.05


def test_weights_of_the_written_and_of_torchs_lstm_are_interchangeable():
    ours, torchs = make("lstm"), make("torch", seed=5)
    torchs.load_state_dict(ours.state_dict())
    x = symbols(5, 20)
    assert torch.allclose(ours.log_prob(x), torchs.log_prob(x), atol=1e-10)
    a, b = (m.sample((4,), length=20, generator=seeded(3)) for m in (ours, torchs))
    assert torch.equal(a, b)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_samples_follow_log_prob(cell):
    model, n = make(cell, vocab=3), 60_000
    x = model.sample((n,), length=3, generator=seeded(4))
    cells = every(3, 3)
    counts = torch.bincount((x * torch.tensor([9, 3, 1])).sum(1), minlength=27)
    p = model.log_prob(cells).exp()
    z = (counts / n - p) / (p * (1 - p) / n).sqrt()
    assert z.abs().max() < 4.5


def test_a_prefix_is_continued():
    """Frequencies after a prefix are those of the conditional."""
    model, n = make(vocab=3), 60_000
    prefix = torch.tensor([2, 0, 1])
    x = model.sample((n,), length=1, prefix=prefix, generator=seeded(4))[:, 0]
    tried = torch.cat([prefix.expand(3, 3), torch.arange(3)[:, None]], 1)
    p = model.conditionals(tried)[:, -1].exp()
    assert (torch.bincount(x, minlength=3) / n - p).abs().max() < 0.01
    each = torch.stack([prefix, 2 - prefix, 0 * prefix])  # each sample after a prefix of its own
    alone = [model.sample((1,), 5, temperature=0, prefix=row) for row in each]
    assert torch.equal(model.sample((3,), 5, temperature=0, prefix=each), torch.cat(alone))
    none = model.sample((3,), 5, prefix=prefix[:0], generator=seeded())
    assert torch.equal(none, model.sample((3,), 5, generator=seeded()))
    with pytest.raises(ValueError, match="3 prefixes for 2 samples"):
        model.sample((2,), 5, prefix=each)


# ---------------------------------------------------------------- sequences that end


def test_sequences_that_end_sum_to_one():
    """All that end within 4 symbols (padded), and all that have not ended yet."""
    model = make(vocab=3, end=2)
    x = every(4, 3)
    is_end = x == 2
    after = (is_end.cumsum(-1) - is_end.long()) > 0
    proper = x[~(after & ~is_end).any(1)]
    assert abs(model.log_prob(proper).exp().sum().item() - 1) < 1e-10


def test_padding_does_not_count():
    model = make(vocab=3, end=2)
    short = model.log_prob(torch.tensor([[0, 1, 2]]))
    assert torch.allclose(short, model.log_prob(torch.tensor([[0, 1, 2, 2, 2]])))


def test_samples_are_padded_with_the_end():
    x = make(vocab=3, end=2).sample((200,), length=6, generator=seeded())
    ended = (x == 2).cumsum(1) > 0
    assert (x[ended] == 2).all() and ended.any() and not ended.all()
    make(vocab=3, end=2).log_prob(x)  # accepts its own samples


def test_symbols_behind_an_end_are_refused():
    with pytest.raises(ValueError, match="stand behind an end"):
        make(vocab=3, end=2).log_prob(torch.tensor([[0, 2, 1]]))


# ---------------------------------------------------------------- temperature and top-p


def test_temperature_divides_the_logits():
    logits = torch.randn(5, 7, generator=seeded()).double()
    for tau in (0.3, 1.0, 2.5):
        want = torch.softmax(logits / tau, -1)
        assert torch.allclose(sharpen(logits, tau).exp(), want, atol=1e-12)
    best = sharpen(logits, 0.0).exp()
    assert torch.equal(best.argmax(-1), logits.argmax(-1)) and (best.sum(-1) == 1).all()


def test_top_p_keeps_the_smallest_set_that_holds_the_mass():
    logits = torch.randn(200, 9, generator=seeded()).double()
    p = logits.softmax(-1)
    for top_p in (0.01, 0.5, 0.9, 1.0):
        got = sharpen(logits, top_p=top_p).exp()
        assert torch.allclose(got.sum(-1), torch.ones(200).double())
        for row, cut in zip(p, got, strict=True):
            kept = cut > 0
            ordered = row.sort(descending=True)[0]
            fewest = 1 + int((ordered.cumsum(0) < top_p - 1e-12).sum()) if top_p < 1 else 9
            assert kept.sum() == fewest
            assert row[kept].min() >= row[~kept].max() if fewest < 9 else True
            assert torch.allclose(cut[kept], row[kept] / row[kept].sum())


def test_the_ends_of_their_ranges():
    logits = torch.zeros(1, 3)
    for wrong in (-0.1, math.nan):
        with pytest.raises(ValueError, match="temperature"):
            sharpen(logits, temperature=wrong)
    for wrong in (0.0, 1.1, math.nan):
        with pytest.raises(ValueError, match="top_p"):
            sharpen(logits, top_p=wrong)


def test_draw_never_draws_what_has_no_probability():
    log_p = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).log().expand(10_000, 5)
    counts = torch.bincount(draw(log_p, seeded()), minlength=5)
    assert counts[[0, 2, 4]].sum() == 0 and abs(counts[1] - 5000) < 250


def test_greedy_sampling_is_the_same_every_time():
    model = make()
    one = model.sample((3,), length=10, temperature=0, generator=seeded(1))
    other = model.sample((3,), length=10, temperature=0, generator=seeded(2))
    assert torch.equal(one, other) and torch.equal(one[0], one[1])


# ---------------------------------------------------------------- translation


def test_a_translation_sums_to_one_for_every_source():
    model = Translator(5, 3, end=2, hidden=6, embed=3, generator=seeded()).double()
    x = every(3, 3)
    is_end = x == 2
    proper = x[~(((is_end.cumsum(-1) - is_end.long()) > 0) & ~is_end).any(1)]
    for source in ([0, 0], [4, 1]):
        sources = torch.tensor(source).expand(len(proper), 2)
        assert abs(model.log_prob(proper, sources).exp().sum().item() - 1) < 1e-10


def test_the_source_matters_and_rows_do_not_mix():
    model = Translator(5, 3, end=2, hidden=6, embed=3, generator=seeded()).double()
    target, source = symbols(4, 3, vocab=2), symbols(4, 2, vocab=5)
    together = model.log_prob(target, source)
    alone = torch.cat(
        [model.log_prob(t[None], s[None]) for t, s in zip(target, source, strict=True)]
    )
    assert torch.allclose(together, alone, atol=1e-12)
    assert (together - model.log_prob(target, (source + 1) % 5)).abs().min() > 1e-6


def test_a_translator_learns_both_of_two_right_outputs():
    """One source, two right outputs: samples divide themselves, the greedy one is always the same."""
    model = Translator(2, 4, end=3, hidden=16, embed=8, generator=seeded())
    source = torch.tensor([[0], [0], [1]])
    target = torch.tensor([[0, 0, 3], [1, 1, 3], [2, 0, 3]])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(70):
        loss = -model.log_prob(target, source).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = model.sample(torch.zeros(400, 1, dtype=torch.long), 3, generator=seeded())
    first = (x == target[0]).all(1).sum().item()
    second = (x == target[1]).all(1).sum().item()
    assert first > 150 and second > 150 and first + second > 390
    greedy = model.sample(torch.zeros(50, 1, dtype=torch.long), 3, temperature=0)
    assert (greedy == greedy[0]).all()


# ---------------------------------------------------------------- baselines


def test_the_shipped_writer_beside_its_baselines():
    """On so little text long contexts and bzip2 are ahead; LSTM and counts together are better than either."""
    train, test = data.book_text()
    letters = Characters("".join(sorted(set(train + test))))
    x, learn, symbols_ = letters.encode(test)[None], letters.encode(train)[None], len(test)

    def bits(log_p: torch.Tensor) -> float:
        return -log_p.sum().item() / symbols_ / math.log(2)

    by_lstm = load("characters", cell="torch").double().conditionals(x)
    by_counts = {n: NGram(len(letters), n, 16.0).fit(learn).conditionals(x) for n in (1, 2, 4, 7)}
    ours, counted = bits(by_lstm), {n: bits(log_p) for n, log_p in by_counts.items()}
    zipped = {name: compressed_bits(test, train, name) / symbols_ for name in ("gzip", "bzip2")}
    both = bits(torch.logaddexp(by_lstm, by_counts[7]) - math.log(2))
    assert both < counted[7] < zipped["bzip2"] < ours < counted[4] < zipped["gzip"]
    assert zipped["gzip"] < counted[2] < counted[1] < math.log2(len(letters))
    card = json.loads((Path(rnn.__file__).parent / "weights" / "rnn_characters.json").read_text())
    assert abs(ours - card["held out: bits a symbol"]) < 0.01


def test_the_shipped_word_needs_fewer_bits_than_counts():
    clips = data.spoken_digits("slt", "seven")
    codes = [torch.tensor(audio.mu_law_encode(c.audio)) for c in clips]
    kept = next(k for k, c in enumerate(clips) if c.name == "seven_slt_t1.2_p1.0")
    train = torch.cat([c for k, c in enumerate(codes) if k != kept])[None]
    x = codes[kept][None]
    ours = load("seven", cell="torch").log_prob(x).item()
    assert ours > NGram(256, 3).fit(train).log_prob(x).item() + 1000


def test_an_unknown_model_is_refused():
    with pytest.raises(ValueError, match="choose one of characters, seven"):
        load("eight")


def test_the_frozen_text_is_the_one_that_the_weights_know():
    import hashlib

    train, test = data.book_text()
    assert (len(train), len(test)) == (72934, 7826)
    rows = train.splitlines(), test.splitlines()
    assert not set(rows[0]) & set(rows[1]), "a paragraph is in both parts"
    digest = hashlib.sha256((train + test).encode()).hexdigest()
    assert digest == "a73d12cdbcb056e87e495c0f227d0481867214813173ea279dd35a172af84eaa", (
        "the text changed: see minigen.data.book_text"
    )


# ---------------------------------------------------------------- input


def test_characters_go_there_and_back():
    train, test = data.book_text()
    letters = Characters("".join(sorted(set(train + test))))
    assert letters.decode(letters.encode(test)) == test
    with pytest.raises(ValueError, match="not in the alphabet: \\['é'\\]"):
        letters.encode("café")
    for alphabet in ("aba", ""):
        with pytest.raises(ValueError, match="each of them once"):
            Characters(alphabet)


@pytest.mark.parametrize(
    "x, error, message",
    [
        (torch.zeros(1, 3), TypeError, "whole numbers"),
        (torch.zeros(1, 3, dtype=torch.bool), TypeError, "whole numbers"),
        ([[0, 1]], TypeError, "a tensor, not list"),
        (torch.zeros(3, dtype=torch.long), ValueError, r"\(B, T\)"),
        (torch.zeros(1, 0, dtype=torch.long), ValueError, "at least 1"),
        (torch.tensor([[0, 4]]), ValueError, "0 … 3"),
        (torch.tensor([[-1, 0]]), ValueError, "0 … 3"),
    ],
)
def test_bad_symbols_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        make().log_prob(x)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"vocab": 0}, "vocab"),
        ({"vocab": 3, "cell": "gru"}, "choose one of"),
        ({"vocab": 3, "end": 3}, "end is one of"),
        ({"vocab": 3, "end": -1}, "end is one of"),
        ({"vocab": 3, "hidden": 0}, "hidden >= 1"),
        ({"vocab": 3, "embed": 0}, "embed >= 1"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RNNLM(**arguments)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="length"):
        make().sample((2,), length=0)
    with pytest.raises(ValueError, match="0 … 3"):
        make().sample((2,), length=3, prefix=torch.tensor([7]))
    with pytest.raises(ValueError, match="inputs and hidden >= 1, not 0 and 2"):
        LSTMLayer(0, 2)
    translator = Translator(5, 3, end=2)
    with pytest.raises(ValueError, match="2 targets for 1"):
        translator.log_prob(symbols(2, 3, vocab=2), symbols(1, 2))
    for source in ([[9]], [[-1]], [0], [[]], [[0.5]]):
        with pytest.raises(ValueError, match="source"):
            translator.sample(torch.tensor(source), 3)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_shapes(shape):
    assert make().sample(shape, length=5).shape == (*shape, 5)


def test_nothing_global_is_seeded():
    model = make()
    torch.manual_seed(5)
    want = torch.rand(1)
    torch.manual_seed(5)
    model.sample((2,), length=3, generator=seeded())
    assert torch.equal(torch.rand(1), want)


def test_initial_weights_are_as_wide_as_they_should_be():
    """Uniform up to 1/√H, as PyTorch's own; vectors of symbols with a deviation of a half."""
    model = RNNLM(300, hidden=64, embed=40, generator=seeded())
    uniform = [model.out.weight, *list(model.layer.parameters())[:3]]
    uniform += list(TorchLSTM(40, 64, seeded()).parameters())[:3]
    for weight in uniform:
        assert 0.97 < 8 * weight.abs().max() <= 1 and abs(8 * weight.std() - 3**-0.5) < 0.04
    assert not model.out.bias.any()
    translator = Translator(300, 9, end=8, hidden=8, embed=40, generator=seeded())
    for embedding in (model.embedding, translator.embedding):
        assert abs(embedding.weight.std() - 0.5) < 0.01


def test_a_repr_says_the_sizes():
    assert (
        repr(RNNLM(5, hidden=8, embed=4, end=4)) == "RNNLM(5, hidden=8, embed=4, LSTMLayer, end=4)"
    )


def test_dropout_leaves_out_its_share_in_training_alone():
    model, x = RNNLM(4, hidden=6, dropout=0.5, generator=seeded()), symbols(3, 5)
    step = lambda: model.step(None, model.start(3))[0]
    assert not torch.equal(model(x), model(x)) and not torch.equal(step(), step())
    assert torch.equal(model.eval()(x), model(x)) and torch.equal(step(), step())


def test_a_translator_draws_as_its_language_model_does():
    model, source = Translator(5, 4, end=3, hidden=6, generator=seeded()), symbols(1, 3, vocab=5)
    got = model.sample(source, 9, 1.7, 0.8, seeded(4))
    want = model.decoder.sample((1,), 9, 1.7, 0.8, state=model.read(source), generator=seeded(4))
    assert torch.equal(got, want)
