"""Training of the acoustic model: where it starts, which frames a step sees, and its loss."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .. import conditioning
from ..data import Utterance
from ..weights import takes_networks
from .acoustic_model import AcousticModel, dissimilarity
from .adversarial import Discriminator, adversarial_losses
from .corpus import Batches, CropSampler

CONTRAST = 0.5  # weight of `dissimilarity` beside the absolute error in nepers
ADVERSARIAL = 0.3  # weight of being told from recordings


@takes_networks
def with_phones(
    source: AcousticModel, phones: Sequence[str], dropout: float = 0.1
) -> AcousticModel:
    """A copy to be trained that knows other phones: what both know it keeps, the rest is drawn at random."""
    model = AcousticModel(**source.sizes | {"phones": phones}, dropout=dropout)
    state = source.state_dict()
    old, new = (m.input_projection.weight.detach().clone() for m in (source, model))
    for block in range(3):  # the phone itself, the one before, the one after
        for row, name in enumerate(model.phones):
            if name in source.phones:
                column = block * len(source.phones) + source.phones.index(name)
                new[:, block * len(model.phones) + row] = old[:, column]
    new[:, 3 * len(model.phones) :] = old[:, 3 * len(source.phones) :]
    model.load_state_dict(state | {"input_projection.weight": new})
    return model.train().requires_grad_(True)


@takes_networks
def bands_and_features(model: AcousticModel, clip: Utterance) -> dict[str, np.ndarray]:
    """Of a clip with phones and F0: what the model is given (F, N), and the bands that it is to predict (M, N)."""
    mel = np.maximum(conditioning.mel_bands(clip.audio, model.rate, model.mels), conditioning.QUIET)
    f0 = conditioning.sharpened(clip.f0, clip.rate, clip.audio)
    return {"features": model.features(clip.phones, f0), "mel": mel.astype(np.float32)}


@takes_networks
def calibrate(model: AcousticModel, clips: Sequence[dict[str, np.ndarray]]) -> None:
    """Set the mean and the deviation of each band's envelope to those of the training data."""
    envelope = np.concatenate([clip["mel"] - clip["features"][-model.mels :] for clip in clips], 1)
    model.mean.copy_(torch.from_numpy(envelope.mean(1, keepdims=True)))
    model.spread.copy_(torch.from_numpy(envelope.std(1, keepdims=True)))


class AcousticCrops(Batches):
    """Which frames each training step sees: every frame as often as another."""

    def __init__(
        self,
        clips: Sequence[dict[str, np.ndarray]],
        batch: int = 20,
        frames: int = 200,
        seed: int = 0,
    ) -> None:
        self.sampler = CropSampler([clips], frames, by_length=True)
        self.batch, self.seed = batch, seed

    def item(self, step: int, index: int) -> dict[str, np.ndarray]:
        """-> features (F, N), mel (M, N)."""
        return self.sampler(np.random.default_rng([self.seed, step, index]))[1]


class AcousticLoss(nn.Module):
    """Objective: the absolute error of the bands in nepers, their `dissimilarity`, and how well they are told from recorded ones."""

    @takes_networks
    def __init__(self, model: AcousticModel) -> None:
        super().__init__()
        self.model, self.discriminator = model, Discriminator()

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        predicted, recorded = self.model(batch["features"]), batch["mel"]
        error = (predicted - recorded).abs().mean()
        contrast = dissimilarity(predicted, recorded)
        normal = ((x - self.model.mean) / self.model.spread for x in (predicted, recorded))
        told, own = adversarial_losses(self.discriminator, *normal)
        metrics = {"error": error, "dissimilarity": contrast, "told": told, "discriminator": own}
        loss = error + CONTRAST * contrast + ADVERSARIAL * told + own
        return loss, {name: value.item() for name, value in metrics.items()}
