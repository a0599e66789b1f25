"""Chapter 6: recurrent language models, the past in a state, p(x) by the chain rule.

    p(x_1 … x_T) = Π_t p(x_t | x_{<t}),   h_t = cell(x_{t-1}, h_{t-1}),   p(x_t | x_{<t}) = softmax(W_out h_t + b_out)

The symbols may be letters, or the 256 µ-law codes of a sound: the model does not know which.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import weights
from .distributions import Random

State = tuple[Tensor, ...]


class Characters:
    """Text as whole numbers and back.

    >>> letters = Characters("abc ")
    >>> letters.encode("cab").tolist(), letters.decode([2, 0, 1]), len(letters)
    ([2, 0, 1], 'cab', 4)
    """

    def __init__(self, alphabet: str) -> None:
        if not alphabet or len(set(alphabet)) != len(alphabet):
            raise ValueError("an alphabet has at least one character, and each of them once")
        self.alphabet = alphabet
        self._code = {character: code for code, character in enumerate(alphabet)}

    def __len__(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> Tensor:
        """text of T characters -> int64 (T,)."""
        unknown = sorted(set(text) - set(self.alphabet))
        if unknown:
            raise ValueError(f"not in the alphabet: {unknown}; replace them or add them")
        return torch.tensor([self._code[character] for character in text], dtype=torch.long)

    def decode(self, codes: Tensor | Sequence[int]) -> str:
        """Codes (T,) -> text."""
        return "".join(self.alphabet[int(code)] for code in codes)


# ---------------------------------------------------------------- cells
class _Recurrent(nn.Module):
    """What both cells share: parameters with the names and the order of gates of torch's layers."""

    gates = 1

    def __init__(self, inputs: int, hidden: int, generator: Random = None) -> None:
        super().__init__()
        if inputs < 1 or hidden < 1:
            raise ValueError(f"a cell needs inputs and hidden >= 1, not {inputs} and {hidden}")
        self.inputs, self.hidden = inputs, hidden
        rows, bound = self.gates * hidden, 1 / math.sqrt(hidden)
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, inputs))  # W
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden))  # U
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))  # b
        self.bias_hh_l0 = nn.Parameter(torch.zeros(rows))  # torch's layers have a second bias
        for weight in (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0):
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def _cell(self, pushed: Tensor, state: State) -> State:
        """From W x + b (B, gates · H) and the last state to the next."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> State:
        """One time step: x (B, I), state of (B, H) each -> the next state; state[0] is the output."""
        return self._cell(nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0), state)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, I) -> outputs h_1 … h_T (B, T, H), the last state. T steps, one after the other."""
        pushed = nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)  # all t at once
        outputs = []
        for now in pushed.unbind(1):
            state = self._cell(now, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1), state

    def start(self, batch: int) -> State:
        """The state before the first symbol: zeros."""
        zeros = self.weight_hh_l0.new_zeros(batch, self.hidden)
        return (zeros,) * (2 if self.gates == 4 else 1)


class RNNLayer(_Recurrent):
    """The vanilla cell: h_t = tanh(W x_t + b + U h_{t-1}).

    Args: inputs: I. hidden: H. generator: for the initial weights.

    References: Elman, Finding Structure in Time, 1990.

    >>> layer = RNNLayer(3, 5)
    >>> layer(torch.zeros(2, 7, 3), layer.start(2))[0].shape
    torch.Size([2, 7, 5])
    """

    def _cell(self, pushed: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(pushed + h @ self.weight_hh_l0.T + self.bias_hh_l0),)


