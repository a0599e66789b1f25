"""Chapter 7: what a network's output means, densities of one sample given the network's parameters.

Every head has `n_params`, the number of network outputs for one sample, and

    log_prob(params (B, P, T), x (B, 1, T)) -> (B, T) nats
    sample(params (B, P, T), generator, temperature) -> (B, 1, T)

`Categorical` and `DiscretizedLogisticMixture` are probabilities of levels, `GaussianHead` is a density.
`log_density` puts the three on one scale: nats for a unit of amplitude.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
LOGISTIC_STD = math.pi / math.sqrt(3)  # standard deviation of the logistic density of scale 1
SMALLEST_U = 2.0**-25  # uniform noise is kept from 0 and 1, where the logistic quantile is infinite
Random = torch.Generator | None  # the source of noise; None is torch's own


class Head:
    """What the three densities share.

    A sample is made in two steps, so that every way of generating can use the same noise: `noise`
    draws what does not depend on the parameters, `draw` turns it into a sample.
    """

    n_params: int
    means = 0  # how many parameters, the first, are means, which a linear prediction is added to
    uniforms = 1  # numbers that `draw` needs for a sample

    def compand(self, x: Tensor) -> Tensor:
        """What the network reads of past samples x: the samples themselves, unless said otherwise."""
        return x

    def sample(self, params: Tensor, generator: Random = None, temperature: float = 1.0) -> Tensor:
        """Draw x[t] from the density of params[t]: (B, P, T) -> (B, 1, T)."""
        return self.draw(params, self.noise(params, generator), temperature)

    def noise(self, params: Tensor, generator: Random = None) -> Tensor:
        """The noise for `draw`, of these parameters' type and device: u ~ U(0, 1), (B, Q, T)."""
        shape = (params.shape[0], self.uniforms, params.shape[2])
        return torch.rand(shape, generator=generator, device=params.device, dtype=params.dtype)

    def draw(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Noise -> x (B, 1, T), without further chance."""
        raise NotImplementedError

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """Log of the probability or density of x[t] given params[t], (B, T) nats."""
        raise NotImplementedError

    def log_density(self, params: Tensor, x: Tensor) -> Tensor:
        """Like `log_prob`, always for a unit of amplitude: probability over width of the level."""
        return self.log_prob(params, x)

    def moments(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log of the standard deviation, each (B, 1, T), in units of amplitude."""
        raise NotImplementedError

    def start(self, x: Tensor, error: Tensor) -> Tensor:
        """The constant parameters (P,) that suit samples x and their prediction errors."""
        raise NotImplementedError

    def initial(self) -> Tensor:
        """The constant parameters (P,) of an untrained network."""
        return torch.zeros(self.n_params)

    def _check(self, params: Tensor, x: Tensor | None = None) -> None:
        if params.ndim != 3 or params.shape[1] != self.n_params:
            raise ValueError(
                f"{type(self).__name__} takes params (B, {self.n_params}, T), not {tuple(params.shape)}"
            )
        if x is not None and x.shape != (params.shape[0], 1, params.shape[2]):
            raise ValueError(
                f"x has shape {tuple(x.shape)}, not (B, 1, T) as params {tuple(params.shape)} have it"
            )

    @staticmethod
    def _warm(temperature: float) -> None:
        if not temperature >= 0:
            raise ValueError(f"temperature is 0 or positive, not {temperature}")


@dataclass(frozen=True)
class GaussianHead(Head):
    """A Gaussian with a floor under its log-scale.

        log p(x) = -½ ((x - mean) / scale)² - log scale - ½ log 2π,   log scale = max(s, floor)

    Without the floor a silent passage has scale -> 0 and likelihood -> ∞, and the gradient of those
    samples drowns every other. Below the floor the gradient with respect to s is zero.

    Args: min_log_scale: the smallest log-scale, in nats. -7 is a standard deviation of 0.0009.

    References: Ping, Peng and Chen, ClariNet: Parallel Wave Generation in End-to-End Text-to-Speech, 2018
    (arXiv:1807.07281).

    >>> head = GaussianHead(min_log_scale=-7.0)
    >>> params = torch.tensor([[[0.5], [0.0]]])  # mean ½, scale 1: (B=1, P=2, T=1)
    >>> round(head.log_prob(params, torch.tensor([[[0.5]]])).item(), 4)  # -½ log 2π
    -0.9189
    """

    min_log_scale: float = -7.0
    n_params = 2
    means = 1

    def split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """params (B, 2, T) -> mean (B, 1, T), log_scale (B, 1, T) at or above the floor."""
        self._check(params)
        mean, log_scale = params.chunk(2, dim=1)
        return mean, log_scale.clamp(min=self.min_log_scale)

    def moments(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-scale: those of `split`."""
        return self.split(params)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """log p(x[t] | params[t]) in nats, (B, T)."""
        self._check(params, x)
        mean, log_scale = self.split(params)
        z = (x - mean) * torch.exp(-log_scale)
        return (-0.5 * z**2 - log_scale - HALF_LOG_2PI).squeeze(1)

    def noise(self, params: Tensor, generator: Random = None) -> Tensor:
        """ε ~ N(0, 1), (B, 1, T)."""
        shape = (params.shape[0], 1, params.shape[2])
        return torch.randn(shape, generator=generator, device=params.device, dtype=params.dtype)

    def draw(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """mean + temperature · scale · ε, (B, 1, T). Differentiable in params."""
        self._warm(temperature)
        mean, log_scale = self.split(params)
        return mean + temperature * torch.exp(log_scale) * noise

    def start(self, x: Tensor, error: Tensor) -> Tensor:
        """Mean 0 and the scale of the errors, (2,)."""
        return torch.stack([error.new_zeros(()), 0.5 * error.pow(2).mean().log()])


@dataclass(frozen=True)
class Categorical(Head):
    """One probability for each of a few levels, spaced by µ-law.

        P(code = i) = softmax(params)_i,   code = round((y + 1) µ / 2),   µ = levels - 1
        y = sign(x) log(1 + µ|x|) / log(1 + µ)

    No shape is assumed: two humps, a hard edge or a tail cost nothing extra. The network reads y.

    Args:
        levels: 256 is 8 bits.
        mu_law: False spaces the levels evenly, y = x: 8 bits of that hiss in every quiet passage.

    References: van den Oord et al., WaveNet, 2016 (arXiv:1609.03499), section 2.2; ITU-T G.711, 1988.

    >>> head = Categorical(256)
    >>> x = torch.tensor([[[-1.0, 0.0, 0.01, 1.0]]])
    >>> head.encode(x).tolist()
    [[[0, 128, 157, 255]]]
    >>> head.log_prob(torch.zeros(1, 256, 4), x)[0, 0].exp().item()  # all alike: 1 / 256
    0.00390625
    """

    levels: int = 256
    mu_law: bool = True

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"Categorical needs at least 2 levels, not {self.levels}")

    @property
    def n_params(self) -> int:
        """One logit a level."""
        return self.levels

    def compand(self, x: Tensor) -> Tensor:
        """y: amplitudes on the µ-law scale, from -1 to 1."""
        x = x.clamp(-1, 1)
        if not self.mu_law:
            return x
        mu = self.levels - 1
        return x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)

    def _expand(self, y: Tensor) -> Tensor:
        mu = self.levels - 1
        return y.sign() * torch.expm1(y.abs() * math.log1p(mu)) / mu if self.mu_law else y

    def encode(self, x: Tensor) -> Tensor:
        """Amplitudes -> codes 0 … levels - 1, of x's shape. What lies outside [-1, 1] is clipped."""
        if not torch.isfinite(x).all():
            raise ValueError("x has NaN or infinite samples")
        return torch.floor((self.compand(x) + 1) * ((self.levels - 1) / 2) + 0.5).long()

    def decode(self, codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Codes -> the amplitudes they stand for."""
        return self._expand(codes.to(dtype) * (2 / (self.levels - 1)) - 1)

    def log_width(self, codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Log of the length of the interval of amplitudes that a code stands for."""
        edges = 2 * (torch.arange(self.levels + 1, dtype=torch.float64) - 0.5) / (self.levels - 1)
        widths = self._expand((edges - 1).clamp(-1, 1)).diff()  # first and last: half as wide
        return widths.log().to(codes.device, dtype)[codes]

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """log P(code of x[t] | params[t]) in nats, (B, T)."""
        self._check(params, x)
        return F.log_softmax(params, dim=1).gather(1, self.encode(x)).squeeze(1)

    def log_density(self, params: Tensor, x: Tensor) -> Tensor:
        """log_prob minus the log-width of the level: even within a level, (B, T)."""
        width = self.log_width(self.encode(x), params.dtype).squeeze(1)
        return self.log_prob(params, x) - width

    def moments(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Of the levels: Σ_i P(i) x_i and ½ log Σ_i P(i) (x_i - mean)²."""
        self._check(params)
        levels = self.decode(torch.arange(self.levels, device=params.device), params.dtype)
        p, levels = F.softmax(params, dim=1), levels[:, None]  # (B, levels, T), (levels, 1)
        mean = (p * levels).sum(1, keepdim=True)
        variance = (p * (levels - mean).square()).sum(1, keepdim=True)
        return mean, 0.5 * variance.clamp(min=torch.finfo(p.dtype).tiny).log()

    def draw(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """The first level whose cumulated probability exceeds u, as an amplitude, (B, 1, T).

        Logits are divided by the temperature; at 0 the most probable level is taken.
        """
        self._check(params)
        codes = _choose(params, noise, temperature)
        return self.decode(codes, params.dtype)

    def start(self, x: Tensor, error: Tensor) -> Tensor:
        """The logarithm of how often each level occurs, with half a count for each, (levels,)."""
        counts = torch.bincount(self.encode(x).flatten(), minlength=self.levels) + 0.5
        return (counts / counts.sum()).log()


def _choose(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """Index along dim 1 with probability softmax(logits / temperature): (B, P, T) -> (B, 1, T)."""
    Head._warm(temperature)
    if temperature == 0:
        return logits.argmax(1, keepdim=True)
    cumulated = F.softmax(logits / temperature, dim=1).cumsum(1)
    u = u * cumulated[:, -1:]  # in float32 the last sum is not exactly 1
    return (u >= cumulated).sum(1, keepdim=True).clamp(max=logits.shape[1] - 1)


@dataclass(frozen=True)
class DiscretizedLogisticMixture(Head):
    """A mixture of logistic densities, added up over each of many evenly spaced levels.

        P(x) = Σ_j w_j [F((x + δ/2 - m_j) / s_j) - F((x - δ/2 - m_j) / s_j)],   F(a) = 1 / (1 + e^-a)

    with levels x = -1, -1 + δ, …, 1 and δ = 2 / (levels - 1). The lowest level takes all that lies below
    it, F alone, the highest all that lies above, so that the levels sum to one for every mean and
    scale. With a and b = a - d the two arguments, nothing is ever subtracted that is nearly equal:

        F(a) - F(b) = F(a) F(-b) (1 - e^-d),   d = δ / s_j

    Parameters, in this order: k means, k log-scales, k logits of the weights. Between levels x counts
    as the middle of a level of its own, so that log_prob has a gradient with respect to x, too.

    Args: k: components. levels: 65,536 is 16 bits. min_log_scale: the smallest log-scale, in nats.

    References: Salimans et al., PixelCNN++, 2017 (arXiv:1701.05517), section 2.1; van den Oord et al., Parallel
    WaveNet, 2017 (arXiv:1711.10433), section 2.1.

    >>> head = DiscretizedLogisticMixture(k=2, levels=256)
    >>> params = torch.tensor([0.9, -0.2, -7.0, -1.0, 0.0, 1.0]).double().expand(1, 256, 6).mT
    >>> x = torch.linspace(-1, 1, 256, dtype=torch.float64).reshape(1, 1, 256)
    >>> round(head.log_prob(params, x).exp().sum().item(), 12)
    1.0
    """

    k: int = 10
    levels: int = 65_536
    min_log_scale: float = -7.0
    uniforms = 2  # one to choose the component, one to draw from it

    def __post_init__(self) -> None:
        if self.k < 1 or self.levels < 2:
            raise ValueError(f"a mixture needs k >= 1, levels >= 2, not {self.k}, {self.levels}")

    @property
    def n_params(self) -> int:
        """Mean, log-scale and logit of each component."""
        return 3 * self.k

    @property
    def means(self) -> int:
        """The first k parameters are means."""
        return self.k

    @property
    def step(self) -> float:
        """δ, from one level to the next."""
        return 2 / (self.levels - 1)

    def split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """params (B, 3k, T) -> means, log-scales at or above the floor, logits, (B, k, T) each."""
        self._check(params)
        means, log_scales, logits = params.chunk(3, dim=1)
        return means, log_scales.clamp(min=self.min_log_scale), logits

    def moments(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Of the mixture before it is cut into levels.

        mean = Σ_j w_j m_j,   variance = Σ_j w_j (s_j² π²/3 + (m_j - mean)²)
        """
        means, log_scales, logits = self.split(params)
        weights = torch.softmax(logits, dim=1)
        mean = (weights * means).sum(1, keepdim=True)
        variance = torch.exp(2 * log_scales) * LOGISTIC_STD**2 + (means - mean).square()
        return mean, 0.5 * (weights * variance).sum(1, keepdim=True).log()

    def smooth_log_density(self, params: Tensor, x: Tensor) -> Tensor:
        """log of the mixture's density at any real x before it is cut into levels, (..., B, T).

            p(x) = Σ_j w_j f((x - m_j) / s_j) / s_j,   f(a) = F(a) F(-a)

        Unlike P(x)/δ it integrates to one over all x, also beyond ±1, and has a gradient there that
        points back. Where |x| < 1 the two differ by δ²/24 · p''/p, at most (δ/s)²/24 to first order: 5e-5 for
        16 bits and a log-scale of -7. x may have leading dimensions: (..., B, 1, T).
        """
        means, log_scales, logits = self.split(params)
        a = (x - means) * torch.exp(-log_scales)  # (..., B, k, T)
        log_p = F.logsigmoid(a) + F.logsigmoid(-a) - log_scales
        return torch.logsumexp(F.log_softmax(logits, dim=1) + log_p, dim=-2)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """log P(x[t] | params[t]) in nats, (B, T)."""
        self._check(params, x)
        means, log_scales, logits = self.split(params)
        per_scale = torch.exp(-log_scales)  # 1 / s
        a = (x - means + self.step / 2) * per_scale  # (B, k, T)
        b = (x - means - self.step / 2) * per_scale
        d = self.step * per_scale
        # log(1 - e^-d), and for small d its series log d - d/2 + d²/24, whose gradient is finite at 0
        small = d.clamp(max=1e-3)
        inside = torch.where(
            d > 1e-3,
            torch.log(-torch.expm1(-d.clamp(min=1e-3))),
            math.log(self.step) - log_scales - small / 2 + small**2 / 24,
        )
        below, above = F.logsigmoid(a), F.logsigmoid(-b)
        lowest, highest = x < -1 + self.step / 2, x > 1 - self.step / 2
        log_p = below.masked_fill(highest, 0) + above.masked_fill(lowest, 0)
        log_p = log_p + inside.masked_fill(lowest | highest, 0)
        return torch.logsumexp(F.log_softmax(logits, dim=1) + log_p, dim=1)

    def log_density(self, params: Tensor, x: Tensor) -> Tensor:
        """log_prob - log δ, (B, T)."""
        return self.log_prob(params, x) - math.log(self.step)

    def draw(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """m + temperature · s · log(u / (1 - u)) of the chosen component, at the nearest level.

        Logits are divided by the temperature; at 0 it is the mean of the heaviest component.
        """
        means, log_scales, logits = self.split(params)
        chosen = _choose(logits, noise[:, :1], temperature)  # (B, 1, T)
        mean, log_scale = means.gather(1, chosen), log_scales.gather(1, chosen)
        u = noise[:, 1:].clamp(SMALLEST_U, 1 - SMALLEST_U)
        x = mean + temperature * torch.exp(log_scale) * (torch.log(u) - torch.log1p(-u))
        return torch.floor((x.clamp(-1, 1) + 1) / self.step + 0.5) * self.step - 1

    def initial(self) -> Tensor:
        """Means 0 and scales around 1, spread: equal components would stay equal for ever."""
        return self._spread(torch.zeros(()))

    def start(self, x: Tensor, error: Tensor) -> Tensor:
        """Means 0 and scales around that of the errors, (3k,)."""
        return self._spread(0.5 * error.pow(2).mean().log())

    def _spread(self, log_std: Tensor) -> Tensor:
        offsets = torch.linspace(-1, 1, self.k) if self.k > 1 else torch.zeros(1)
        log_scales = log_std.cpu() - math.log(LOGISTIC_STD) + offsets.to(log_std.dtype)
        zeros = torch.zeros_like(log_scales)
        return torch.cat([zeros, log_scales, zeros])


# ---------------------------------------------------------------- vectors: pictures, frames
class VectorLikelihood:
    """The density of each coordinate of a vector, given P numbers that a network puts out for it.

    - "bernoulli": x is 0 or 1; P = 1, the logit of a 1.
    - "categorical": x is 0 … levels - 1; P = levels, logits.
    - "gaussian": x is real; P = 2, mean and log-scale, which is held at `min_log_scale` or above.

    Args: kind: see above. dim: D. levels: of "categorical". min_log_scale: of "gaussian".

    >>> bits = VectorLikelihood("bernoulli", dim=2)
    >>> bits.log_prob(torch.zeros(1, 2, 1), torch.tensor([[0, 1]])).exp()
    tensor([[0.5000, 0.5000]])
    """

    def __init__(self, kind: str, dim: int, levels: int = 2, min_log_scale: float = -7.0) -> None:
        sizes = {"bernoulli": (1, 1), "categorical": (levels, levels), "gaussian": (1, 2)}
        if kind not in sizes:
            raise ValueError(f"no likelihood {kind!r}: choose one of {', '.join(sizes)}")
        if kind == "categorical" and levels < 2:
            raise ValueError(f"a categorical likelihood needs levels >= 2, not {levels}")
        self.kind, self.dim, self.levels, self.min_log_scale = kind, dim, levels, min_log_scale
        self.n_inputs, self.n_params = sizes[kind]

    def __repr__(self) -> str:
        levels = f", levels={self.levels}" if self.kind == "categorical" else ""
        return f"{self.kind}{levels}"

    def checked(self, x: Tensor) -> Tensor:
        """x (B, D), or an error that says what is wrong with it."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a tensor, not {type(x).__name__}")
        if x.ndim != 2 or x.shape[1] != self.dim or x.shape[0] == 0:
            raise ValueError(f"x has shape (B, {self.dim}) with B > 0, not {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise ValueError("x has NaN or infinite values: remove those rows first")
        if self.kind == "gaussian":
            if not x.is_floating_point():
                raise TypeError(f"x is {x.dtype}: a Gaussian needs floating-point values")
            return x
        top = self.levels if self.kind == "categorical" else 2
        numbers = x.long() if x.dtype == torch.bool else x
        if not ((numbers == numbers.round()) & (numbers >= 0) & (numbers < top)).all():
            raise ValueError(f"x has other values than 0 … {top - 1}: round or threshold it first")
        return x

    def code(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """What a network is fed: ±1 for a bit, so that 0 differs from unseen; a one-hot; x itself."""
        if self.kind == "bernoulli":
            return 2 * x.to(dtype) - 1
        if self.kind == "categorical":
            return F.one_hot(x.long(), self.levels).to(dtype).flatten(-2)
        return x.to(dtype)

    def _normal(self, params: Tensor, log_scale: Tensor | None) -> tuple[Tensor, Tensor]:
        log_scale = params[..., 1] if log_scale is None else log_scale
        return params[..., 0], log_scale.clamp(min=self.min_log_scale)

    def log_prob(self, params: Tensor, x: Tensor, log_scale: Tensor | None = None) -> Tensor:
        """Of every coordinate, in nats: params (..., D, P), x (B, D) -> (..., D).

        Where log-scales (D,) are given, those of a Gaussian are not in `params`.
        """
        if self.kind == "bernoulli":
            logit = params[..., 0]
            return F.logsigmoid(torch.where(x > 0.5, logit, -logit))
        if self.kind == "categorical":
            index = x.long().expand(params.shape[:-1]).unsqueeze(-1)
            return params.log_softmax(-1).gather(-1, index).squeeze(-1)
        mean, log_scale = self._normal(params, log_scale)
        return -0.5 * ((x - mean) * torch.exp(-log_scale)).square() - log_scale - HALF_LOG_2PI

    def mean(self, params: Tensor) -> Tensor:
        """E[x], (..., P) -> (...)."""
        if self.kind == "bernoulli":
            return params[..., 0].sigmoid()
        if self.kind == "categorical":
            values = torch.arange(self.levels, dtype=params.dtype, device=params.device)
            return (params.softmax(-1) * values).sum(-1)
        return params[..., 0]

    def sample(
        self, params: Tensor, generator: Random = None, log_scale: Tensor | None = None
    ) -> Tensor:
        """(..., P) -> (...): whole numbers, or floats of a Gaussian."""
        like = {"generator": generator, "device": params.device}
        if self.kind == "gaussian":
            mean, log_scale = self._normal(params, log_scale)
            return mean + log_scale.exp() * torch.randn(mean.shape, dtype=mean.dtype, **like)
        u = torch.rand(params.shape[:-1], dtype=torch.float64, **like)
        if self.kind == "bernoulli":
            return (u < params[..., 0].double().sigmoid()).long()
        cdf = params.double().softmax(-1).cumsum(-1)
        return (cdf <= (u * cdf[..., -1])[..., None]).sum(-1).clamp(max=self.levels - 1)
