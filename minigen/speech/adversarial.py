"""An adversarial loss for pictures of sound: one network learns to tell predicted mel bands from recorded ones, the
other to be taken for a recording.

A mean absolute or squared distance to recordings is least for a middle of all that the context allows, which is smoother. A
discriminator asks whether bands could be recorded ones.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import weight_norm

from ..weights import takes_networks


class Discriminator(nn.Module):
    """How much each patch of a picture is like a recorded one: 1 for recorded, 0 for predicted.

    Convolutions, frequency halved by each of the first three: an answer rests on 17 frames and on 61 bands, or all there are.

    Args: channels: of each layer.

    >>> import torch
    >>> Discriminator(channels=4)(torch.zeros(2, 32, 100)).shape  # (B, M, N) -> (B, 1, M / 8, N)
    torch.Size([2, 1, 4, 100])
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        shapes = [(1, 5, 2), (channels, 5, 2), (channels, 5, 2), (channels, 3, 1)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(size, channels, kernel, (stride, 1), kernel // 2))
            for size, kernel, stride in shapes
        )
        self.output_projection = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        h = picture[:, None]
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.2)
        return self.output_projection(h)


@takes_networks
def adversarial_losses(
    discriminator: Discriminator, predicted: Tensor, recorded: Tensor
) -> tuple[Tensor, Tensor]:
    """Least squares: -> the loss of who predicts, and that of the discriminator D.

        L_predict = mean (D(x) - 1)²                       its gradient reaches x alone
        L_D       = mean (D(y) - 1)² + mean D(x)²          its gradient reaches D alone

    x is predicted, y recorded, both (B, M, N). Where D cannot tell them apart it answers ½, and the losses are ¼ and ½.

    References: Goodfellow et al., Generative Adversarial Networks, 2014 (arXiv:1406.2661); Mao et al., Least
    Squares Generative Adversarial Networks, 2017 (arXiv:1611.04076).
    """
    frozen = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    predict = (functional_call(discriminator, frozen, predicted) - 1).square().mean()
    x, y = discriminator(predicted.detach()), discriminator(recorded)
    return predict, (y - 1).square().mean() + x.square().mean()
