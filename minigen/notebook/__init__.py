"""What the pages draw and play with: `plot` and `listen`."""

from . import plot
from .player import Clip, listen