class LSTMLayer(_Recurrent):
    """Long short-term memory: a cell state c that is added to, so that its gradient survives.

        [i, f, g, o] = W x_t + b + U h_{t-1}                      four blocks of H rows
        c_t = sigm(f) ⊙ c_{t-1} + sigm(i) ⊙ tanh(g)               forget some, write some
        h_t = sigm(o) ⊙ tanh(c_t)                                 show some

    Args: inputs: I. hidden: H. generator: for the initial weights; the forget gate's bias starts near 1.

    References: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; the forget gate: Gers, Schmidhuber and
    Cummins, Learning to Forget, 2000.

    >>> layer = LSTMLayer(3, 5)
    >>> torchs = nn.LSTM(3, 5, batch_first=True)
    >>> torchs.load_state_dict(layer.state_dict())
    <All keys matched successfully>
    """

    gates = 4

    def __init__(self, inputs: int, hidden: int, generator: Random = None) -> None:
        super().__init__(inputs, hidden, generator)
        nn.init.ones_(self.bias_hh_l0[hidden : 2 * hidden])  # remember, until taught otherwise

    def _cell(self, pushed: Tensor, state: State) -> State:
        h, c = state
        gates = pushed + h @ self.weight_hh_l0.T + self.bias_hh_l0
        i, f, g, o = gates.chunk(4, -1)  # (B, H) each
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class TorchLSTM(nn.LSTM):
    """PyTorch's own LSTM behind the interface of ours: the same numbers, faster.

    Args: inputs: I. hidden: H. generator: for the initial weights, those of `LSTMLayer`.

    >>> ours, torchs = LSTMLayer(3, 5), TorchLSTM(3, 5)
    >>> _ = torchs.load_state_dict(ours.state_dict())
    >>> x = torch.ones(2, 7, 3)
    >>> bool(torch.allclose(ours(x, ours.start(2))[0], torchs(x, torchs.start(2))[0], atol=1e-6))
    True
    """

    def __init__(self, inputs: int, hidden: int, generator: Random = None) -> None:
        super().__init__(inputs, hidden, batch_first=True)
        self.load_state_dict(LSTMLayer(inputs, hidden, generator).state_dict())

    def start(self, batch: int) -> State:
        """The state before the first symbol: zeros."""
        return (self.weight_hh_l0.new_zeros(batch, self.hidden_size),) * 2

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, I) -> outputs (B, T, H), the last state."""
        out, last = super().forward(x, (state[0][None].contiguous(), state[1][None].contiguous()))
        return out, tuple(part[0] for part in last)

    def step(self, x: Tensor, state: State) -> State:
        """One time step."""
        return self(x[:, None], state)[1]


CELLS = {"rnn": RNNLayer, "lstm": LSTMLayer, "torch": TorchLSTM}


# ---------------------------------------------------------------- choosing a symbol
def sharpen(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Make a distribution sharper, and cut off its tail: logits (..., V) -> log-probabilities.

        p_τ(s) ∝ exp(logit(s) / τ)

    then keep the most probable symbols, as few as hold `top_p` of the mass, and renormalise.

    Args:
        temperature: τ; below 1 sharper, above 1 flatter, 0 the most probable symbol alone.
        top_p: in (0, 1].

    References: top-p: Holtzman et al., The Curious Case of Neural Text Degeneration, 2020 (arXiv:1904.09751).

    >>> p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    >>> sharpen(p.log(), top_p=0.6).exp()
    tensor([0.6250, 0.3750, 0.0000, 0.0000])
    """
    if not temperature >= 0:
        raise ValueError(f"temperature is 0 or more, not {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p lies in (0, 1], not {top_p}")
    if temperature == 0:
        best = nn.functional.one_hot(logits.argmax(-1), logits.shape[-1])
        return best.to(logits.dtype).log()
    log_p = (logits / temperature).log_softmax(-1)
    if top_p < 1:
        ordered, place = log_p.sort(dim=-1, descending=True, stable=True)
        before = ordered.exp().cumsum(-1) - ordered.exp()  # mass of the more probable ones
        keep = torch.zeros_like(before, dtype=torch.bool).scatter(-1, place, before < top_p)
        log_p = log_p.masked_fill(~keep, -math.inf).log_softmax(-1)
    return log_p


def draw(log_p: Tensor, generator: Random = None) -> Tensor:
    """One symbol from each distribution, by inverting its cumulative distribution: (B, V) -> (B,).

    >>> draw(torch.tensor([[0.0, 1.0]]).log()).item()
    1
    """
    cdf = log_p.double().exp().cumsum(-1)
    u = torch.rand(len(cdf), 1, generator=generator, dtype=torch.float64, device=cdf.device)
    return (cdf <= u * cdf[:, -1:]).sum(-1).clamp(max=cdf.shape[-1] - 1)


