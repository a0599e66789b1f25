"""The command `minigen`: what is typed is checked before any work begins; an error is one line and exit code 2."""

import os
import sys
import time
import warnings
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from .commands import Lexicon, Out, Seed, Temperature, one_thread, progress, voice
from .commands.alive import alive
from .commands.grade import grade
from .commands.speak import pronounce, speak, voices


class StoppedError(Exception):
    """Ctrl-C and what it says, of which typer alone would keep the exit code."""


class _Commands(TyperGroup):
    def invoke(self, context):
        try:
            return super().invoke(context)
        except KeyboardInterrupt as stopped:
            raise StoppedError(str(stopped) or "stopped") from None


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From a Gaussian to Parallel WaveNet: speak, convert and resynthesise recordings, train and export.",
)


class Kind(StrEnum):
    teacher = "teacher"
    student = "student"


def _version(asked: bool) -> None:
    if asked:
        from . import __version__

        typer.echo(f"minigen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(speak)
app.command()(pronounce)
app.command()(voices)
app.command()(grade)
app.add_typer(voice.app, name="voice")


@app.command()
def train(
    kind: Annotated[Kind, typer.Argument(help="Which of the two networks.")],
    config: Annotated[Path, typer.Option(help="Recipe: a file, or a name such as digits-gpu.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and curves.")],
    resume: Annotated[bool, typer.Option(help="Continue from the checkpoint in --out.")] = False,
    until: Annotated[int | None, typer.Option(min=1, help="Stop early, at this step.")] = None,
) -> None:
    """Train a teacher or a student. Works under torchrun and accelerate launch, too."""
    from .speech import training
    from .speech.recipe import Recipe

    metrics = training.train(Recipe.read(config, kind.value), out, resume, until)
    if os.environ.get("RANK", "0") == "0":  # of several processes under torchrun, one reports
        figures = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        typer.echo(figures or f"{out} had come to that step already: nothing was left to do")


@app.command()
def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="checkpoint.safetensors of a run; for .onnx, any student's weights."),
    ],
    out: Annotated[Path, typer.Argument(help="File to write, .safetensors or .onnx.")],
) -> None:
    """Keep of a checkpoint the averaged weights and the recipe, or write a student as ONNX."""
    from . import audio, weights
    from .speech import onnx, training, voice, waveform_model

    if out.suffix == ".onnx":
        audio.check_writable(out)
        held = (weights.notes(checkpoint).get("recipe") or {}).get("kind")
        read = waveform_model.load if held == "waveform student" else partial(voice.load, "student")
        onnx.export(read(checkpoint), out)
    else:
        training.export(checkpoint, out)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


