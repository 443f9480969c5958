"""Templates: what Airflow logs of one that fails, and what native rendering makes of digits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.arguments import TEXTS, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class RenderingError(RuntimeError):
    """A template could not be rendered, for a reason that may pass."""


class PrivateTemplates:
    """Mixed into what has template fields, before Airflow's class: a failing template shows nothing of a person.

    Airflow logs the whole argument when one of its templates fails: the row of a person, perhaps. So inside of
    Airflow's rendering nothing fails; the error comes afterwards, and says only where the template is.
    """

    _unrendered: list[tuple[object, Exception]] | None = None
    """What failed so far of the argument that is being rendered; None while none is."""

    def _do_render_template_fields(
        self,
        parent: object,
        template_fields: Iterable[str],
        context: object,
        jinja_env: object,
        seen_oids: set[int],
    ) -> None:
        # One by one, to know the argument. Only here are the values of a mapped task seen before Airflow logs them.
        for name in template_fields:
            before = getattr(parent, name, None)
            failures: list[tuple[object, Exception]] = []
            outer, self._unrendered = self._unrendered, failures
            try:
                super()._do_render_template_fields(parent, [name], context, jinja_env, seen_oids)  # type: ignore[misc]
            finally:
                self._unrendered = outer
            for failed, error in failures:
                raise _safe(error, name, before, failed)
            if before is not None and getattr(parent, name, None) is None and name not in TEXTS:
                # With native rendering only. Taken as left out, it would switch off what it stands for.
                raise AirflowFailException(f"{name} is None: its template found nothing. Leave {name} out for none.")

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Render one text, or each text of a collection; a path object as its text."""
        if self._unrendered is None:
            # Not an argument: Airflow 2 renders outlets too, and they are path objects.
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
        template.root_render_func = _recorded(template.root_render_func, parts)
        rendered = super()._render(template, context, *args)  # type: ignore[misc]
        if isinstance(rendered, bool) or not isinstance(rendered, int | float | dict | list):
            return rendered
        text = "".join(map(str, parts)).strip()
        if isinstance(rendered, dict | list):
            return _from_json(text, rendered)
        # Native rendering reads 1_000, +49151, 12.50 and 1e5 as Python does: the id or price would be another one.
        return rendered if text == str(rendered) else text


def _from_json(text: str, rendered: object) -> object:
    """What a JSON text says, which Python reads otherwise: an emoji of ``tojson`` as two halves."""
    try:
        return json.loads(text)
    except ValueError:
        return rendered


def _recorded(function: Callable[..., Iterable[object]], parts: list[object]) -> Callable[..., Iterable[object]]:
    def record(*args: Any) -> Iterator[object]:
        for part in function(*args):
            parts.append(part)
            yield part

    return record


def _safe(error: Exception, argument: str, value: object, failed: object) -> Exception:
    """Return what may be raised for ``error``: Airflow's own as it is, of any other only its kind."""
    package = type(error).__module__.partition(".")[0]
    if package == "airflow":
        # A missing variable, an XCom that is not there, a skip: none of them quotes the argument.
        return error
    where = f"{argument}{_path_to(failed, value) or ''}"
    what = f"{where} cannot be rendered as a Jinja template ({type(error).__name__})."
    if package != "jinja2":
        return RenderingError(what)
    return AirflowFailException(
        f"{what} Check the names and brackets in it. If it is text to send as it is, like a placeholder of SalesBlink, "
        "write {{ '{{first_name}}' }} for {{first_name}}, or put the data into a file: files are not rendered."
    )


def _path_to(wanted: object, value: object) -> str | None:
    """Return where in ``value`` the object ``wanted`` is, by keys and places: ``['Opener']``; None if nowhere."""
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
