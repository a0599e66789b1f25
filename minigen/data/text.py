"""`tinyshakespeare`: a text to learn characters from."""

from __future__ import annotations

from .fetch import locate

__all__ = ["tinyshakespeare"]

_LENGTH = 1_115_394


def tinyshakespeare() -> str:
    """1,115,394 characters of Shakespeare's plays; fetched (1.1 MB) on the first call.

    References:
        A. Karpathy, The unreasonable effectiveness of recurrent neural networks, 2015.

    Raises:
        FileNotFoundError, ConnectionError, ValueError: see `minigen.data.fetch.locate`; and
            ValueError where the text is cut off.
    """
    path = locate("tinyshakespeare") / "input.txt"
    text = path.read_text(encoding="utf-8")
    if len(text) != _LENGTH:
        raise ValueError(
            f"{path} has {len(text)} characters, not {_LENGTH}: remove its folder, so that it is "
            "fetched afresh"
        )
    return text
