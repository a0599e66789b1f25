"""The only writer of notebooks: MyST source -> executed notebook, and exercises -> their blanks.

    python tools/notebooks.py                run what changed since its notebook was written
    python tools/notebooks.py 02_gaussian    only these (a name, or e.g. exercises/02_gaussian)
    python tools/notebooks.py --all          run again what did not change, too
    python tools/notebooks.py --check        run nothing; fail when source and notebook disagree
    python tools/notebooks.py --course DIR   exercises to hand out: DIR/students has neither hints nor solutions,
                                             DIR/teacher both

    book/source/NN_name.md       -> book/NN_name.ipynb
    exercises/source/NN_name.md  -> exercises/solutions/NN_name.ipynb  complete
                                 -> exercises/NN_name.ipynb            ### BEGIN/END SOLUTION blanked
                                 -> minigen/checks/exercises.json      for checks.answer and minigen grade

Two runs on one machine write the same bytes: one thread, fixed hash seed and dates, cell ids from
the cells' content, execution counts 1..n, no time stamps. "Changed" means that the cells of the
source are not the cells of the notebook; where only text changed, nothing runs again. After a change in the library alone, use --all.
"""

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exercise_table
from address import address
from measured import unprinted
from plain import plain

__all__ = ["ENVIRONMENT", "NotebookError", "blank", "build", "execute", "problems", "read_source"]

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BLANK_TAG = "raises-exception"
UNSTEADY = {"trained-here", "sampled-here"}  # conftest.py says how such figures are compared
SETUP_TITLE = "#@title Set-up (run me first)"
SETUP = """\
#@title Set-up (run me first) {{ display-mode: "form" }}
{install}import minigen
assert hasattr(minigen, "BOOK"), \\
    "another minigen is here: pip uninstall -y minigen minigen-book"\
"""
INSTALL = """\
import sys
if "google.colab" in sys.modules:
    %pip install -q "minigen-book @ git+{}@main"
"""

#: What a notebook runs under, here and when pytest runs it again.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0",
    "PYTHONPATH": str(ROOT),  # this checkout's library
    "PYTHONDONTWRITEBYTECODE": "1",
    "NO_COLOR": "1",
    "COLUMNS": "88",
    "MATPLOTLIBRC": str(ROOT / "tools" / "matplotlibrc"),
    "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel `python3` is this virtual environment's
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ADDRESS_IN_MEMORY = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


class NotebookError(Exception):
    """A notebook or its source breaks a rule; the message says which and what to do."""


# ---------------------------------------------------------------- source -> notebook


def setup_cell() -> str:
    """The first cell of every notebook; it installs only where the repository's address is known."""
    url = address()
    return SETUP.format(install=INSTALL.format(url) if url else "")


