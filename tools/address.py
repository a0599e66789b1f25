"""The repository's address, from the one place where it stands: pyproject.toml, [project.urls].

    python tools/address.py                          print the address
    python tools/address.py --check                  list every other mention that disagrees
    python tools/address.py https://github.com/me/x  move the repository: rewrite every mention

Everything else (the set-up cell of the notebooks, Colab links, badges, `_config.yml`) mentions
`github.com/<owner>/<name>` or `<owner>.github.io/<name>`, so one search finds all of it.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

__all__ = ["address", "disagreements", "mentions", "move", "slug"]

ROOT = Path(__file__).resolve().parent.parent
FORM = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)")
# Links to other people's repositories are fine: only those that end in our name are ours.
FORK = "you"  # github.com/you/…: a contributor's own copy
SLUG = r"(?P<owner>[\w.-]+)/{name}(?![\w-])"
PLACES = (
    r"(?<![\w.])github\.com/" + SLUG,
    r"colab\.research\.google\.com/github/" + SLUG,
    r"(?<![\w.])raw\.githubusercontent\.com/" + SLUG,
    r"(?P<owner>[\w-]+)\.github\.io/{name}(?![\w-])",
)


def address(root: Path = ROOT) -> str:
    """The repository's address as pyproject.toml gives it, without a closing slash."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = project["urls"]["Repository"].rstrip("/")
    if not FORM.fullmatch(url):
        raise ValueError(
            f"pyproject.toml: Repository is {url!r}, not https://github.com/OWNER/NAME"
        )
    return url


def slug(root: Path = ROOT) -> tuple[str, str]:
    """Owner and name of the repository.

    >>> slug()[1]
    'minigen'
    """
    return FORM.fullmatch(address(root)).groups()


def text_files(root: Path = ROOT) -> list[Path]:
    """Every text file git knows of, notebooks included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    endings = {".md", ".ipynb", ".yml", ".yaml", ".toml", ".cff", ".py", ".txt", ".cfg", ".html"}
    names = (root / name for name in listed.split("\0") if name)
    return sorted(p for p in names if p.is_file() and (p.suffix in endings or p.name == "Makefile"))


def mentions(text: str, name: str = "minigen") -> list[tuple[str, str]]:
    """Each mention of a repository called `name`: the mention and its owner.

    >>> mentions("see https://ada.github.io/waves/ and github.com/bob/waves@main", "waves")
    [('github.com/bob/waves', 'bob'), ('ada.github.io/waves', 'ada')]
    """
    found = []
    for place in PLACES:
        for match in re.finditer(place.format(name=re.escape(name)), text):
            found.append((match.group(0), match.group("owner")))
    return found


def disagreements(root: Path = ROOT) -> list[str]:
    """One line for each mention of this repository under an owner other than pyproject.toml's."""
    owner, name = slug(root)
    rows = []
    for path in text_files(root):
        for mention, other in mentions(path.read_text(encoding="utf-8"), name):
            mine = other.lower() in (owner.lower(), FORK)
            if not mine and path.parent.name != "tests":
                rows.append(f"{path.relative_to(root)}: {mention}, not owned by {owner}")
    return rows


def move(url: str, root: Path = ROOT) -> list[Path]:
    """Rewrite every mention of the present address to `url`; returns the files that changed."""
    new = FORM.fullmatch(url.rstrip("/"))
    if not new:
        raise ValueError(f"{url!r} is not of the form https://github.com/OWNER/NAME")
    owner, name = slug(root)
    pairs = [
        (f"{owner}/{name}", "{}/{}".format(*new.groups())),
        (f"{owner}.github.io/{name}", "{}.github.io/{}".format(*new.groups())),
    ]
    changed = []
    for path in text_files(root):
        if path.parent.name == "tests":
            continue
        before = after = path.read_text(encoding="utf-8")
        for old, fresh in pairs:
            after = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", fresh, after)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    """Print, check or change the address."""
    if not arguments:
        print(address())
    elif arguments == ["--check"]:
        rows = disagreements()
        print("\n".join(rows) or f"every mention of the repository agrees with {address()}")
        return 1 if rows else 0
    elif len(arguments) == 1:
        for path in move(arguments[0]):
            print("changed", path.relative_to(ROOT))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
