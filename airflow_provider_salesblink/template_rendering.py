"""Render templates so that a failing one shows no personal data, and native rendering changes no value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.argument_types import TEXTS, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


_MAY_NAME_A_FILE = ("sql", "insert_sql")
"""The arguments that a template file may hold, if its name ends in one of the task's ``template_ext``."""


_UNDEFINED = re.compile(
    r"'((?:ds|ts)(?:_nodash)?|ts_nodash_with_tz|logical_date|data_interval_(?:start|end))' is undefined"
)


class RenderingError(RuntimeError):
    """A template could not be rendered, and a retry may help."""


class PrivateTemplates:
    """A mixin for classes with template fields; it keeps personal data out of the log when a template fails.

    When a template fails, Airflow logs the whole argument, which may be the row of a person. So this class catches the
    error during Airflow's rendering, and raises one afterward that says only where the template is. The mixin must
    come before Airflow's class.
    """

    _unrendered: list[tuple[object, Exception]] | None = None
    """The failed templates of the argument being rendered, with their errors; None when no argument is."""
    template_ext: Sequence[str]

    def _do_render_template_fields(
        self,
        parent: object,
        template_fields: Iterable[str],
        context: object,
        jinja_env: object,
        seen_oids: set[int],
    ) -> None:
        # One argument at a time, to know its name. Only here are the values of a mapped task seen before Airflow logs
        # them.
        for name in template_fields:
            before = getattr(parent, name, None)
            failures: list[tuple[object, Exception]] = []
            outer, self._unrendered = self._unrendered, failures
            endings = self.template_ext
            # Elsewhere, a text that ends in .sql is a person's cell, not the name of a file.
            self.template_ext = endings if name in _MAY_NAME_A_FILE else ()
            try:
                super()._do_render_template_fields(parent, [name], context, jinja_env, seen_oids)  # type: ignore[misc]
            finally:
                self._unrendered, self.template_ext = outer, endings
            for failed, error in failures:
                raise _without_personal_data(error, name, before, failed)
            if before is not None and getattr(parent, name, None) is None and name not in TEXTS:
                # Happens with native rendering only. Treating it as left out would turn off what the DAG asks for.
                raise AirflowFailException(
                    f"{name} is None: its template found nothing. If there is nothing to pass, leave {name} out."
                )

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Render one text, or each text of a collection; turn a path object into text first."""
        if self._unrendered is None:
            # Not an argument: Airflow 2 renders outlets too, and those are path objects.
            return super().render_template(content, *args, **kwargs)  # type: ignore[misc]
        if self._unrendered:
            return content
        content = path_text(content)
        try:
            return super().render_template(content, *args, **kwargs)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001
            self._unrendered.append((content, error))
            return content

    def _render(self, template: Any, context: Any, *args: Any) -> Any:  # noqa: ANN401
        parts: list[object] = []
        template.root_render_func = _record_parts(template.root_render_func, parts)
        rendered = super()._render(template, context, *args)  # type: ignore[misc]
        if isinstance(rendered, bool) or not isinstance(rendered, int | float | dict | list):
            return rendered
        text = "".join(map(str, parts)).strip()
        if isinstance(rendered, dict | list):
            return _from_json(text, rendered)
        # Native rendering reads 1_000, +49151, 12.50 and 1e5 as Python numbers, which changes an id, phone number or
        # price.
        return rendered if text == str(rendered) else text


def _from_json(text: str, rendered: object) -> object:
    """Parse the text as JSON if it is JSON: Python would read an emoji from ``tojson`` as two characters."""
    try:
        return json.loads(text)
    except ValueError:
        return rendered


def _record_parts(function: Callable[..., Iterable[object]], parts: list[object]) -> Callable[..., Iterable[object]]:
    def record(*args: Any) -> Iterator[object]:
        for part in function(*args):
            parts.append(part)
            yield part

    return record


def _without_personal_data(error: Exception, argument: str, value: object, failed: object) -> Exception:
    """Return the exception to raise for ``error``: Airflow's own as it is, any other reduced to its type and place."""
    from airflow_provider_salesblink.client.redaction import redacted

    package = type(error).__module__.partition(".")[0]
    if package == "airflow":
        # A missing variable or XCom, or a skip: none of these quotes the argument.
        return error
    where = f"{argument}{_path_to(failed, value) or ''}"
    if type(error).__name__ == "TemplateNotFound" and argument in _MAY_NAME_A_FILE:
        name = redacted(str(getattr(error, "name", "")))
        return AirflowFailException(
            f"{where} names a file that Airflow does not find: {name!r}. Give its path below the DAG's folder, or put "
            "its folder into the DAG's template_searchpath."
        )
    what = f"{where} cannot be rendered as a Jinja template ({type(error).__name__})."
    if package != "jinja2":
        return RenderingError(what)
    if word := _undefined_date(error):
        # Airflow's own word: naming it shows nothing of the argument.
        return AirflowFailException(
            f"{what} {word} is undefined: this run has no logical date, as a manual run may have on Airflow 3. Use "
            "{{ run_id }} instead, or trigger the DAG with a logical date."
        )
    return AirflowFailException(
        f"{what} Check its names and brackets. If the text must be sent as it is, like a placeholder of SalesBlink, "
        "write {{ '{{first_name}}' }} for {{first_name}}, or put the data into a file: files are not rendered."
    )


def _undefined_date(error: Exception) -> str | None:
    """Return the word of Airflow that is undefined without a logical date; None if the error has another cause."""
    found = _UNDEFINED.fullmatch(str(error))
    return found[1] if found else None


def _path_to(wanted: object, value: object) -> str | None:
    """Return where ``wanted`` is inside ``value``, by keys and indexes like ``['Opener']``; None if it is not."""
    from airflow_provider_salesblink.client.redaction import redacted

    if value is wanted:
        return ""
    match value:
        case dict():
            items: Iterable[tuple[object, object]] = value.items()
        case list() | tuple():
            items = enumerate(value)
        case _:
            return None
    for key, each in items:
        if (path := _path_to(wanted, each)) is not None:
            return f"[{redacted(repr(key))}]{path}"
    return None
