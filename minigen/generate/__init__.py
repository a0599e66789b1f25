"""Chapter 8: sampling from a WaveNet, one sample after the other (naive, cached, compiled, on a GPU) or all at once."""

from .cached import BACKENDS, CachedWaveNet, draw_noise, generate
from .parallel import ParallelStream
