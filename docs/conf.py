"""The Sphinx configuration of the documentation site: ``make docs``.

Sphinx reads the reference from the source files, so it needs no Airflow. The pages are written to be read in the
repository. On the site, links out of this folder lead to the site's own pages.
"""

from __future__ import annotations

import re
import tomllib
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PACKAGE = "airflow_provider_salesblink"

PUBLIC = {
    f"{PACKAGE}.{module}"
    for module in (
        *("operators.campaigns", "operators.prospects", "operators.plans", "operators.team"),
        *("operators.lists", "operators.leads", "operators.sequences", "operators.blocklist"),
        *("operators.results", "operators.api"),
        *("sensors.campaigns", "sensors.prospects", "triggers.events", "triggers.health"),
        *("notifications.campaigns", "assets"),
        *("hooks.salesblink", "client", "client.classic", "loading", "loading.rows", "sandbox"),
    )
}
"""The modules that users import. The rest of the package may change in any version."""

NOT_FOR_USERS = re.compile(
    rf"{PACKAGE}\.(operators|sensors|triggers|notifications)\..*"  # Airflow calls these methods
    rf"|{PACKAGE}\.sandbox\.(?!.*\bSandbox\.).*\w\(\)"  # and the sandbox these
    rf"|{PACKAGE}\.hooks\..*(_name|_type|_attr|_widgets\(\)|_behaviour\(\))"  # and the connection form these
    r"|.*(?<!SalesBlinkError)\.permanent"  # documented once, on the base class
)
"""Members that users do not call. Names of methods end in ``()``."""

TWINS = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Files outside this folder, and the pages that include them."""

project = "airflow-provider-salesblink"
project_copyright = author = "The airflow-provider-salesblink developers"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "autoapi.extension"]
exclude_patterns = ["_build", "_templates"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sphinx = False
add_module_names = False
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True

autoapi_dirs = [str(ROOT / PACKAGE)]
autoapi_root = "reference"
autoapi_template_dir = "_templates"
autoapi_add_toctree_entry = False
autoapi_options = ["members", "imported-members", "undoc-members", "show-inheritance"]
autoapi_python_class_content = "class"


def setup(app: Sphinx) -> None:
    """Connect the functions below to Sphinx's events."""
    app.connect("autoapi-skip-member", skip)
    app.connect("source-read", lambda _, __, content: relink(content, DOCS))
    app.connect("include-read", lambda _, path, __, content: relink(content, (DOCS / path).parent))


def skip(_: Sphinx, what: str, name: str, thing: Any, skipped: bool, __: list[str]) -> bool:  # noqa: ANN401
    """Return whether to leave something out of the reference."""
    if what in ("module", "package"):
        return name not in PUBLIC
    if what == "class":
        thing.bases = []  # they show how the code is divided up, which users need not know
    is_member = what in ("method", "property", "attribute")
    called = f"{name}()" if what in ("method", "property") else name
    return skipped or what == "data" or (is_member and NOT_FOR_USERS.fullmatch(called) is not None)


def relink(content: list[str], folder: Path) -> None:
    """Make the links of a page in ``folder`` of the repository lead to pages of the site.

    The README names pages by their paths (``docs/loading.md`` in backquotes), because relative links are broken on a
    package index. On the site, these paths become links.
    """
    if folder.resolve() == ROOT:
        content[0] = re.sub(r"`docs/([\w-]+\.md)`", r"[`docs/\1`](docs/\1)", content[0])
    content[0] = re.sub(r"\]\((?![a-z]+:|#)([^)#]+)", lambda found: f"]({in_site(folder / found[1])}", content[0])


def in_site(target: Path) -> str:
    """Return where the site has a file of the repository, relative to this folder."""
    path = Path(relpath(target, ROOT))
    if path.name in TWINS:
        return TWINS[path.name]
    if path.parts[0] == "dags_examples":
        return f"examples.md#{path.stem}" if path.suffix else "examples.md"
    return relpath(target, DOCS)
