"""The repository's address. It stands in pyproject.toml, [project.urls], or is not known.

    python tools/address.py                    print the address, or say that none is known
    python tools/address.py --check            hold every mention of it to the one in pyproject.toml
    python tools/address.py --publishable      fail unless it is $GITHUB_REPOSITORY's
    python tools/address.py --write [ADDRESS]  take it from ADDRESS, $GITHUB_REPOSITORY or `git remote`,
                                               and write it: pyproject.toml, README.md, set-up cells

Without an address no set-up cell installs anything and the site has no button that leads to Colab or
to the repository, because whoever held the account of a made-up address could run code at readers'.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

__all__ = ["address", "derived", "disagreements", "slug", "with_links", "write"]

ROOT = Path(__file__).resolve().parent.parent
FORM = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)")
# Links to other people's repositories are fine: only those that end in our name are ours.
SLUG = r"([\w.-]+)/{name}(?![\w-])"
PLACES = (
    r"(?<![\w.])github\.com/" + SLUG,
    r"colab\.research\.google\.com/github/" + SLUG,
    r"(?<![\w.])raw\.githubusercontent\.com/" + SLUG,
    r"([\w-]+)\.github\.io/{name}(?![\w-])",
)
COLAB = " ([Colab](https://colab.research.google.com/github/{}/{}/blob/main/{}))"


def address(root: Path = ROOT) -> str | None:
    """The repository's address as pyproject.toml gives it, without a closing slash; None if it does not."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = project.get("urls", {}).get("Repository")
    return checked(url) if url else None


def checked(url: str) -> str:
    """The address in its one form, or a ValueError."""
    url = url.rstrip("/")
    if not FORM.fullmatch(url):
        raise ValueError(f"{url!r} is not of the form https://github.com/OWNER/NAME")
    return url


def slug(url: str) -> tuple[str, str]:
    """Owner and name.

    >>> slug("https://github.com/ada/waves")
    ('ada', 'waves')
    """
    return FORM.fullmatch(url).groups()


def derived(root: Path = ROOT) -> str | None:
    """What the surroundings say: $GITHUB_REPOSITORY in a workflow, else the remote `origin`."""
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        return checked(f"https://github.com/{repository}")
    remote = subprocess.run(
        ["git", "remote", "get-url", "origin"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    found = re.fullmatch(
        r"(?:https://|git@|ssh://git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?", remote
    )
    return f"https://github.com/{found[1]}" if found else None


def mentions(text: str, name: str) -> list[tuple[str, str]]:
    """Each mention of a repository called `name`: the mention and its owner.

    >>> mentions("see https://ada.github.io/waves/ and github.com/bob/waves@main", "waves")
    [('github.com/bob/waves', 'bob'), ('ada.github.io/waves', 'ada')]
    """
    return [
        (match[0], match[1])
        for place in PLACES
        for match in re.finditer(place.format(name=re.escape(name)), text)
    ]


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


def disagreements(root: Path = ROOT) -> list[str]:
    """One line for each mention of this repository under another owner than pyproject.toml's."""
    url = address(root)
    owner, name = slug(url) if url else (None, "minigen")
    return [
        f"{path.relative_to(root)}: {mention}, not owned by {owner or 'anybody known'}"
        for path in text_files(root)
        if path.parent.name not in ("tests", "tools")
        for mention, other in mentions(path.read_text(encoding="utf-8"), name)
        if other != owner
    ]


def with_links(text: str, url: str | None) -> str:
    """README's text with a link to Colab behind each link to a notebook, or without them."""
    text = re.sub(r" \(\[Colab\]\([^)]*\)\)", "", text)
    if url is None:
        return text
    colab = lambda match: match[0] + COLAB.format(*slug(url), match[1])
    return re.sub(r"\[[^\]]+\]\(((?:book|exercises)/\w+\.ipynb)\)", colab, text)


def write(url: str | None, root: Path = ROOT) -> None:
    """Make `url` the repository's address (None: none is known), everywhere it stands."""
    path = root / "pyproject.toml"
    text = re.sub(r"\n\[project\.urls\]\nRepository = .*\n", "", path.read_text(encoding="utf-8"))
    url = checked(url) if url else None
    if url:
        entry = f'\n[project.urls]\nRepository = "{url}"\n'
        text = text.replace("\n[project.scripts]", f"{entry}\n[project.scripts]")
    path.write_text(text, encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(with_links(readme.read_text(encoding="utf-8"), url), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Print, check or change the address."""
    known, here = address(), derived()
    if not arguments:
        print(known or "no address is known: python tools/address.py --write")
    elif arguments == ["--check"]:
        rows = disagreements()
        print("\n".join(rows) or f"every mention of the repository agrees: {known or 'none'}")
        return 1 if rows else 0
    elif arguments == ["--publishable"]:
        if known is None or known != here:
            print(f"pyproject.toml says {known}, this is {here}: run the workflow `address` first")
            return 1
    elif arguments[0] == "--write" and len(arguments) <= 2:
        url = arguments[1] if len(arguments) == 2 else here
        if url is None:
            print("neither $GITHUB_REPOSITORY nor the remote `origin` says where this is on GitHub")
            return 1
        write(url)
        from notebooks import refresh_setup

        refresh_setup()
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
