"""Chapter 11: latent variables that are integers, a codebook between an encoder and a decoder.

    x -> encoder -> z (D,) -> nearest of K codes: k = argmin_j |z - e_j|² -> e_k -> decoder -> x

A code is one of K numbers, so a picture or a sound becomes a sequence of symbols, log2 K bits each, and
what models text models them too: `code_prior.CodePrior`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import weights
from .distributed import all_items
from .mixture import kmeans


# ---------------------------------------------------------------- the quantiser
def straight_through(z: Tensor, e: Tensor) -> Tensor:
    """The value of e with the gradient of z: ∂out/∂z = 1, ∂out/∂e = 0.

    Choosing the nearest code is a staircase, whose slope is 0 wherever it has one. The decoder's gradient
    is handed to the encoder as if the step were not there.

    References: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017
    (arXiv:1711.00937).

    >>> z = torch.tensor([0.3], requires_grad=True)
    >>> out = straight_through(z, torch.tensor([1.0]))
    >>> out.item(), torch.autograd.grad(out.square().sum(), z)[0].item()  # d out²/dz = 2 out · 1
    (1.0, 2.0)
    """
    return e.detach() + (z - z.detach())  # the bracket is exactly 0


def _nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """(N, D), (K, D) -> (N,): differences are squared, not expanded, so that float32 keeps near ties."""
    return torch.cdist(z, codebook, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)


def _gather(z: Tensor, codes: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """How many vectors each code has (K,) and their sum (K, D)."""
    counts = torch.bincount(codes, minlength=k).to(z.dtype)
    return counts, z.new_zeros(k, z.shape[1]).index_add_(0, codes, z)


class Usage(NamedTuple):
    """`perplexity` e^H, how many codes are `used`, and the `counts` (K,) of each."""

    perplexity: float
    used: int
    counts: Tensor


def usage(codes: Tensor | Iterable[Tensor], k: int) -> Usage:
    """How many of k codes a whole set uses: all its codes, or an iterable of batches of them.

        perplexity = exp(-Σ_j p_j log p_j),   p_j = counts_j / Σ counts

    Counts are added up first. The perplexity of a batch is a different and smaller number (a batch of
    10 codes has at most 10), and so is the mean over batches.

    >>> codes = torch.arange(64)
    >>> round(usage(codes, 64).perplexity, 6), round(usage(codes.split(8), 64).perplexity, 6)
    (64.0, 64.0)
    >>> usage(codes[:8], 64).perplexity < 8.001
    True
    """
    batches = [codes] if isinstance(codes, Tensor) else list(codes)
    counts = torch.zeros(k, dtype=torch.long)
    for batch in batches:
        if batch.is_floating_point() or (batch.numel() and not 0 <= batch.min() <= batch.max() < k):
            raise ValueError(f"codes are whole numbers from 0 to {k - 1}")
        counts += torch.bincount(batch.flatten().cpu(), minlength=k)
    if counts.sum() == 0:
        raise ValueError("there are no codes to count")
    p = counts.double() / counts.sum()
    return Usage(math.exp(torch.special.entr(p).sum()), int((counts > 0).sum()), counts)


class Quantized(NamedTuple):
    """What `VectorQuantizer` returns.

    `z` has the values of the codes and the straight-through gradient, `codes` are the indices,
    `codebook_loss` and `commitment_loss` are scalars.
    """

    z: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class VectorQuantizer(nn.Module):
    """Each vector -> the nearest of K codes e_j, and how these codes learn.

        k(z) = argmin_j |z - e_j|²
        codebook loss    mean |sg[z] - e_k|²    moves codes to the vectors
        commitment loss  mean |z - sg[e_k]|²    moves vectors to their codes   (sg: no gradient)

    Squares are summed over D and averaged over vectors. With `ema`, codes are no parameters: the
    codebook loss is not to be minimised but is still reported, and each training step does

        N_j ← γ N_j + (1 - γ) n_j,   m_j ← γ m_j + (1 - γ) Σ_{z of j} z,   e_j = m_j / Ñ_j
        Ñ_j = N (N_j + ε) / (N + K ε),   N = Σ_j N_j        (Laplace smoothing: no division by 0)

    A code that no vector chooses gets no gradient and no average: it is dead. (Smoothing does not keep it
    in place: as N_j falls to ε and below, e_j = m_j / Ñ_j shrinks to the origin, wherever the data are.)
    With `restart`, a code whose N_j has fallen below `dead` · N / K moves to a random vector of the batch.

    Args:
        codebook_size: K. embedding_dim: D.
        ema: codes by moving averages; otherwise they are parameters for the optimiser.
        restart: move dead codes.
        decay: γ. smoothing: ε, in vectors. dead: the part of an equal share below which a code is dead.
        seed: of k-means and of restarts. A restart depends on it and on the number of updates only.

    `initialise(z)` puts the codes at the centres of `mixture.kmeans`; in training mode, a quantiser that
    has not been initialised does so with its first batch that has at least K different vectors.

    References: van den Oord, Vinyals and Kavukcuoglu, 2017 (arXiv:1711.00937), with its appendix A.1 for moving
    averages; Razavi, van den Oord and Vinyals, Generating Diverse High-Fidelity Images with VQ-VAE-2, 2019
    (arXiv:1906.00446).

    >>> quantizer = VectorQuantizer(4, 2).eval()
    >>> out = quantizer(torch.zeros(3, 2, 5))  # (B, D, N)
    >>> out.z.shape, out.codes.shape
    (torch.Size([3, 2, 5]), torch.Size([3, 5]))
    """

    def __init__(
        self,
        codebook_size: int,
        embedding_dim: int,
        ema: bool = True,
        restart: bool = True,
        decay: float = 0.99,
        smoothing: float = 1e-3,
        dead: float = 0.02,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if codebook_size < 2 or embedding_dim < 1:
            raise ValueError(f"{codebook_size=} is below 2 or {embedding_dim=} below 1")
        if not (0 <= decay < 1 and smoothing > 0 and 0 <= dead < 1):
            raise ValueError(f"decay, dead in [0, 1), smoothing > 0, not {decay, dead, smoothing}")
        self.codebook_size, self.embedding_dim = codebook_size, embedding_dim
        self.ema, self.restart = ema, restart
        self.decay, self.smoothing, self.dead, self.seed = decay, smoothing, dead, seed
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(codebook_size, embedding_dim, generator=generator)
        if ema:
            self.register_buffer("codebook", start)  # e (K, D)
        else:
            self.codebook = nn.Parameter(start)
        self.register_buffer("counts", torch.ones(codebook_size))  # N (K,)
        self.register_buffer("sums", start.clone())  # m (K, D)
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))

    def extra_repr(self) -> str:
        sizes = f"{self.codebook_size}, {self.embedding_dim}"
        return f"{sizes}, ema={self.ema}, restart={self.restart}, decay={self.decay:g}"

    def _vectors(self, z: Tensor) -> Tensor:
        """z (B, D, …) -> (N, D), checked."""
        if not isinstance(z, Tensor):
            raise TypeError(f"z is a tensor, not {type(z).__name__}")
        if z.ndim < 2 or z.shape[1] != self.embedding_dim or z.numel() == 0:
            raise ValueError(f"z has shape (B, {self.embedding_dim}, …), not {tuple(z.shape)}")
        if not z.is_floating_point():
            raise TypeError(f"z is {z.dtype}: vectors are floats. For indices, use `embed`")
        flat = z.movedim(1, -1).reshape(-1, self.embedding_dim).to(self.codebook.dtype)
        if not torch.isfinite(flat).all():
            raise ValueError("z has NaN or infinite values: the encoder has diverged")
        return flat

    @torch.no_grad()
    def initialise(self, z: Tensor) -> Self:
        """Put the codes at the centres of `mixture.kmeans` of z (B, D, …); returns the quantiser.

        With fewer than K different vectors the codes stay where they are. Several processes share all their z.
        """
        vectors = self._vectors(all_items(z)[0])
        if len(vectors.unique(dim=0)) < self.codebook_size:
            return self
        points = vectors.double().cpu().numpy()
        centres, _ = kmeans(points, self.codebook_size, self.seed, rounds=20)
        centres = torch.from_numpy(centres).to(vectors)
        counts, _ = _gather(vectors, _nearest(vectors, centres), self.codebook_size)
        self.codebook.copy_(centres)
        self.counts.copy_(counts.clamp(min=0.5))
        self.sums.copy_(self.counts[:, None] * centres)
        self.initialised.fill_(True)
        return self

    def forward(self, z: Tensor) -> Quantized:
        """z (B, D, …) -> `Quantized`: z (B, D, …), codes (B, …), two losses."""
        vectors = self._vectors(z)  # (N, D)
        if self.training and not self.initialised:
            self.initialise(z.detach())
        codes = _nearest(vectors.detach(), self.codebook.detach())  # (N,)
        e = self.codebook[codes]  # (N, D)
        codebook_loss = (vectors.detach() - e).square().sum(1).mean()
        commitment_loss = (vectors - e.detach()).square().sum(1).mean()
        quantized = straight_through(vectors, e)
        if self.training:
            self._update(z.detach(), *_gather(vectors.detach(), codes, self.codebook_size))
        shape = (z.shape[0], *z.shape[2:])
        out = quantized.reshape(*shape, self.embedding_dim).movedim(-1, 1)
        return Quantized(out, codes.reshape(shape), codebook_loss, commitment_loss)

    @torch.no_grad()
    def _update(self, z: Tensor, counts: Tensor, sums: Tensor) -> None:
        """The moving averages, and the codebook from them; then restarts."""
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        self.counts.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        self.updates += 1
        if self.ema:
            self.codebook.copy_(self.sums / self.smoothed_counts()[:, None])
        if self.restart:
            self._restart(z)

    def smoothed_counts(self) -> Tensor:
        """Ñ (K,): all counts a little nearer to their mean, with the same sum."""
        total = self.counts.sum()
        more = self.codebook_size * self.smoothing
        return total * (self.counts + self.smoothing) / (total + more)

    def _restart(self, z: Tensor) -> None:
        share = self.counts.sum() / self.codebook_size  # of each code, if all were alike
        dead = self.counts < self.dead * share
        if not dead.any():
            return
        vectors = self._vectors(all_items(z)[0])
        generator = torch.Generator().manual_seed(self.seed + int(self.updates))
        pick = torch.randint(len(vectors), (self.codebook_size,), generator=generator)
        new = vectors[pick.to(vectors.device)]  # (K, D)
        self.codebook.copy_(torch.where(dead[:, None], new, self.codebook))
        self.counts.copy_(torch.where(dead, share, self.counts))
        self.sums.copy_(torch.where(dead[:, None], share * new, self.sums))

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """z (B, D, …) -> codes (B, …); nothing learns, in either mode."""
        return _nearest(self._vectors(z), self.codebook).reshape(z.shape[0], *z.shape[2:])

    def embed(self, codes: Tensor) -> Tensor:
        """Indices (B, …) -> their vectors (B, D, …)."""
        if codes.is_floating_point() or codes.ndim < 1:
            raise TypeError(f"codes are whole numbers of shape (B, …), not {codes.dtype}")
        if codes.numel() and not 0 <= codes.min() <= codes.max() < self.codebook_size:
            raise ValueError(f"codes lie in 0 … {self.codebook_size - 1}")
        return self.codebook[codes].movedim(-1, 1)


def jitter_shifts(shape: Sequence[int], probability: float, rng: np.random.Generator) -> np.ndarray:
    """Which neighbour each moment takes its code from: -1, 0 or 1, as int64.

    With `probability` it is not its own but one of the two neighbours, either with the same chance.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability lies in [0, 1], not {probability}")
    u = rng.random(shape)
    return (u < probability).astype(np.int64) * np.where(u < probability / 2, -1, 1)


