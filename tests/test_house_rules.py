"""What the house rules find, and what they let pass."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def _rules() -> Any:
    spec = importlib.util.spec_from_file_location("house_rules", ROOT / ".ci" / "house_rules.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rules = _rules()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Start anew.", "anew"),
        ("Anew it starts.", "Anew"),
        ("whom it mails", "whom"),
        ("def test_what_is_told():", "told"),
        ("beside the file", "beside"),
        ("The log tells it.", "tells"),
        ("It cannot tell.", "tell"),
        ("unless told otherwise", "told"),
        ("whoever reads this", "whoever"),
        ("in nobody's way", "nobody's"),
        ("Mend the rows.", "Mend"),
        ("All were mended.", "mended"),
        ("You shall not pass.", "shall"),
        ("One reading settles it.", "settles"),
        ("while it is settling", "settling"),
        ("This is no address.", "is no"),
        ("They are no values.", "are no"),
        ("It was no\n    address.", "was no"),
    ],
)
def test_a_word_that_must_not_come_back_is_found(text: str, word: str) -> None:
    (finding,) = rules.dialect("page.md", f"A first line.\n{text}\n")

    assert finding.startswith(f"page.md:2: '{word}': write ")


@pytest.mark.parametrize(
    "text",
    [
        "There is no address, and there were no rows.",
        "If there\n    is no address, it fails.",
        "It is no longer read, and they are no more.",
        "the settling_time of a policy",
        "besides the file",
        "recommended, amended, teller, shallow, storytelling",
        "Nobody opted out.",
    ],
)
def test_ordinary_english_passes(text: str) -> None:
    assert list(rules.dialect("page.md", text)) == []


def test_each_avoided_word_has_a_better_one() -> None:
    for words in rules.WORDS:
        for word in words.replace(r"\w*", "").split("|"):
            assert rules.better(word)
            assert list(rules.dialect("page.md", f"a {word} b"))


@pytest.mark.parametrize(
    ("name", "is_checked"),
    [
        ("README.md", True),
        ("Makefile", True),
        (".ci/run", True),
        (".github/PULL_REQUEST_TEMPLATE.md", True),
        ("airflow_provider_salesblink/client/retry.py", True),
        ("airflow_provider_salesblink/sandbox/page.html", True),
        (".ci/house_rules.py", False),
        ("tests/test_house_rules.py", False),
        ("LICENSE", False),
        ("docs/images/failed-task.png", False),
        ("docs/api/classic_api.openapi.yaml", False),
    ],
)
def test_our_texts_are_checked_and_no_others(name: str, is_checked: bool) -> None:
    assert rules.is_prose(name) is is_checked


def test_a_long_readme_is_found() -> None:
    assert list(rules.long_readme("word " * rules.README_WORDS)) == []
    assert "751 words" in next(rules.long_readme("word " * 751))


def test_a_long_module_is_found() -> None:
    at_most, above = "x = 1\n" * rules.MODULE_LINES, "x = 1\n" * (rules.MODULE_LINES + 1)

    (finding,) = rules.long_modules({"package/fits.py": at_most, "package/long.py": above})

    assert finding.startswith("package/long.py:351: 351 lines")


def test_a_crowded_client_is_found() -> None:
    modules = [f"{rules.PACKAGE}/client/m{number}.py" for number in range(rules.CLIENT_MODULES)]
    elsewhere = [f"{rules.PACKAGE}/client/__init__.py", f"{rules.PACKAGE}/client/classic/team.py"]

    assert list(rules.crowded_client(modules + elsewhere)) == []
    assert "21 modules" in next(rules.crowded_client([*modules, f"{rules.PACKAGE}/client/more.py"]))


def _function(name: str, lines: int) -> str:
    return f'def {name}():\n    """A docstring\n    of two lines."""\n' + "    x = 1\n" * lines


def test_a_function_is_as_long_as_its_body_without_the_docstring() -> None:
    assert list(rules.function_lengths("a.py", _function("f", 4))) == [(4, "a.py:1")]
    assert list(rules.function_lengths("a.py", "async def f(\n    x,\n):\n    return (\n        x\n    )\n")) == [
        (3, "a.py:1")
    ]


def test_functions_that_are_long_at_the_median_are_found() -> None:
    fits = {"a.py": _function("f", 6) + _function("g", 6) + _function("h", 30)}
    long = {"a.py": _function("f", 6) + _function("g", 7) + _function("h", 30)}

    assert list(rules.long_functions(fits)) == []
    (finding,) = rules.long_functions(long)
    assert finding.startswith("a.py:20: the median function has 7 lines")


def test_a_whole_checkout_is_checked(tmp_path: Path) -> None:
    names = ["README.md", f"{rules.PACKAGE}/long.py", f"{rules.PACKAGE}/odd.py", "picture.png"]
    texts = ["word " * 800, "x = 1\n" * 400, "# Start anew.\n", "anew"]
    for name, text in zip(names, texts, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    found = [finding.partition(" ")[0] for finding in rules.check(tmp_path, names)]

    assert found == [f"{rules.PACKAGE}/odd.py:1:", "README.md:1:", f"{rules.PACKAGE}/long.py:400:"]
