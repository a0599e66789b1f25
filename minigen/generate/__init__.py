"""Chapter 8: sampling from a WaveNet, one sample after the other: naive and cached, compiled, on a GPU."""

from .cached import (
    BACKENDS,
    CachedWaveNet,
    draw_noise,
    generate,
)

__all__ = ["BACKENDS", "CachedWaveNet", "draw_noise", "generate"]
