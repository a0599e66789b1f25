"""A small model of voice conversion and what it sees, for tests."""

import torch

from minigen.distributions import GaussianHead
from minigen.speech import conversion_features as features
from minigen.speech import corpus
from minigen.speech.conversion_model import SpeechVQVAE
from minigen.wavenet import WaveNet

LEARN, KEPT = corpus.held_out()
SPEAKERS = ("slt", "rms", "awb")


def small(seed: int = 0) -> SpeechVQVAE:
    """An untrained model whose layers all do something, with a WaveNet that looks back 7 samples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = WaveNet(GaussianHead(-5.0), 4, 4, layers=2, cycles=2, cond_channels=9)
        torch.nn.init.normal_(net.output_projection.weight, std=0.1)
        model = SpeechVQVAE(SPEAKERS, net, codebook_size=8, embedding_dim=4, encoder=6, hidden=6)
    model.log_f0.copy_(torch.tensor([[5.0, 0.1], [4.4, 0.1], [4.7, 0.2]]))
    return model


def some(count: int = 6) -> tuple[list[features.Features], list[int]]:
    """Features of a few clips of every speaker, and their speakers."""
    clips = [c for who in SPEAKERS for c in [c for c in LEARN if c.speaker == who][:count]]
    return [features.extract(c.audio, c.f0) for c in clips], [
        SPEAKERS.index(c.speaker) for c in clips
    ]