# ---------------------------------------------------------------- language models
class RNNLM(nn.Module):
    """A language model with a recurrent state.

        e_t = E[x_{t-1}] (E[V] before the first),   h_t = cell(e_t, h_{t-1})
        log p(x) = Σ_t log softmax(out(h_t))[x_t]

    The shift is inside: what describes x_t has seen x_{<t} only.

    Args:
        vocab: V, the number of symbols.
        hidden: H, units of the state. embed: length of a symbol's vector.
        cell: "rnn", "lstm", or "torch": `nn.LSTM`, whose weights are interchangeable with "lstm"'s.
        end: a symbol that ends a sequence: what stands after it has probability one if it is `end`
            again. By default sequences have no end and p sums to one over those of one length.
        dropout: share of the state that the output layer does not see, in training.
        generator: for the initial weights.

    References: Mikolov et al., Recurrent Neural Network Based Language Model, 2010.

    >>> model = RNNLM(3, hidden=4, embed=2)
    >>> every = torch.cartesian_prod(*[torch.arange(3)] * 4)  # all 81 sequences of length 4
    >>> round(model.log_prob(every).exp().sum().item(), 4)
    1.0
    """

    def __init__(
        self,
        vocab: int,
        hidden: int = 128,
        embed: int = 32,
        cell: str = "lstm",
        end: int | None = None,
        dropout: float = 0.0,
        generator: Random = None,
    ) -> None:
        super().__init__()
        if vocab < 1 or embed < 1:
            raise ValueError(f"RNNLM needs vocab and embed >= 1, not {vocab} and {embed}")
        if cell not in CELLS:
            raise ValueError(f"no cell {cell!r}: choose one of {', '.join(CELLS)}")
        if end is not None and not 0 <= end < vocab:
            raise ValueError(f"end is one of the symbols 0 … {vocab - 1}, not {end}")
        self.vocab, self.end = vocab, end
        self.embedding = nn.Embedding(vocab + 1, embed)  # the last row: before the first symbol
        self.layer = CELLS[cell](embed, hidden, generator)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, vocab)
        nn.init.normal_(self.embedding.weight, std=0.5, generator=generator)
        bound = 1 / math.sqrt(hidden)
        nn.init.uniform_(self.out.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.out.bias)

    def __repr__(self) -> str:
        hidden, embed = self.out.in_features, self.embedding.embedding_dim
        cell, end = type(self.layer).__name__, self.end
        return f"RNNLM({self.vocab}, {hidden=}, {embed=}, {cell}, {end=})"

    # ------------------------------------------------------------ all steps of given symbols
    def shifted(self, x: Tensor) -> Tensor:
        """What is fed: (start, x_1 … x_{T-1}), (B, T)."""
        return torch.cat([torch.full_like(x[:, :1], self.vocab), x[:, :-1]], 1)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """x (B, T) -> logits (B, T, V); those at t describe x_t given x_{<t}. Teacher forcing."""
        x = self._checked(x)
        h, _ = self.layer(self.embedding(self.shifted(x)), state or self.layer.start(len(x)))
        return self.out(self.dropout(h))

    def conditionals(self, x: Tensor, state: State | None = None) -> Tensor:
        """log p(x_t | x_{<t}) in nats, (B, T); 0 after the first `end`."""
        log_p = self(x, state).log_softmax(-1)
        picked = log_p.gather(-1, x[..., None])[..., 0]
        return picked if self.end is None else self._until_end(picked, x)

    def _until_end(self, picked: Tensor, x: Tensor) -> Tensor:
        is_end = x == self.end
        after = (is_end.cumsum(-1) - is_end.long()) > 0  # behind the first end
        if (after & ~is_end).any():
            raise ValueError(f"symbols other than end={self.end} stand behind an end: pad with it")
        return picked.masked_fill(after, 0.0)

    def log_prob(self, x: Tensor, state: State | None = None) -> Tensor:
        """log p(x) in nats: x (B, T) int64 -> (B,).

        Args: state: to start from instead of zeros, e.g. an encoder's.
        """
        return self.conditionals(x, state).sum(-1)

    # ------------------------------------------------------------ one step after the other
    def start(self, batch: int) -> State:
        """The state before the first symbol."""
        return self.layer.start(batch)

    def step(self, last: Tensor | None, state: State) -> tuple[Tensor, State]:
        """The symbol before (B,) (None before the first), the state -> logits (B, V), next state."""
        if last is None:
            last = torch.full_like(state[0][:, 0], self.vocab, dtype=torch.long)
        state = self.layer.step(self.embedding(last), state)
        return self.out(self.dropout(state[0])), state

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int] = (),
        length: int = 100,
        temperature: float = 1.0,
        top_p: float = 1.0,
        prefix: Tensor | None = None,
        state: State | None = None,
        generator: Random = None,
    ) -> Tensor:
        """Sequences (*shape, length), by `length` steps that wait for each other.

        Args:
            temperature, top_p: as in `sharpen`; at 1 and 1 samples follow `log_prob`.
            prefix: (P,) symbols that came before, or (B, P), as many for each sample; what is returned goes on
                from there.
            state: to start from instead of zeros, one row for each sample.
        """
        shape = tuple(shape)
        if length < 1:
            raise ValueError(f"length counts symbols, at least one, not {length}")
        batch = math.prod(shape)
        state = state or self.start(batch)
        last = None
        if prefix is not None and len(prefix):
            prefix = self._checked(prefix if prefix.ndim == 2 else prefix[None])
            if len(prefix) not in (1, batch):
                raise ValueError(f"{len(prefix)} prefixes for {batch} samples")
            for symbol in prefix.T:
                _, state = self.step(last, state)
                last = symbol.expand(batch)
        made, ended = [], torch.zeros(batch, dtype=torch.bool, device=state[0].device)
        for _ in range(length):
            logits, state = self.step(last, state)
            last = draw(sharpen(logits, temperature, top_p), generator)
            if self.end is not None:
                last = torch.where(ended, self.end, last)
                ended = ended | (last == self.end)
            made.append(last)
        return torch.stack(made, 1).reshape(*shape, length)

    def _checked(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a tensor, not {type(x).__name__}")
        if x.is_floating_point() or x.dtype == torch.bool:
            raise TypeError(f"x is {x.dtype}: symbols are whole numbers (int64)")
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"x has shape (B, T), both at least 1, not {tuple(x.shape)}")
        if x.min() < 0 or x.max() >= self.vocab:
            raise ValueError(f"symbols lie in 0 … {self.vocab - 1}, not {x.min()} to {x.max()}")
        return x.long()