def read_source(path: Path, solutions: bool = False) -> NotebookNode:
    """A MyST source as a notebook without outputs: set-up cell filled, directives made plain.

    With `solutions`, each exercise ends with its own, folded away.
    """
    nb = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    if solutions:
        exercise_table.fold_solutions(nb.cells)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if not code or not code[0].source.startswith(SETUP_TITLE):
        raise NotebookError(
            f"{path}: the first code cell must hold the line `{SETUP_TITLE} "
            '{ display-mode: "form" }` and nothing else; the rest is filled in'
        )
    if code[0].source.count("\n"):
        raise NotebookError(f"{path}: the set-up cell is one line here; the rest is filled in")
    code[0].source = setup_cell()
    tags = code[0].metadata.setdefault("tags", [])
    if "hide-input" not in tags:
        tags.append("hide-input")
    prose = [cell for cell in nb.cells if cell.cell_type == "markdown"]
    for cell, text in zip(prose, plain([cell.source for cell in prose], path), strict=True):
        cell.source = text
    kept = {k: v for k, v in nb.metadata.items() if k not in ("jupytext", "kernelspec")}
    nb.metadata = nbformat.from_dict(
        kept
        | {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    nb.nbformat, nb.nbformat_minor = 4, 5
    return with_ids(nb)


def with_ids(nb: NotebookNode) -> NotebookNode:
    """Give each cell an id that depends on its content, so that a diff shows what changed."""
    seen = {}
    for cell in nb.cells:
        key = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[key] = seen.get(key, 0) + 1
        cell.id = key if seen[key] == 1 else f"{key}-{seen[key]}"
    return nb


def blank(solution: NotebookNode) -> NotebookNode:
    """The exercise as a reader gets it: each marked region becomes a NotImplementedError.

    The number in its message is that of the nearest heading `Exercise N.M` above the cell.
    """
    nb = nbformat.from_dict(solution)
    number = None
    for cell in nb.cells:
        if cell.cell_type != "code":
            headings = re.findall(r"^#+ .*?\bExercise (\w+\.\d+)", cell.source, re.MULTILINE)
            number = headings[-1] if headings else number
            if BEGIN in cell.source or END in cell.source:
                raise NotebookError(f"{BEGIN}/{END} stand in a text cell; only code can be blanked")
            continue
        cell.source = strip_solutions(cell.source, number)
        cell.outputs, cell.execution_count = [], None
    return with_ids(nb)


def strip_solutions(source: str, number: str | None) -> str:
    """Replace each region between the two markers by one `raise NotImplementedError(...)`.

    >>> print(strip_solutions("def f(x):\\n    ### BEGIN SOLUTION\\n    return x\\n"
    ...                       "    ### END SOLUTION", "2.1"))
    def f(x):
        raise NotImplementedError("Exercise 2.1: replace this line with your code")
    """
    kept, inside = [], False
    for line in source.split("\n"):
        mark = line.strip()
        if mark == BEGIN and not inside:
            if number is None:
                raise NotebookError("a solution has no heading `Exercise N.M` above it")
            indent = line[: len(line) - len(line.lstrip())]
            message = f"Exercise {number}: replace this line with your code"
            kept.append(f'{indent}raise NotImplementedError("{message}")')
            inside = True
        elif mark == END and inside:
            inside = False
        elif BEGIN in line or END in line:
            raise NotebookError(
                f"{line.strip()!r} stands where a {'END' if inside else 'BEGIN'} is due"
            )
        elif not inside:
            kept.append(line)
    if inside:
        raise NotebookError(f"a {BEGIN} has no {END}")
    return "\n".join(kept)


# ---------------------------------------------------------------- running


def execute(nb: NotebookNode, folder: Path, allow_blanks: bool = False) -> NotebookNode:
    """Run a notebook in `folder` and keep its outputs in their one canonical form.

    Args:
        nb: the notebook, changed in place.
        folder: the working directory of its kernel.
        allow_blanks: let cells fail because an exercise is blank, and tag them.

    Raises:
        NotebookError: when a cell fails, warns on stderr or shows a memory address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | ENVIRONMENT | {"IPYTHONDIR": scratch}
        client = NotebookClient(
            nb,
            kernel_name="python3",
            timeout=1800,
            allow_errors=True,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=environment)
    for count, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.outputs = canonical(cell.outputs, count)
        judge(cell, allow_blanks)
    # The kernel reports its own version here; it would differ from machine to machine.
    nb.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    return nb


def canonical(outputs: list[NotebookNode], count: int) -> list[NotebookNode]:
    """Join what was printed (its split into messages is chance); plain tracebacks, no local paths."""
    kept = []
    for out in outputs:
        joins = out.output_type == "stream" and kept and kept[-1].output_type == "stream"
        if joins and kept[-1].name == out.name:
            kept[-1].text += out.text
            continue
        if out.output_type == "execute_result":
            out.execution_count = count
        kept.append(out)
    for out in kept:
        if out.output_type == "error":
            out.traceback = [hide_paths(COLOUR.sub("", line)) for line in out.traceback]
    return kept


def hide_paths(text: str) -> str:
    """Paths of this machine, relative to the repository or to the environment."""
    for folder in (ROOT, Path(sys.prefix), Path(sys.base_prefix)):
        text = text.replace(f"{folder}/", "")
    return text


def judge(cell: NotebookNode, allow_blanks: bool) -> None:
    """Refuse outputs that have no place in a page, and tag the cells of blank exercises."""
    start = "\n".join(cell.source.split("\n")[:3])
    for out in cell.outputs:
        if out.output_type == "error":
            expected = BLANK_TAG in cell.metadata.get("tags", [])
            is_blank = out.ename in ("NotImplementedError", "CheckFailed") and re.search(
                r"Exercise \w+\.\d+", out.evalue
            )
            if allow_blanks and is_blank:
                tags = cell.metadata.setdefault("tags", [])
                if not expected:
                    tags.append(BLANK_TAG)
            elif not expected:
                why = "".join(line + "\n" for line in out.traceback)
                hint = " (in the blanked notebook, where only blanks may fail)" * allow_blanks
                raise NotebookError(f"this cell failed{hint}:\n{start}\n…\n{why}")
        if out.output_type == "stream" and out.name == "stderr":
            raise NotebookError(f"this cell writes to stderr:\n{start}\n…\n{out.text}")
        shown = out.get("text", "") + str(out.get("data", {}).get("text/plain", ""))
        if ADDRESS_IN_MEMORY.search(shown):
            raise NotebookError(
                f"this cell shows a memory address, which no two runs share (end its last line "
                f"with a semicolon, or print what matters):\n{start}\n…\n{shown}"
            )


# ---------------------------------------------------------------- files


def sources(names: list[str] | None = None, root: Path = ROOT) -> list[Path]:
    """The MyST sources, or those that `names` select."""
    found = sorted(root.glob("book/source/*.md")) + sorted(root.glob("exercises/source/*.md"))
    if not names:
        return found
    picked = []
    for name in names:
        wanted = re.sub(r"(/source|/solutions)(?=/)", "", re.sub(r"\.(md|ipynb)$", "", name))
        hits = [p for p in found if wanted in (p.stem, f"{p.parent.parent.name}/{p.stem}")]
        if not hits:
            raise NotebookError(f"no source is called {name!r}; there are: {relative(found, root)}")
        picked += [p for p in hits if p not in picked]
    return picked


def relative(paths: list[Path], root: Path) -> str:
    """Paths as a reader would type them."""
    return ", ".join(str(p.relative_to(root)) for p in paths)


def targets(source: Path) -> list[Path]:
    """The notebooks that a source makes: the page, or the solution and then its blank."""
    folder = source.parent.parent
    page = folder / f"{source.stem}.ipynb"
    if folder.name == "exercises":
        return [folder / "solutions" / page.name, page]
    return [page]


def expected(source: Path) -> list[NotebookNode]:
    """What the notebooks of a source must hold, outputs aside, in the order of `targets`."""
    nb = read_source(source)
    if source.parent.parent.name == "exercises":
        without = blank(read_source(source, solutions=True))
        if [c.source for c in without.cells] == [c.source for c in nb.cells]:
            raise NotebookError(f"{source}: nothing stands between {BEGIN} and {END}")
        for cell in nb.cells:  # solutions lie one folder deeper
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace("](../", "](../../")
        return [with_ids(nb), without]
    return [nb]


def cells_of(nb: NotebookNode) -> list[tuple]:
    """What must agree between source and notebook: kind, text and metadata of each cell."""
    rows = []
    for cell in nb.cells:
        metadata = {k: v for k, v in cell.metadata.items() if k != "tags"}
        tags = sorted(set(cell.metadata.get("tags", [])) - {BLANK_TAG})
        rows.append((cell.cell_type, cell.source, tags, metadata))
    return rows


def course(folder: Path, root: Path = ROOT) -> list[Path]:
    """Write the exercises for a class, without outputs: for students no hint and no solution, for the teacher both."""
    made = []
    for source in sorted(root.glob("exercises/source/*.md")):
        student, teacher = blank(read_source(source)), read_source(source)
        for cell in student.cells:
            if cell.cell_type == "markdown":
                cell.source = re.sub(r"(?s)<details>.*?</details>\s*", "", cell.source).strip()
        student.cells = [cell for cell in student.cells if cell.source]
        for name, nb in (("students", student), ("teacher", teacher)):
            for cell in nb.cells:  # the book lies elsewhere
                if cell.cell_type == "markdown":
                    cell.source = re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", cell.source)
            made.append(folder / name / f"{source.stem}.ipynb")
            write(with_ids(nb), made[-1])
    return made


def problems(wanted: NotebookNode, path: Path, blanked: bool = False) -> list[str]:
    """Why the notebook at `path` is not a complete run of `wanted`; empty when it is."""
    if not path.exists():
        return ["it does not exist"]
    stored = nbformat.read(path, as_version=4)
    want, have = cells_of(wanted), cells_of(stored)
    for number, (left, right) in enumerate(zip(want, have, strict=False)):
        if left != right:
            return [f"cell {number} is not what the source says: {right[1][:60]!r}"]
    if len(want) != len(have):
        return [f"it has {len(have)} cells, its source makes {len(want)}"]
    wanted_metadata, metadata = dict(wanted.metadata), dict(stored.metadata)
    if wanted_metadata != metadata:
        return [f"its metadata is {metadata}, its source says {wanted_metadata}"]
    rows = []
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        rows.append("it was not run from top to bottom: execution counts are not 1..n")
    if not any(cell.outputs for cell in code):
        rows.append("it has no stored outputs")
    failed = [c for c in code if any(o.output_type == "error" for o in c.outputs)]
    tagged = [c for c in code if BLANK_TAG in c.metadata.get("tags", [])]
    if [c.id for c in failed] != [c.id for c in tagged]:
        rows.append(f"the cells that fail are not those tagged {BLANK_TAG}")
    if blanked and not failed:
        rows.append("no cell of it fails, so nothing is left to do")
    return rows


def orphans(root: Path = ROOT) -> list[Path]:
    """Notebooks without a source."""
    made = {path for source in sources(root=root) for path in targets(source)}
    there = [*root.glob("book/*.ipynb"), *root.glob("exercises/**/*.ipynb")]
    return sorted(p for p in there if p not in made and ".ipynb_checkpoints" not in p.parts)


def check(names: list[str] | None = None, root: Path = ROOT) -> list[str]:
    """One line for each disagreement between the sources and the notebooks."""
    rows = [f"{p.relative_to(root)}: no source makes this notebook" for p in orphans(root)]
    if not write_table(root, only_check=True):
        rows.append(f"{exercise_table.FILE}: not what the sources say: run tools/notebooks.py")
    for source in sources(names, root):
        for wanted, path in zip(expected(source), targets(source), strict=True):
            blanked = path.parent.name == "exercises"
            rows += [f"{path.relative_to(root)}: {why}" for why in problems(wanted, path, blanked)]
        rows += [f"{source.relative_to(root)}: {why}" for why in claims(source)]
    return rows


def claims(source: Path) -> list[str]:
    """What a source says that the outputs of its notebook (of an exercise, its solution) do not."""
    path = targets(source)[0]
    if not path.exists():
        return []
    text = source.read_text(encoding="utf-8")
    missing = unprinted(text, nbformat.read(path, as_version=4))
    return [f"no cell prints {number}, which {{measured}} says" for number in missing]


def write(nb: NotebookNode, path: Path) -> None:
    """Write a notebook in one step: a reader of the file sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(nb)
    part = path.with_suffix(".part")
    part.write_text(nbformat.writes(nb) + "\n", encoding="utf-8")
    part.replace(path)


def write_table(root: Path = ROOT, only_check: bool = False) -> bool:
    """Whether the package's table of exercises was what the sources say; if not, it is written."""
    found = [read_source(path) for path in sorted(root.glob("exercises/source/*.md"))]
    text, path = exercise_table.text(found), root / exercise_table.FILE
    same = not found or (path.exists() and path.read_text(encoding="utf-8") == text)
    if not same and not only_check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return same


def refresh_setup(root: Path = ROOT) -> None:
    """Write the set-up cell anew into every notebook; nothing has to run again for that."""
    for source in sources(root=root):
        for path in targets(source):
            nb = nbformat.read(path, as_version=4)
            next(c for c in nb.cells if c.cell_type == "code").source = setup_cell()
            write(with_ids(nb), path)


def only_text_changed(wanted: NotebookNode, path: Path) -> bool:
    """Give `wanted` the outputs that `path` has, if their code (the set-up apart) is the same and was run."""
    if not path.exists():
        return False
    stored = nbformat.read(path, as_version=4)
    code = [
        [
            (source, set(tags) - UNSTEADY - {"hide-input"}, more)
            for kind, source, tags, more in cells_of(nb)
            if kind == "code"
        ]
        for nb in (wanted, stored)
    ]
    new, old = ([c for c in nb.cells if c.cell_type == "code"] for nb in (wanted, stored))
    run = [cell.execution_count for cell in old] == list(range(1, len(old) + 1))
    if code[0][1:] != code[1][1:] or wanted.metadata != stored.metadata or not run:
        return False
    for cell, same in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = same.outputs, same.execution_count
        if BLANK_TAG in same.metadata.get("tags", []):
            tags = cell.metadata.setdefault("tags", [])
            cell.metadata.tags = [*tags, *(tag for tag in [BLANK_TAG] if tag not in tags)]
    return True


def build(source: Path, again: bool = False, root: Path = ROOT) -> list[Path]:
    """Run the notebooks of one source that changed (all of them with `again`); returns those."""
    made = []
    for wanted, path in zip(expected(source), targets(source), strict=True):
        blanked = path.parent.name == "exercises"
        if not again and not problems(wanted, path, blanked):
            continue
        start = time.perf_counter()
        try:
            if again or not only_text_changed(wanted, path):
                execute(wanted, path.parent, allow_blanks=blanked)
        except NotebookError as error:
            raise NotebookError(f"{path.relative_to(root)}: {error}") from None
        write(wanted, path)
        size = path.stat().st_size / 1e3
        seconds = time.perf_counter() - start
        print(f"{path.relative_to(root)}: {seconds:.1f} s, {size:.0f} kB", flush=True)
        made.append(path)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run or check the notebooks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="e.g. 02_gaussian or exercises/02_gaussian")
    parser.add_argument("--all", action="store_true", help="also run what did not change")
    parser.add_argument("--check", action="store_true", help="run nothing, report disagreements")
    parser.add_argument("--course", type=Path, metavar="DIR", help="exercises to hand out")
    given = parser.parse_args(arguments)
    failures = []
    try:
        if given.course:
            print(f"{len(course(given.course))} notebooks in {given.course}")
        elif given.check:
            failures = check(given.names)
        else:
            write_table()  # which the notebooks of exercises use
            for source in sources(given.names):
                try:
                    build(source, again=given.all)
                except NotebookError as error:
                    failures.append(str(error))
    except NotebookError as error:
        failures.append(str(error))
    for failure in failures:
        print(failure, file=sys.stderr)
    if given.check and not failures:
        print("sources and notebooks agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