@app.command()
def align(
    corpus: Annotated[str, typer.Argument(help="spoken_digits, allison, fsdd, cmu_arctic, …")],
    out: Annotated[Path, typer.Option(help="The table of phone times to write, tab-separated.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many clips.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Threads.")] = 2,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out bad clips.")] = False,
    lexicon: Lexicon = None,
) -> None:
    """Find the times of each phone of a corpus, from recordings and transcripts alone.

    Where the corpus comes with phones, they are what is aligned, and their times are only compared
    with at the end; else phones come from the text.
    """
    import numpy as np

    from . import audio, data
    from .speech import alignment, pronunciation

    corpora = ("allison", "cmu_arctic", "fsdd", "ljspeech", "spoken_digits", "vctk")
    if corpus not in corpora:
        raise ValueError(f"no English corpus {corpus!r}: choose one of {', '.join(corpora)}")
    known = lexicon and pronunciation.read_lexicon(lexicon)
    out.parent.mkdir(parents=True, exist_ok=True)
    audio.check_writable(out)
    if corpus == "spoken_digits":
        clips = data.spoken_digits()[:limit]
    else:
        clips = getattr(data, corpus)(limit=limit)
    phones = [[name for name, _, _ in clip.phones or []] for clip in clips]
    transcripts = phones if all(phones) else None
    times, models = alignment.align_corpus(
        clips, transcripts, workers=workers, skip_bad=skip_bad, progress=True, lexicon=known
    )
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
    recording: Annotated[Path, typer.Argument(help="Sound file of a spoken digit, any rate.")],
    to: Annotated[
        str, typer.Option(help="slt, rms or awb; with --model fsdd, one of its speakers.")
    ],
    out: Out = Path("converted.wav"),
    model: Annotated[
        str, typer.Option(help="spoken_digits, fsdd, or a file of weights.")
    ] = "spoken_digits",
    keep_pitch: Annotated[bool, typer.Option(help="Leave F0 as it is.")] = False,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Convert a recording to another voice: its codes, decoded with another speaker."""
    from . import audio
    from .speech import conversion

    audio.check_output(out)
    one_thread()
    net, _ = conversion.load(model)
    net.index(to)
    x, _ = audio.load(recording, rate=conversion.RATE)
    made = conversion.convert(x, to, net, keep_pitch=keep_pitch, seed=seed, temperature=temperature)
    audio.save(out, made.audio, made.rate)
    codes = " ".join(str(int(code)) for code in made.codes[:12])
    typer.echo(
        f"{out}: {len(made.audio) / made.rate:.2f} s in the voice of {to}, "
        f"{len(made.codes)} codes: {codes}{' …' if len(made.codes) > 12 else ''}"
    )


@app.command()
def vocode(
    recording: Annotated[Path, typer.Argument(help="Sound file of speech, any rate and length.")],
    out: Out = Path("vocoded.wav"),
    model: Annotated[str, typer.Option(help="student, teacher, or a file of weights.")] = "student",
    temperature: Temperature = 1.0,
    seed: Seed = 0,
) -> None:
    """Take a recording apart, to mel spectrum and F0, and make it again from these alone."""
    from . import audio, metrics
    from .speech import vocoder, waveform_model

    audio.check_output(out)
    if out.exists() and recording.exists() and out.samefile(recording):
        raise ValueError(f"{out} is the recording itself: choose another --out")
    one_thread()
    rate, begin, samples, apart = waveform_model.load(model).spec.rate, time.perf_counter(), 0, 0.0
    with audio.open_to_write(out, rate) as write:
        pieces = vocoder.of_file(recording, model, seed, temperature)
        for made, recorded in progress(pieces, rate, "vocoding"):
            write(made)
            samples += len(made)
            if len(made) >= rate // 20:
                apart += len(made) * metrics.log_mel_distance(made, recorded, rate)
    seconds = time.perf_counter() - begin
    typer.echo(
        f"{out}: {samples / rate:.2f} s of sound in {seconds:.2f} s, "
        f"{samples / rate / seconds:.1f} times real time; log-mel distance to the recording "
        f"{apart / samples:.1f} dB"
    )


@app.command()
def evaluate(
    per_word: Annotated[int, typer.Option(min=1, help="How often each digit is spoken.")] = 10,
    teacher: Annotated[Path | None, typer.Option(help="Weights; by default the shipped.")] = None,
    student: Annotated[Path | None, typer.Option(help="Weights; by default the shipped.")] = None,
    voice: Annotated[
        str, typer.Option(help="digits; or allison or a voice's file, with --phones.")
    ] = "digits",
    phones: Annotated[
        Path | None, typer.Option(help="Phone times, made by: minigen align allison")
    ] = None,
) -> None:
    """Measure a voice on held-out recordings: distances, likelihoods, of digits also recognition and speed."""
    from . import results
    from .speech import evaluation, sentence_evaluation

    if (voice == "digits") != (phones is None):
        raise ValueError("--phones goes with a voice that says any sentence, and with no other")
    report = partial(typer.echo, err=True)
    if phones:
        measured, _ = sentence_evaluation.sentence_table(phones, voice, None, report)
        typer.echo(sentence_evaluation.as_text(measured))
    else:
        table = evaluation.digits_table(per_word, teacher, student, report)
        typer.echo(results.as_text(table))


def main() -> None:
    """Entry point. An error of the user's is one line on stderr (faults in a table one each), with exit code 2; Ctrl-C is 130."""
    warnings.showwarning = lambda message, *_: typer.echo(f"minigen: {message}", err=True)
    try:
        with alive():
            code = app(standalone_mode=False)
    except (StoppedError, KeyboardInterrupt) as stopped:  # the latter before a command begins
        _fail(str(stopped) or "stopped", 130)
    except (ValueError, TypeError, OSError, FloatingPointError, ImportError, MemoryError) as error:
        for note in getattr(error, "__notes__", ()):  # further lines of a lexicon that are wrong
            typer.echo(f"minigen: {note}", err=True)
        _fail(str(error) or type(error).__name__)
    except Exception as error:
        if not hasattr(error, "format_message"):  # one of typer's own, about the command line
            raise
        name = getattr(getattr(error, "ctx", None), "command_path", "minigen")
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message())
            raise SystemExit(0) from None
        _fail(f"{error.format_message()} ({name} --help shows what there is)")
    raise SystemExit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    """Say what was wrong in one line of at most 600 characters, and end."""
    line = " ".join(message.split())
    line = line if len(line) <= 600 else f"{line[:400]} … {line[-190:]}"
    typer.secho(f"minigen: {line}", err=True, fg="red" if sys.stderr.isatty() else None)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