def jitter(z: Tensor, shifts: Tensor) -> Tensor:
    """Time jitter: out[:, :, n] = z[:, :, n + shifts[:, n]], held at the ends; (B, D, N), (B, N).

    In training, some moments get the code of a neighbour. No moment can rely on a code of its own, so what
    lasts (a phone) is coded rather than what changes from frame to frame.

    References: Chorowski et al., Unsupervised Speech Representation Learning Using WaveNet Autoencoders,
    2019 (arXiv:1901.08810).

    >>> jitter(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[-1, 1, 0]]))
    tensor([[[1., 3., 3.]]])
    """
    if shifts.is_floating_point():
        raise TypeError(f"shifts are whole numbers, not {shifts.dtype}")
    if z.ndim != 3 or shifts.shape != (z.shape[0], z.shape[2]):
        raise ValueError(f"z (B, D, N) needs shifts (B, N): {tuple(z.shape), tuple(shifts.shape)}")
    here = torch.arange(z.shape[2], device=z.device)
    source = (here + shifts).clamp(0, z.shape[2] - 1)  # (B, N)
    return z.gather(2, source[:, None].expand_as(z))


# ---------------------------------------------------------------- models
class Reconstruction(NamedTuple):
    """`x`, what the decoder made of the codes, and the `Quantized` in the middle."""

    x: Tensor
    quantized: Quantized


