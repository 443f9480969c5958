"""Check what no linter knows: plain English, the length of the README, and the size of modules and functions.

Run ``python .ci/house_rules.py`` in a checkout. It prints one line per finding and exits with 1 if there is any.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = "airflow_provider_salesblink"
README_WORDS = 750
MODULE_LINES = 350
API_MODULE_LINES = 250
CLIENT_MODULES = 20
MEDIAN_FUNCTION_LINES = 6

CHECKED_SUFFIXES = (".py", ".md", ".toml", ".yaml", ".yml", ".html")
# The list below, its tests, and texts that others wrote.
UNCHECKED = (".ci/house_rules.py", "tests/test_house_rules.py", "docs/api/")

# Words that make our English hard to read, each with what to write instead.
WORDS = {
    "anew": "again",
    "whom": "who, or name the person",
    "beside": "next to, or besides",
    "tell|tells|told": "say, show, report, return, log or raise",
    "whoever": "anyone who, or name the reader",
    "nobody's": "no one's, or name the person",
    "mend|mends|mended|mending": "fix or correct",
    "shall": "must or will",
    "settles|settled|settling": "done, decided or ended (only settling_time and the argument settle are terms)",
}
# "It is no address" is not how people speak; "there is no address" and "no longer" are. A comment's sentence may go on
# behind the next "#".
NEGATION = re.compile(r"(there[\s#]+)?\b((?:is|are|was|were)[\s#]+no)\b(?![\s#]+(?:longer|more)\b)", re.IGNORECASE)
# Words inside names count too: "_" ends a word here, and only here.
DIALECT = re.compile("|".join(rf"(?<![A-Za-z])(?:{words})(?![A-Za-z]|_time)" for words in WORDS), re.IGNORECASE)


def main() -> int:
    """Check the checkout; return the exit code."""
    root = Path(__file__).resolve().parent.parent
    findings = list(check(root, tracked(root)))
    print(*findings, sep="\n") if findings else print("House rules: all kept.")
    return bool(findings)


def tracked(root: Path) -> list[str]:
    """Return the paths of the files that git tracks and that exist, relative to ``root``."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)  # noqa: S607
    return [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def check(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield each finding in the named files as ``file:line: what is wrong and what to do``."""
    names = list(names)
    for name in filter(is_prose, names):
        yield from dialect(name, (root / name).read_text(encoding="utf-8"))
    if "README.md" in names:
        yield from long_readme((root / "README.md").read_text(encoding="utf-8"))
    modules = [name for name in names if name.startswith(f"{PACKAGE}/") and name.endswith(".py")]
    sources = {name: (root / name).read_text(encoding="utf-8") for name in modules}
    yield from long_modules(sources)
    yield from crowded_client(modules)
    yield from long_functions(sources)


def is_prose(name: str) -> bool:
    """Return whether the words of this file are checked."""
    path = Path(name)
    ours = path.suffix in CHECKED_SUFFIXES or path.name == "Makefile" or path.parts[0] == ".ci"
    return ours and not name.startswith(UNCHECKED)


def dialect(name: str, text: str) -> Iterator[str]:
    """Yield where ``text`` uses a word that we avoid, with what to write instead."""
    found = [(match.start(), match[0], better(match[0])) for match in DIALECT.finditer(text)]
    found += [(match.start(), match[2], "not a, or: there is no") for match in NEGATION.finditer(text) if not match[1]]
    for start, word, instead in sorted(found):
        yield f"{name}:{text.count(chr(10), 0, start) + 1}: '{' '.join(word.split())}': write {instead}"


def better(word: str) -> str:
    """Return what to write instead of ``word``."""
    return next(instead for words, instead in WORDS.items() if re.fullmatch(words, word, re.IGNORECASE))


def long_readme(text: str) -> Iterator[str]:
    """Yield a finding if the README has too many words."""
    words = len(text.split())
    if words > README_WORDS:
        yield f"README.md:1: {words} words, more than {README_WORDS}: move details to a page of docs/"


def long_modules(sources: dict[str, str]) -> Iterator[str]:
    """Yield each module that is too long."""
    for name, source in sources.items():
        lines = len(source.splitlines())
        most = API_MODULE_LINES if name.startswith(f"{PACKAGE}/client/v1/") else MODULE_LINES
        if lines > most:
            yield f"{name}:{lines}: {lines} lines, more than {most}: split it by topic"


def crowded_client(names: Iterable[str]) -> Iterator[str]:
    """Yield a finding if the client's folder holds too many modules."""
    folder = Path(PACKAGE, "client")
    modules = [name for name in names if Path(name).parent == folder and Path(name).name != "__init__.py"]
    if len(modules) > CLIENT_MODULES:
        yield f"{folder}:1: {len(modules)} modules, more than {CLIENT_MODULES}: join two that belong together"


def long_functions(sources: dict[str, str]) -> Iterator[str]:
    """Yield a finding if the median function of the package is too long; it names the longest one."""
    lengths = sorted(found for name, source in sources.items() for found in function_lengths(name, source))
    median = statistics.median(length for length, _ in lengths) if lengths else 0
    if median > MEDIAN_FUNCTION_LINES:
        longest, place = lengths[-1]
        yield f"{place}: the median function has {median:g} lines, not {MEDIAN_FUNCTION_LINES}; this one has {longest}"


def function_lengths(name: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield the number of lines of each function's body, without its docstring, and where the function stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield length, f"{name}:{node.lineno}"


if __name__ == "__main__":
    sys.exit(main())
