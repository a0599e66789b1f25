"""Chapter 10: a variational autoencoder whose posterior is bent by flows that see x."""

from collections.abc import Sequence

from torch import Tensor, nn

from .distributions import Random
from .flows import Compose, Inverse, MaskedAffineAutoregressive, Planar, Transform
from .vae import VAE, init_linear_layers


class FlowVAE(VAE):
    """A VAE whose posterior is a diagonal Gaussian bent by flows that see x.

        z_0 ~ N(µ(x), diag σ(x)²),   z_k = f_k(z_{k-1}; h(x)),   z = z_K
        log q(z | x) = log N(z_0; µ, σ²) - Σ_k log|det ∂f_k/∂z_{k-1}|

    Only the direction noise -> z is needed to learn, so planar maps and inverse autoregressive flows, fast
    in this direction, both serve. The KL has no formula: it is the mean of log q - log p.

    Args:
        flow: "planar" or "iaf". flows: K, how many. context_dim: C, numbers of h(x), which the encoder gives.
        flow_hidden: widths of each autoregressive network. The rest: see `VAE`.

    References: Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015 (arXiv:1505.05770);
    Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016 (arXiv:1606.04934).

    >>> import torch
    >>> vae = FlowVAE(4, latent_dim=3, flow="iaf", flows=2, hidden=(8,))
    >>> z, log_q = vae.posterior_sample(torch.zeros(5, 4), samples=2)
    >>> z.shape, log_q.shape
    (torch.Size([2, 5, 3]), torch.Size([2, 5]))
    """

    diagonal = False

    def __init__(
        self,
        input_dim: int,
        latent_dim: int,
        flow: str = "iaf",
        flows: int = 4,
        context_dim: int = 32,
        flow_hidden: Sequence[int] = (64,),
        hidden: Sequence[int] = (200, 200),
        generator: Random = None,
        **options,
    ) -> None:
        super().__init__(input_dim, latent_dim, hidden, generator=generator, **options)
        if flow not in ("planar", "iaf"):
            raise ValueError(f'flow is "planar" or "iaf", not {flow!r}')
        if flows < 1 or context_dim < 1:
            raise ValueError(f"need flows and context_dim >= 1, not {flows} and {context_dim}")
        widths = [layer.in_features for layer in self.encoder if isinstance(layer, nn.Linear)]
        self.context = nn.Linear(widths[-1], context_dim)  # h(x), of the last hidden layer
        maps: list[Transform] = []
        for k in range(flows):
            if flow == "planar":
                bend = Planar(latent_dim, context_dim=context_dim)
            else:
                order = range(latent_dim) if k % 2 == 0 else range(latent_dim - 1, -1, -1)
                sizes = (latent_dim, flow_hidden, context_dim)
                bend = MaskedAffineAutoregressive(*sizes, order, bound=2.0)
            maps.append(Inverse(bend))  # forwards is z -> noise, inverse is noise -> z: one pass
        self.flow = Compose(maps[::-1])  # as z_0 is sent through maps[0] first
        for module in (self.context, self.flow):
            init_linear_layers(module, generator)

    def _context(self, x: Tensor) -> Tensor:
        return self.context(self.encoder[:-1](self.code(x)))

    def _draw(
        self, x: Tensor, mean: Tensor, log_scale: Tensor, samples: int, generator: Random
    ) -> tuple[Tensor, Tensor]:
        z_0, log_q = super()._draw(x, mean, log_scale, samples, generator)
        context = self._context(x)
        z, log_det = self.flow.inverse(z_0, context.expand(samples, *context.shape))
        return z, log_q - log_det

    def log_posterior(self, z: Tensor, x: Tensor) -> Tensor:
        """log q(z | x) of any z (..., B, L): the slow direction of the flows."""
        context = self._context(self.checked(x))
        z_0, log_det = self.flow(z, context.expand(*z.shape[:-1], context.shape[-1]))
        return super().log_posterior(z_0, x) + log_det

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.flow}"
