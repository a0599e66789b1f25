"""Make the picture and the video of the clip that opens the book and the README.

    python tools/front_clip.py book/_static/audio/three_one_four.wav

Writes, beside the WAV, a PNG (waveform above spectrogram, for the index page) and an MP4 (the same
picture with the sound, for the README: the file view of GitHub plays a video, but not a WAV). The
video needs `ffmpeg`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from minigen import audio
from minigen.notebook import plot

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
from lean import small_png

__all__ = ["main", "picture", "video"]


def picture(wav: Path, ground: str = "none") -> bytes:
    """Waveform above spectrogram as PNG, transparent or on a `ground` of some colour."""
    x, rate = audio.load(wav)
    with plot.style():
        fig, (top, bottom) = plt.subplots(
            2, 1, figsize=(7.2, 2.6), sharex=True, height_ratios=(1, 1.8)
        )
        plot.waveform(x, rate, top)
        top.set(xlabel="", ylabel="", yticks=[])
        plot.spectrogram(x, rate, bottom)
        stream = io.BytesIO()
        fig.savefig(stream, format="png", dpi=100, facecolor=ground, metadata={"Software": None})
        plt.close(fig)
    return small_png(stream.getvalue())


def video(wav: Path, mp4: Path) -> None:
    """The picture on white with the sound, playable where only videos are.

    Raises:
        FileNotFoundError: when there is no ffmpeg.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise FileNotFoundError("the video needs ffmpeg (apt install ffmpeg); the PNG is written")
    x, rate = audio.load(wav)
    seconds = f"{len(x) / rate + 0.1:.2f}"  # -shortest would run on for seconds
    with tempfile.TemporaryDirectory() as folder:
        png, out = Path(folder) / "picture.png", Path(folder) / "video.mp4"
        png.write_bytes(picture(wav, ground="white"))
        command = [ffmpeg, "-loglevel", "error", "-loop", "1", "-framerate", "10", "-i", str(png)]
        command += ["-i", str(wav), "-t", seconds, "-c:v", "libx264", "-pix_fmt", "yuv420p"]
        command += ["-c:a", "aac", "-ar", "44100", "-b:a", "96k", "-movflags", "+faststart"]
        subprocess.run([*command, str(out)], check=True)
        shutil.copyfile(out, mp4)


def main() -> None:
    """Read the path from the command line and write PNG and MP4 beside it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wav", type=Path)
    wav = parser.parse_args().wav
    wav.with_suffix(".png").write_bytes(picture(wav))
    video(wav, wav.with_suffix(".mp4"))


if __name__ == "__main__":
    main()
