"""The command `minigen`: speak, train, export. Errors of the user's are one line, not a traceback."""

from __future__ import annotations

import os
import time
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="From a Gaussian to Parallel WaveNet: train the book's digit voice and speak with it.",
)


class Kind(StrEnum):
    teacher = "teacher"
    student = "student"


@app.command()
def speak(
    text: Annotated[
        str, typer.Argument(help='"three one four"; with --voice allison, any English.')
    ],
    voice: Annotated[str, typer.Option(help="digits, or allison: any sentence.")] = "digits",
    speaker: Annotated[
        str | None, typer.Option(help="Of the digits: slt, rms or awb. By default the first.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the WAV.")] = Path("spoken.wav"),
    model: Annotated[
        str | None,
        typer.Option(
            help="student, teacher, or a file of weights of a student.",
        ),
    ] = None,
    pace: Annotated[float, typer.Option(help="2 is twice as fast.")] = 1.0,
    pitch: Annotated[float, typer.Option(help="1.2 is 20 % higher.")] = 1.0,
    temperature: Annotated[float, typer.Option(help="Scales the noise.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    stream: Annotated[
        bool,
        typer.Option(help="Write the sound while it is made, in memory that does not grow."),
    ] = False,
    compare: Annotated[
        bool, typer.Option(help="Also time the teacher sample by sample, as a ratio.")
    ] = False,
) -> None:
    """Say typed text and write it to a WAV file: digits, or any sentence with --voice allison."""
    from . import audio
    from .speech import voice as voices

    if compare and voice != "digits":
        raise ValueError("--compare times the teacher and the student of the digits, no other's")
    if stream:
        begin, samples, first = time.perf_counter(), 0, 0.0
        pieces = voices.stream(text, speaker, model, pace, pitch, seed, temperature, voice)
        file = None if model in (None, "student") else model
        rate = voices.spec_of(voices.recipe_of("student", file, voice)).rate
        with audio.open_to_write(out, rate) as write:
            for piece in pieces:
                write(piece)
                first = first or time.perf_counter() - begin
                samples += len(piece)
        typer.echo(
            f"{out}: {samples / rate:.2f} s of sound in {time.perf_counter() - begin:.2f} s, the first "
            f"piece after {first:.2f} s"
        )
        return
    spoken = voices.speak(
        text, speaker, model, pace, pitch, seed, temperature, backend=None, voice=voice
    )
    audio.save(out, spoken.audio, spoken.rate)
    duration = len(spoken.audio) / spoken.rate
    typer.echo(
        f"{out}: {duration:.2f} s of sound in {spoken.seconds:.2f} s, "
        f"{1 / spoken.real_time_factor:.1f} times real time"
    )
    if compare:
        rate, naive = voices.samples_per_second("student"), voices.samples_per_second("teacher")
        typer.echo(
            f"student {rate:,.0f} samples/s, naive teacher {naive:,.0f} samples/s: "
            f"{rate / naive:,.0f} times as fast"
        )


@app.command()
def train(
    kind: Annotated[Kind, typer.Argument(help="Which of the two networks.")],
    config: Annotated[Path, typer.Option(help="A recipe: training/*.toml.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and curves.")],
    resume: Annotated[bool, typer.Option(help="Continue from the checkpoint in --out.")] = False,
    until: Annotated[int | None, typer.Option(help="Stop early, at this step.")] = None,
) -> None:
    """Train a teacher or a student. Works under torchrun and accelerate launch, too."""
    from .speech import voice

    watched = voice.train(voice.read_recipe(config, kind.value), out, resume, until)
    if os.environ.get("RANK", "0") == "0":  # of several processes under torchrun, one speaks
        figures = "  ".join(f"{name} {value:.3f}" for name, value in watched.items())
        typer.echo(figures or f"{out} had come to that step already: nothing was left to do")


@app.command()
def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="checkpoint.safetensors of a run; for .onnx, any student's weights."),
    ],
    out: Annotated[Path, typer.Argument(help="The file to write: .safetensors, or .onnx.")],
) -> None:
    """Keep of a checkpoint the averaged weights and the recipe, or write a student as ONNX."""
    from .speech import voice

    if out.suffix == ".onnx":
        from .speech import onnx

        onnx.export(voice.load("student", checkpoint), out)
    else:
        voice.export(checkpoint, out)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


