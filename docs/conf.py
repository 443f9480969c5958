"""How Sphinx makes the site of these pages: ``make docs``.

The reference is read from the text of the sources, so that no Airflow is needed. The pages are written to be read in
the repository; links that lead out of this folder lead to the site's own pages here.
"""

from __future__ import annotations

import re
import tomllib
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PACKAGE = "airflow_provider_salesblink"

PUBLIC = {
    f"{PACKAGE}.{module}"
    for module in (
        *("operators.campaigns", "operators.prospects", "operators.team"),
        *("sensors.campaigns", "sensors.prospects", "triggers.events", "notifications.campaigns", "assets"),
        *("hooks.salesblink", "client", "client.classic", "loading", "loading.rows", "sandbox"),
    )
}
"""What users import from. The rest of the package may change from one version to the next."""

OF_NO_USE = re.compile(
    rf"{PACKAGE}\.(operators|sensors|triggers|notifications)\..*"  # Airflow calls these methods
    rf"|{PACKAGE}\.sandbox\.(?!.*\bSandbox\.).*\w\(\)"  # and the sandbox these
    rf"|{PACKAGE}\.hooks\..*(_name|_type|_attr|_widgets\(\)|_behaviour\(\))"  # and the connection form these
    r"|.*(?<!SalesBlinkError)\.permanent"  # told once, where it comes from
)
"""Members that are for others than users. Methods end in ``()``."""

TWINS = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}

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
    """Connect what is below to what Sphinx does."""
    app.connect("autoapi-skip-member", skip)
    app.connect("source-read", lambda _, __, content: relink(content, DOCS))
    app.connect("include-read", lambda _, path, __, content: relink(content, (DOCS / path).parent))


def skip(_: Sphinx, what: str, name: str, thing: Any, skipped: bool, __: list[str]) -> bool:  # noqa: ANN401
    """Whether something stays out of the reference."""
    if what in ("module", "package"):
        return name not in PUBLIC
    if what == "class":
        thing.bases = []  # of errors they tell something, of the others how the code is divided up
    is_member = what in ("method", "property", "attribute")
    called = f"{name}()" if what in ("method", "property") else name
    return skipped or what == "data" or (is_member and OF_NO_USE.fullmatch(called) is not None)


def relink(content: list[str], folder: Path) -> None:
    """Let the links of a page that stands in ``folder`` of the repository lead to pages of the site."""
    content[0] = re.sub(r"\]\((?![a-z]+:|#)([^)#]+)", lambda found: f"]({in_site(folder / found[1])}", content[0])


def in_site(target: Path) -> str:
    """Where the site has what the repository has at ``target``, as seen from this folder."""
    path = Path(relpath(target, ROOT))
    if path.name in TWINS:
        return TWINS[path.name]
    if path.parts[0] == "dags_examples":
        return f"examples.md#{path.stem}" if path.suffix else "examples.md"
    return relpath(target, DOCS)