def load(name: str = "characters", cell: str = "lstm") -> RNNLM:
    """A trained language model from the package: "characters" or "seven"; see `training/rnn.py`.

    Args:
        name: "characters" writes like this book; "seven" knows one word as 256 µ-law codes.
        cell: "lstm" or "torch", the same function.

    >>> load("characters").vocab
    47
    """
    known = ("characters", "seven")
    if name not in known:
        raise ValueError(f"no trained model {name!r}: choose one of {', '.join(known)}")
    tensors, notes = weights.load(f"rnn_{name}")
    return weights.frozen(RNNLM(**notes["model"], cell=cell), tensors)


class Translator(nn.Module):
    """p(target | source): one network reads the source, its last state starts a language model.

        s = the last state of cell(E x_1), …, cell(E x_S),   log p(y | x) = RNNLM.log_prob(y, state=s)

    Args:
        source_vocab: symbols of the source. target_vocab: of the target. end: of the target.
        hidden, embed, generator: as for `RNNLM`.

    A source that is shorter than S is padded on the left, so that its last symbol is read last.

    References: Sutskever, Vinyals and Le, Sequence to Sequence Learning with Neural Networks, 2014
    (arXiv:1409.3215).

    >>> model = Translator(10, 27, end=26, hidden=8)
    >>> source = torch.tensor([[4, 2]])
    >>> model.sample(source, length=5).shape
    torch.Size([1, 5])
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        end: int,
        hidden: int = 64,
        embed: int = 16,
        generator: Random = None,
    ) -> None:
        super().__init__()
        self.source_vocab = source_vocab
        self.embedding = nn.Embedding(source_vocab, embed)
        nn.init.normal_(self.embedding.weight, std=0.5, generator=generator)
        self.encoder = LSTMLayer(embed, hidden, generator)
        self.decoder = RNNLM(target_vocab, hidden, embed, end=end, generator=generator)

    def read(self, source: Tensor) -> State:
        """source (B, S) -> the state that the decoder starts from."""
        if source.is_floating_point() or source.ndim != 2 or 0 in source.shape:
            raise ValueError(f"source is int (B, S), not {source.dtype} {tuple(source.shape)}")
        if source.min() < 0 or source.max() >= self.source_vocab:
            raise ValueError(f"symbols of the source lie in 0 … {self.source_vocab - 1}")
        return self.encoder(self.embedding(source), self.encoder.start(len(source)))[1]

    def log_prob(self, target: Tensor, source: Tensor) -> Tensor:
        """log p(target | source) in nats: (B, T), (B, S) -> (B,)."""
        if len(target) != len(source):
            raise ValueError(f"{len(target)} targets for {len(source)} sources")
        return self.decoder.log_prob(target, self.read(source))

    @torch.no_grad()
    def sample(
        self,
        source: Tensor,
        length: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        generator: Random = None,
    ) -> Tensor:
        """One target for each source, (B, S) -> (B, length), padded with `end`."""
        return self.decoder.sample(
            (len(source),), length, temperature, top_p, state=self.read(source), generator=generator
        )
