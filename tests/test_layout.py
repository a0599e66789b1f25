"""The rules of the house, read off the source by `ast`: where files lie, what they import, how long they are."""

from __future__ import annotations

import ast
import difflib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import values

import minigen

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minigen"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "checks" not in p.parts)
# Imports go downwards only, from a later room to an earlier one.
ROOMS = (
    {"data", "weights", "results", "audio"},
    "the book",
    {"train", "checkpoint"},
    {"metrics"},
    {"speech"},
    {"commands"},
    {"cli", "notebook"},
)
NUMPY_ONLY = {"audio", "gaussian", "mixture", "hmm", "timeseries"}

# What breaks a rule today; entries only ever leave these lists.
LONG: dict[str, int] = {}
UPWARDS: set[str] = set()
PLACES: set[str] = set()
MAINS: set[str] = set()
PRIVATE: set[str] = set()
UNTESTED: set[str] = set()
# of one process; read by its callback; of a flow of another library
UNREAD = {"common.py: drawn: shard", "common.py: drawn: shards", "cli.py: _options: version"}
UNREAD |= {"flows_speed.py: forward: context"}


# Old words that are left, by file.
WORDS: set[str] = {
    "CHANGELOG.md: babble",
    "CHANGELOG.md: conventional voice",
    "commands/__init__.py: leave",
    "flows/autoregressive.py: taps",
    "minigen/checks/__init__.py: one module a chapter",
    "parallel_wavenet.py: way",
    "speech/pronunciation.py: way",
}
NAMES = [
    "told",
    "told_features",
    "hear",
    "say",
    "said",
    "utter",
    "render",
    "enter",
    "leave",
    "watched",
    "dice",
    "rung",
    "ladder",
    "babble",
    "Judge",
    "critic",
    "_Reverse",
    "blur",
    "stretch",
    "melody",
    "taps",
    "start_at",
    "wavenet_from",
    "way",
    "strangers",
    "wanted",
    "at_once",
    "reach",
    "longest",
]
PHRASES = (
    r"kept[- ]away|(?:conventional|statistical) voice|\bis told\b|\bthe ladder|\brungs?\b|\bbabble\b|"
    r"\bstrangers\b|\bthe dice\b|planned chapters|one module a chapter|one loop for every model"
)
# Top-level rooms that are no chapter's.
ROOMS_BESIDE = {
    "checkpoint",
    "checks",
    "cli",
    "commands",
    "compiled",
    "data",
    "distributed",
    "notebook",
    "results",
    "speech",
    "train",
    "weights",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rank(first: str) -> int:
    return next((i for i, room in enumerate(ROOMS) if first in room and room != "the book"), 1)


def imports(path: Path) -> set[tuple[str, str]]:
    """{(module below minigen, imported name)} of a file's own imports."""
    found = set()
    folder = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = folder[: len(folder) - node.level + 1]
                module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            elif (node.module or "").split(".")[0] == "minigen":
                module = node.module.removeprefix("minigen").strip(".")
            else:
                continue
            found |= {(module, alias.name) for alias in node.names}
    return found


def code_lines(path: Path) -> int:
    """Lines that are neither blank, comment nor docstring."""
    lines = path.read_text(encoding="utf-8").split("\n")
    inside = set()
    for node in ast.walk(tree(path)):
        first = getattr(node, "body", [None])
        first = first[0] if isinstance(first, list) and first else None
        text = first.value if isinstance(first, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            inside |= set(range(first.lineno, first.end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and i not in inside
        for i, line in enumerate(lines, start=1)
    )


def test_no_file_is_too_long():
    assert {
        name(p): n for p in FILES if (n := code_lines(p)) > 300 and n > LONG.get(name(p), 0)
    } == {}


def test_imports_go_downwards():
    wrong = set()
    for path in FILES:
        for module, what in imports(path):
            first = module.split(".")[0] or what
            if rank(first) > rank(room(path)) or (first == "notebook" and rank(room(path)) < 3):
                wrong.add(f"{name(path)} imports {first}")
    assert wrong - UPWARDS == set()


def test_paths_and_mains_have_their_places():
    texts = {name(p): p.read_text(encoding="utf-8") for p in FILES}
    allowed = ("weights/", "results/", "data/")
    assert {n for n, t in texts.items() if "__file__" in t and not n.startswith(allowed)} <= PLACES
    assert {n for n, t in texts.items() if "__name__ ==" in t and n != "cli.py"} <= MAINS


def test_nothing_private_crosses_a_file():
    wrong = {
        f"{name(p)}: {what}"
        for p in FILES
        for _, what in imports(p)
        if what.startswith("_") and not what.startswith("__")
    }
    pages = [*ROOT.glob("book/source/*.md"), *ROOT.glob("exercises/source/*.md")]
    for page in pages:
        code = "\n".join(
            re.findall(r"```\{code-cell\}.*?\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        )
        wrong |= {f"{page.stem}: {m}" for m in re.findall(r"\b[a-z_]+\.(_[a-z]\w*)", code)}
    assert wrong - PRIVATE == set()


def test_every_text_file_is_opened_as_utf8():
    """Windows reads "µ-law" otherwise as "Âµ-law"."""
    wrong = []
    for path in [*FILES, *ROOT.glob("training/*.py"), *ROOT.glob("benchmarks/*.py")]:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
                continue
            function = ast.unparse(node.func)
            binary = any(isinstance(a, ast.Constant) and "b" in str(a.value) for a in node.args)
            if function.endswith((".read_text", ".write_text")) or (
                function == "open" and not binary
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {function}")
    assert wrong == []


# What an argument of this name is where nobody gives one: where there is a value that changes nothing, that.
DEFAULTS = {
    **dict.fromkeys(
        ("temperature", "pace", "pitch", "buzz", "top_p", "vtlp", "input_scale", "kl"), 1.0
    ),
    **dict.fromkeys(
        ("mel", "perceptual", "contrastive", "latent_noise", "free_bits", "mean", "intercept"), 0.0
    ),
    **dict.fromkeys(("seed", "fold", "ddof", "conditions", "speakers", "mixture", "seasonal_d"), 0),
    **dict.fromkeys(("skip_unknown", "skip_bad", "resume", "keep_pitch", "swap", "warp"), False),
    **dict.fromkeys(
        ("missing", "progress", "by_length", "global_variance", "compare", "stream"), False
    ),
    **dict.fromkeys(("follow_audio", "window", "windowed", "dynamic", "with_phase", "log"), True),
    "rate": 8000,
    "bins": 8,
    "kernel": 2,
    "flows": 4,
    "per_word": 10,
    "minutes": 60.0,
    "mu": 255.0,
    "margin": 10.0,
    "penalty": 4.0,
    "decay": 0.99,
    "commitment": 0.25,
    "gross": 600.0,
}


def defaults(path: Path) -> list[tuple[str, object]]:
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            given, more = node.args, zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            first = [*given.posonlyargs, *given.args][-len(given.defaults) or len(node.args.args) :]
            found += [*zip(first, given.defaults, strict=True), *more]
    return [(arg.arg, value.value) for arg, value in found if isinstance(value, ast.Constant)]


def test_an_argument_of_one_name_has_one_default():
    found = [(name(p), word, value) for p in FILES for word, value in defaults(p)]
    known = [row for row in found if row[1] in DEFAULTS and row[2] is not None]
    assert len(known) > 150
    assert [row for row in known if row[2] != DEFAULTS[row[1]]] == []


def test_defaults_and_constants_change_with_their_table_only():
    """So that nobody changes one unawares: `python tools/values.py`, and look at the difference."""
    written, code = (
        text.splitlines() for text in (values.TABLE.read_text("utf-8"), values.table())
    )
    assert [*difflib.unified_diff(written, code, "tests/values.txt", "the code", n=0)] == []
    some = {
        "MARGIN = 100",
        "stft(n_fft=512, hop=128)",
        "an option: '--samples', type=int, default=5000",
    }
    assert some <= set(code)


def unread(path: Path) -> set[str]:
    """Options, arguments with a default or gathered by stars, whose names the function's body never reads."""
    found = set()
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.FunctionDef) or isinstance(node.body[-1], ast.Raise):
            continue
        given = node.args
        some = [*given.posonlyargs, *given.args]
        options = some[len(some) - len(given.defaults) :]
        options += [a for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d]
        options += [star for star in (given.vararg, given.kwarg) if star]
        parts = [n for line in node.body for n in ast.walk(line)]
        names = {n.id for n in parts if isinstance(n, ast.Name)}
        found |= {
            f"{node.name}: {a.arg}" for a in options if a.arg not in names and a.arg[0] != "_"
        }
    return found


def unread_on_the_line(path: Path) -> set[str]:
    """What a script's command line takes and no line of the script looks at."""
    nodes = [*ast.walk(tree(path))]
    read = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    first = [n.args[0] for n in calls if getattr(n.func, "attr", "") == "add_argument"]
    names = {n.value.lstrip("-").replace("-", "_") for n in first if isinstance(n, ast.Constant)}
    return names - read


def test_every_option_is_read():
    """One that nobody reads is ignored without a word."""
    scripts = [p for room in ("training", "benchmarks", "tools") for p in ROOT.glob(f"{room}/*.py")]
    assert {p.name: what for p in scripts if (what := unread_on_the_line(p))} == {}
    wrong = {f"{p.name}: {what}" for p in [*FILES, *scripts] for what in unread(p)}
    assert wrong - UNREAD == set()


def parameters(function: ast.FunctionDef) -> tuple[list[str], set[str]]:
    """The arguments that have a place, and the options."""
    given = function.args
    placed = [arg.arg for arg in (*given.posonlyargs, *given.args)]
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    options = set(placed[len(placed) - len(given.defaults) :]) | {a.arg for a, d in named if d}
    return placed, options


def known_options(paths: list[Path]) -> dict[str, list[tuple[list[str], set[str]]]]:
    """{name of a function, or of the class that it makes: its `parameters`, without self, of each of that name}"""
    found: dict[str, list[tuple[list[str], set[str]]]] = {}
    for path in paths:
        parents = {child: n for n in ast.walk(tree(path)) for child in ast.iter_child_nodes(n)}
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                placed, options = parameters(node)
                inside = isinstance(owner := parents[node], ast.ClassDef)
                if inside and "staticmethod" not in map(ast.unparse, node.decorator_list):
                    placed = placed[1:]
                key = owner.name if node.name == "__init__" else node.name
                found.setdefault(key, []).append((placed, options))
    for key in (
        "randn",
        "rand",
        "randint",
        "randperm",
        "multinomial",
        "bernoulli",
        "normal_",
        "uniform_",
    ):
        found[key] = [([], {"generator"})]
    found["default_rng"] = found["manual_seed"] = [(["seed"], {"seed"})]
    return found


def not_handed_on(path: Path, known: dict) -> Iterator[str]:
    """Options that a function has, and that what it calls has too, by the same name, but is not given."""
    for function in ast.walk(tree(path)):
        if not isinstance(function, ast.FunctionDef):
            continue
        placed, options = parameters(function)
        own = {*placed, *options}
        for call in (
            n for line in function.body for n in ast.walk(line) if isinstance(n, ast.Call)
        ):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            stars = [k for k in call.keywords if k.arg is None]
            if name not in known or stars:
                continue
            if known[name][0][0] and any(isinstance(a, ast.Starred) for a in call.args):
                continue  # what has no place comes by its name only
            for option in set.intersection(*(options for _, options in known[name])) & own:
                places = [p.index(option) if option in p else 99 for p, _ in known[name]]
                value = next((k.value for k in call.keywords if k.arg == option), None)
                if value is None and len(call.args) > min(places):
                    value = call.args[min(places)]
                if value is None or isinstance(value, ast.Constant):
                    yield f"{path.name}: {function.name}: {name}({option})"


NOT_HANDED_ON = {
    "cuda.py: replay: stream(model)",  # another `stream`: torch's
    "evaluation.py: student_kl: held_out(clips)",  # where none are given
    "flows_quality.py: digits: manual_seed(seed)",  # noise of a measurement, the same for all seeds
    "pronunciation.py: _spoken: phones(lexicon)",  # a word of the dictionary
    "reader.py: _words: phones(lexicon)",  # another `phones`
    "reader.py: _words: phones(skip_unknown)",
    "scoreboard.py: likelihood: held_out(clips)",  # the other clips, to train on
    "synthesis.py: _planned: plan(pace)",  # of a recording's times
    "vae_digits.py: train: manual_seed(seed)",
    "vae_mnist.py: measure: elbo(samples)",  # 20, however many estimate log p
}


def test_an_option_of_one_name_is_handed_on():
    """A seed, a temperature, a rate that a function takes goes to everything it calls that takes one."""
    scripts = [p for room in ("training", "benchmarks") for p in ROOT.glob(f"{room}/*.py")]
    known = known_options(FILES)
    assert {row for p in [*FILES, *scripts] for row in not_handed_on(p, known)} == NOT_HANDED_ON


def test_what_ships_or_is_gone_on_from_are_averaged_weights():
    """Of a checkpoint only the start of a new run takes the last ones."""
    scripts = [p for room in ("training", "benchmarks", "tools") for p in ROOT.glob(f"{room}/*.py")]
    nodes = [(p.name, n) for p in [*FILES, *scripts] for n in ast.walk(tree(p))]
    assert [n for n, c in nodes if isinstance(c, ast.Constant) and c.value == "model."] == [
        "start.py"
    ]


def test_every_file_has_its_tests():
    wanted = {
        n: ROOT / "tests" / Path(n).parent / f"test_{Path(n).name}"
        for p in FILES
        if not (n := name(p)).endswith("__init__.py")
    }
    assert {n for n, path in wanted.items() if not path.is_file()} - UNTESTED == set()


def imported_by(page: Path) -> set[str]:
    """What a page's cells import from the top level of the library."""
    code = re.findall(r"```\{code-cell\}.*?\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    text = re.sub(r"^:.*", "", "\n".join(code), flags=re.MULTILINE)  # tags
    text = re.sub(r"^(\s*)[%!].*", r"\1pass", text, flags=re.MULTILINE)  # magics
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "minigen":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minigen."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("minigen.")}
    return found


def test_the_top_level_is_the_book():
    """CHAPTERS names every file that is no other room's, and the pages import nothing else."""
    taught = {name for names in minigen.CHAPTERS.values() for name in names}
    there = {p.stem if p.suffix else p.name for p in PACKAGE.iterdir() if p.name[0] not in "_."}
    assert there - ROOMS_BESIDE == taught, "put a new file into minigen.CHAPTERS"
    for number, page in enumerate(sorted(ROOT.glob("book/source/*.md")), start=1):
        own = minigen.CHAPTERS[number]
        imported = imported_by(page) - {"ConvergenceWarning"}
        assert own[0] in imported, f"{page.stem} does not import {own[0]}"
        assert imported <= taught | ROOMS_BESIDE, page.stem


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_maps_name_the_files_of_each_chapter(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    row = r"^\| (\d+) \|.*" if page == "README.md" else r"^\* - \[?(\d+) · (?:.*\n){5}"
    rows = {int(m[1]): m[0] for m in re.finditer(row, text, re.MULTILINE)}
    assert {n: tuple(re.findall(r"`(\w+)`", line)) for n, line in rows.items()} == minigen.CHAPTERS


def untitled() -> set[str]:
    chapters: dict[str, set[int]] = {}
    for number, names in minigen.CHAPTERS.items():
        for taught in names:
            chapters.setdefault(taught, set()).add(number)
    found = set()
    for path in FILES:
        if first := chapters.get(room(path)):
            said = re.match(
                r"Chapters? (\d+)(?:, (\d+) and (\d+))?: ", ast.get_docstring(tree(path)) or ""
            )
            if not said or not {int(n) for n in said.groups() if n} <= first:
                found.add(name(path))
    return found


def test_book_files_say_their_chapter():
    assert untitled() == set()


def old_words() -> set[str]:
    found = set()
    for path in FILES:
        for node in ast.walk(tree(path)):
            names = {getattr(node, "name", None), getattr(node, "arg", None)}
            if isinstance(node, ast.AnnAssign):
                names.add(getattr(node.target, "id", None))
            found |= {f"{name(path)}: {word}" for word in names & set(NAMES)}
    prose = [*ROOT.glob("*.md"), *ROOT.glob("book/*.md"), *ROOT.glob("book/source/*.md")]
    prose += [*ROOT.glob("exercises/source/*.md"), *PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.md")]
    for path in prose:
        for word in re.findall(PHRASES, path.read_text("utf-8"), re.IGNORECASE):
            found.add(f"{path.relative_to(ROOT).as_posix()}: {word.lower()}")
    return found


def test_no_old_words():
    assert old_words() - WORDS == set()


LIGHT = """import minigen.speech.alignment, minigen.speech.hmm_synthesis
from minigen import checks, data
from minigen.notebook import listen
checks.sound, checks.gaussian, listen(data.example().audio, 8000, "a")._repr_html_()"""


def test_importing_is_light():
    """A NumPy chapter, with its checks and its sounds, loads no torch; the package itself nothing that is heavy."""
    heavy = {"torch", "matplotlib", "numba", "sklearn", "soundfile", "IPython", "pooch"}
    for code, allowed in (
        ("import minigen, minigen.gaussian, minigen.mixture", set()),
        ("import minigen.hmm", {"numba"}),
        ("import minigen.audio", {"soundfile"}),
        ("import minigen.timeseries", {"soundfile", "numba"}),
        (LIGHT, heavy - {"torch"}),
    ):
        code += f"\nimport sys; print(*sorted({heavy!r} & set(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert set(done.stdout.split()) <= allowed, f"{code} loads {done.stdout}"