class VQVAE(nn.Module):
    """Encoder, quantiser, decoder.

        codes = quantise(encoder(x)),   x̂ = decoder(codebook[codes])
        loss = reconstruction + β · commitment (+ codebook loss, where codes do not learn by averages)

    Seen as a VAE, q(k | x) is 1 for one code. With a uniform prior over K codes, the KL is log K for each,
    a constant: nothing in the loss can make the posterior collapse onto the prior.

    Args: encoder: x -> (B, D, …). quantizer. decoder: (B, D, …) and whatever else it needs -> x̂.

    `VQVAE.for_images` builds one for small pictures; `conversion.SpeechVQVAE` is one for waveforms.

    References: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017
    (arXiv:1711.00937).

    >>> model = VQVAE.for_images(codebook_size=8, embedding_dim=4).eval()
    >>> codes = model.encode(torch.zeros(2, 1, 8, 8))
    >>> codes.shape, model.decode(codes).shape
    (torch.Size([2, 4, 4]), torch.Size([2, 1, 8, 8]))
    """

    @weights.takes_networks
    def __init__(
        self, encoder: nn.Module, quantizer: VectorQuantizer, decoder: nn.Module | None
    ) -> None:
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder

    @classmethod
    def for_images(
        cls,
        codebook_size: int = 64,
        embedding_dim: int = 8,
        hidden: int = 32,
        channels: int = 1,
        halvings: int = 1,
        **options,
    ) -> Self:
        """Of pictures (B, channels, H, W) on a grid of H / 2^halvings × W / 2^halvings codes.

        `options` go to `VectorQuantizer`. H and W are divisible by 2^halvings.
        """
        if min(channels, hidden, halvings) < 1:
            raise ValueError(f"need channels, hidden, halvings >= 1: {channels, hidden, halvings}")
        down: list[nn.Module] = [nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU()]
        up: list[nn.Module] = [nn.Conv2d(embedding_dim, hidden, 3, padding=1), nn.ReLU()]
        for _ in range(halvings):
            down += [nn.Conv2d(hidden, hidden, 4, stride=2, padding=1), nn.ReLU()]
            up += [nn.ConvTranspose2d(hidden, hidden, 4, stride=2, padding=1), nn.ReLU()]
        down += [nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU()]
        encoder = nn.Sequential(*down, nn.Conv2d(hidden, embedding_dim, 1))
        decoder = nn.Sequential(*up, nn.Conv2d(hidden, channels, 3, padding=1))
        return cls(encoder, VectorQuantizer(codebook_size, embedding_dim, **options), decoder)

    def quantize(self, x: Tensor) -> Quantized:
        """x -> codes, their vectors, two losses."""
        return self.quantizer(self.encoder(x))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """x -> codes (B, …) of whole numbers; nothing learns, in either mode."""
        return self.quantizer.nearest(self.encoder(x))

    @torch.no_grad()
    def decode(self, codes: Tensor, *given: Tensor) -> Tensor:
        """Codes (B, …), and what else the decoder needs -> x̂."""
        return self.decoder(self.quantizer.embed(codes), *given)

    def forward(self, x: Tensor, *given: Tensor) -> Reconstruction:
        """x -> its reconstruction, with a gradient to the encoder, and the losses of the codes."""
        quantized = self.quantize(x)
        return Reconstruction(self.decoder(quantized.z, *given), quantized)


def load() -> tuple[VQVAE, dict]:
    """A VQ-VAE of scikit-learn's digits, trained, and its card (data, command, results).

    `python training/vq_digits.py` made both. Pictures are (B, 1, 8, 8), scaled to 0 … 1.

    >>> model, card = load()
    >>> model.quantizer.codebook_size, card["test, median"]["mse"] <= 0.018
    (64, True)
    """
    tensors, notes = weights.load("vq_digits")
    model = weights.frozen(VQVAE.for_images(**notes["model"]), tensors)
    return model, weights.card("vq_digits")