@app.command()
def align(
    corpus: Annotated[str, typer.Argument(help="spoken_digits, allison, fsdd, cmu_arctic, …")],
    out: Annotated[Path, typer.Option(help="The table of phone times to write, tab-separated.")],
    limit: Annotated[int | None, typer.Option(help="Only this many clips, the first.")] = None,
    workers: Annotated[int, typer.Option(help="Threads.")] = 2,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out clips that cannot be aligned.")
    ] = False,
) -> None:
    """Find the times of each phone of a corpus, from recordings and transcripts alone.

    Where the corpus comes with phones, they are what is aligned, and their times are only compared
    with at the end; else phones come from the text.
    """
    import numpy as np

    from . import data
    from .speech import alignment

    known = ("allison", "cmu_arctic", "fsdd", "ljspeech", "spoken_digits", "vctk")
    if corpus not in known:
        raise ValueError(f"no English corpus {corpus!r}: choose one of {', '.join(known)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    if out.is_dir():  # before the work, not after it
        raise ValueError(f"{out} is a folder: name the file to write")
    out.parent.mkdir(parents=True, exist_ok=True)
    if corpus == "spoken_digits":
        clips = data.spoken_digits()[:limit]
    else:
        clips = getattr(data, corpus)(limit=limit)
    phones = [[name for name, _, _ in clip.phones or []] for clip in clips]
    transcripts = phones if all(phones) else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        times, models = alignment.align_corpus(
            clips, transcripts, workers=workers, skip_bad=skip_bad, progress=True
        )
    for warning in caught:
        typer.echo(f"minigen: {warning.message}", err=True)
    clips = [clip for clip in clips if clip.name in times]
    data.save_phones(out, times)
    minutes = sum(clip.duration for clip in clips) / 60
    typer.echo(
        f"{out}: {len(clips)} clips, {minutes:.1f} minutes, "
        f"{sum(map(len, times.values()))} phones; log-likelihood a frame "
        f"{models.history[0]:.2f} -> {models.history[-1]:.2f} nats"
    )
    if transcripts:
        errors = [alignment.boundary_errors(times[clip.name], clip.phones) for clip in clips]
        milliseconds = 1000 * np.concatenate(errors)
        typer.echo(
            f"against the known times: median boundary error {np.median(milliseconds):.1f} ms, mean "
            f"{milliseconds.mean():.1f} ms, within 20 ms {np.mean(milliseconds <= 20):.0%}"
        )


@app.command()
def convert(
    recording: Annotated[Path, typer.Argument(help="WAV or FLAC of a spoken digit, any rate.")],
    to: Annotated[str, typer.Option(help="slt, rms or awb; with --model fsdd, see there.")],
    out: Annotated[Path, typer.Option(help="Where to write the WAV.")] = Path("converted.wav"),
    model: Annotated[
        str, typer.Option(help="spoken_digits or fsdd, or a file of weights.")
    ] = "spoken_digits",
    keep_pitch: Annotated[bool, typer.Option(help="Leave F0 as it is.")] = False,
    temperature: Annotated[float, typer.Option(help="Scales the noise.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Say what a recording says in another voice: its codes, decoded with another speaker."""
    from . import audio
    from .speech import conversion

    x, _ = audio.load(recording, rate=conversion.RATE)
    net, _ = conversion.load(model)
    made = conversion.convert(x, to, net, keep_pitch=keep_pitch, seed=seed, temperature=temperature)
    audio.save(out, made.audio, made.rate)
    codes = " ".join(str(int(code)) for code in made.codes[:12])
    typer.echo(
        f"{out}: {len(made.audio) / made.rate:.2f} s in the voice of {to}, "
        f"{len(made.codes)} codes: {codes}{' …' if len(made.codes) > 12 else ''}"
    )


@app.command()
def vocode(
    recording: Annotated[Path, typer.Argument(help="WAV or FLAC of speech, any rate and length.")],
    out: Annotated[Path, typer.Option(help="Where to write the WAV.")] = Path("vocoded.wav"),
    model: Annotated[
        str, typer.Option(help="student, teacher, or a file of weights of a vocoder.")
    ] = "student",
    temperature: Annotated[float, typer.Option(help="Scales the noise.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Take a recording apart, to mel spectrum and F0, and make it again from these alone."""
    from . import audio
    from .metrics import distances as metrics
    from .speech import vocoder

    x, rate = audio.load(recording)
    made = vocoder.vocode(x, rate, model, seed, temperature)
    audio.save(out, made.audio, made.rate)
    heard = audio.resample(x, rate, made.rate)[: len(made.audio)]
    typer.echo(
        f"{out}: {len(made.audio) / made.rate:.2f} s of sound in {made.seconds:.2f} s, "
        f"{1 / made.real_time_factor:.1f} times real time; log-mel distance to the recording "
        f"{metrics.log_mel_distance(made.audio, heard, made.rate):.1f} dB"
    )


@app.command()
def evaluate(
    per_word: Annotated[int, typer.Option(help="How often each digit is said.")] = 10,
    teacher: Annotated[Path | None, typer.Option(help="Weights; by default the shipped.")] = None,
    student: Annotated[Path | None, typer.Option(help="Weights; by default the shipped.")] = None,
    voice: Annotated[
        str, typer.Option(help="digits, or allison, which needs the corpus and its phone times.")
    ] = "digits",
) -> None:
    """Measure a pair of voices: recognised digits, distances, likelihoods, speed."""
    from .speech import evaluation as figures

    if voice not in ("digits", "allison"):
        raise ValueError(f"no voice {voice!r}: choose one of digits, allison")
    if voice == "allison":
        typer.echo(figures.as_text(figures.speech_table(teacher, student=student)[0]))
        return

    if per_word < 1:
        raise ValueError(f"per-word is {per_word}; it must be at least 1")
    for name, row in figures.table(per_word, teacher, student).items():
        typer.echo(f"{name:>18}  " + "  ".join(f"{key} {value:,.3f}" for key, value in row.items()))


def main() -> None:
    """Entry point: what the user did wrong is said in one line on stderr, with status 2."""
    try:
        app()
    except (ValueError, TypeError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        typer.secho(f"minigen: {error}", err=True, fg="red")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
