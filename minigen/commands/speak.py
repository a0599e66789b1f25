"""`minigen speak`, `minigen pronounce` and `minigen voices`: from text to sound, and who can speak."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from . import Lexicon, Out, Seed, SkipUnknown, Temperature, one_thread, progress

PLAYERS = (  # programs that play a sound file and come back
    ("afplay",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-v", "error", "-nodisp", "-autoexit"),
    ("play", "-q"),
)


def text_of(text: str | None, file: Path | None) -> str:
    """The text that is typed, or that a file holds, or, of "-", what stands on standard input."""
    if (text is None) == (file is None):
        raise ValueError("give a text, or - for standard input, or --file with a file of text")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8-sig")
        return sys.stdin.buffer.read().decode("utf-8-sig") if text == "-" else text
    except UnicodeDecodeError as error:
        raise ValueError(f"{file or 'standard input'} is not text in UTF-8: {error}") from error


def play(file: Path) -> None:
    """Play a sound file by the first program there is, or say how it can be played."""
    playable = file.suffix.lower() == ".wav"
    for program, *options in PLAYERS:
        if shutil.which(program) and (playable or program not in ("aplay", "paplay")):
            done = subprocess.run([program, *options, str(file)], check=False, capture_output=True)
            if done.returncode == 0:
                return
            break
    names = ", ".join(program for program, *_ in PLAYERS)
    typer.echo(f"nothing here plays {file} (tried {names}): open it in a browser or a player")


def speak(
    text: Annotated[str | None, typer.Argument(help="What to speak; - reads it.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file of text to speak.")] = None,
    voice: Annotated[str, typer.Option(help="A name of `minigen voices`, or a file.")] = "allison",
    speaker: Annotated[str | None, typer.Option(help="Of the digits: slt, rms or awb.")] = None,
    out: Out = Path("spoken.wav"),
    model: Annotated[str | None, typer.Option(help="student, teacher, or a weights file.")] = None,
    pace: Annotated[float, typer.Option(help="Factor of the tempo, 0.5 to 2.")] = 1.0,
    pitch: Annotated[float, typer.Option(help="Factor of F0, 0.5 to 2.")] = 1.0,
    temperature: Temperature = 1.0,
    seed: Seed = 0,
    lexicon: Lexicon = None,
    skip_unknown: SkipUnknown = False,
    stream: Annotated[bool, typer.Option(help="Compute half a second at a time.")] = False,
    compare: Annotated[bool, typer.Option(help="Also time the teacher, as a ratio.")] = False,
    play_it: Annotated[bool, typer.Option("--play", help="Play the sound at the end.")] = False,
) -> None:
    """Synthesize speech from text and write it to a sound file."""
    from .. import audio
    from ..speech import synthesis
    from ..speech.pronunciation import read_lexicon

    audio.check_output(out)
    if compare and (voice != "digits" or stream):
        raise ValueError(
            "--compare times the teacher and the student of --voice digits, without --stream"
        )
    one_thread()
    given = (text_of(text, file), speaker, model, pace, pitch, seed, temperature)
    known = lexicon and read_lexicon(lexicon)
    options = {"voice": voice, "lexicon": known, "skip_unknown": skip_unknown}
    rate = synthesis.rate_of(voice)
    if model == "teacher":
        if stream:
            raise ValueError("--stream is for a student: a teacher has no pieces")
        pieces = (synthesis.speak(*given, **options).audio for _ in range(1))
    else:
        chunk = 48 if stream else synthesis.WHOLE
        pieces = synthesis.stream(*given, **options, chunk=chunk)
    samples, first, begin = 0, 0.0, time.perf_counter()
    with audio.open_to_write(out, rate) as write:
        for piece in progress(pieces, rate, "speaking"):
            write(piece)
            first = first or time.perf_counter() - begin
            samples += len(piece)
    seconds = time.perf_counter() - begin
    typer.echo(
        f"{out}: {samples / rate:.2f} s of sound in {seconds:.2f} s, "
        f"{samples / rate / seconds:.1f} times real time"
        + (f", the first piece after {first:.2f} s" if stream else "")
    )
    if compare:
        fast, naive = (synthesis.samples_per_second(name) for name in ("student", "teacher"))
        typer.echo(
            f"student {fast:,.0f} samples/s, naive teacher {naive:,.0f} samples/s: "
            f"{fast / naive:,.0f} times as fast"
        )
    if play_it:
        play(out)


def pronounce(
    text: Annotated[str, typer.Argument(help="English: letters, figures, symbols.")],
    phones: Annotated[bool, typer.Option("--phones", help="Show the phones, too.")] = False,
    voice: Annotated[str, typer.Option(help="Whose: a name, or a file.")] = "allison",
    lexicon: Lexicon = None,
    skip_unknown: SkipUnknown = False,
) -> None:
    """Show how a text is read: the words of each sentence in a line, capitals spelled; with --phones their phones, too."""
    from ..speech.pronunciation import read_lexicon
    from ..speech.voice_file import reader_of

    known = lexicon and read_lexicon(lexicon)
    for row in reader_of(voice).words(text, known, skip_unknown):
        typer.echo(" ".join(word for word, _ in row if word))
        if phones:
            typer.echo(f"    {'  '.join(' '.join(names) for _, names in row)}")


def voices() -> None:
    """List the voices that ship, and those in files of the folder one is in."""
    from ..speech import voice_file

    rows = [("name", "speaks", "rate", "size", "licence")]
    rows += [
        (name, speaks, f"{rate:,} Hz", f"{megabytes:.1f} MB", licence)
        for name, speaks, rate, megabytes, licence in voice_file.known(Path())
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
