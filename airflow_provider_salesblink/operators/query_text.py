"""The text of a query that an argument gives: one statement, and one that only reads."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowFailException

EXTRA = "pip install 'airflow-provider-salesblink[sql]' on every worker"
_READS = frozenset({"FROM", "SELECT", "TABLE", "VALUES", "WITH"})
"""The first words of queries. FROM is DuckDB's and BigQuery's, TABLE is PostgreSQL's and MySQL's."""
_WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})
_COMMANDS = _WRITES | {
    *("ALTER", "ATTACH", "BEGIN", "CALL", "COPY", "CREATE", "DECLARE", "DESCRIBE", "DO", "DROP", "EXEC", "EXECUTE"),
    *("EXPLAIN", "GRANT", "LOAD", "PRAGMA", "REPLACE", "SET", "SHOW", "TRUNCATE", "USE", "VACUUM"),
}
"""First words of other statements, for errors."""


def one_query(sql: object) -> str:
    """Return the text of a query without the semicolon at its end.

    :raises AirflowFailException: it is not a text, or not one statement that reads. No error shows the query.
    """
    if not isinstance(sql, str):
        raise AirflowFailException(f"sql is a {type(sql).__name__}: pass the text of one SELECT, or a .sql file.")
    text = sql.strip()
    if text.lower().endswith(".sql") and len(text.split()) == 1:
        raise AirflowFailException(
            "sql is the name of a file that Airflow did not read. Write the name itself into the DAG, with .sql in "
            'small letters at its end, as in sql="people.sql", or pass the text of the query. Airflow does not read '
            "a name that comes from a template or a mapped value."
        )
    statements = _statements(text)
    if not statements or text == "None":
        raise AirflowFailException("sql is empty: its template found nothing. Pass one SELECT.")
    if len(statements) > 1:
        raise AirflowFailException(f"sql holds {len(statements)} statements: pass one SELECT.")
    _check_reads(statements[0])
    return text.rstrip("; \t\r\n")


def _check_reads(words: list[str]) -> None:
    """Check that a statement does not write, because some drivers commit by themselves.

    :param words: its words and signs in capitals.
    """
    first = next((word for word in words if word != "("), "")
    if first not in _READS:
        raise AirflowFailException(f"sql {_beginning(first)}, so it is not a query: pass one SELECT.")
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        # These words may also be the names of columns and functions. SELECT ... INTO makes a table or a file.
        is_write = word in _WRITES and before in ("(", ")") and _is_name(after)
        if is_write or (word == "INTO" and before != "." and _is_name(after)):
            raise AirflowFailException(f"sql has {word} in it, so it writes: pass one SELECT that changes nothing.")


def _is_name(word: str) -> bool:
    return word[:1].isalpha() or word[:1] in ("_", '"', "`", "[", "'", "@", "#")


def _beginning(word: str) -> str:
    # Other words may be data.
    return f"begins with {word}" if word in _COMMANDS else "does not begin with SELECT or WITH"


def _statements(text: str) -> list[list[str]]:
    """Return the words and signs of each statement, in capitals, without comments."""
    try:
        from sqlparse import lexer, split, tokens
    except ImportError:
        raise AirflowFailException(f"sql needs a package that is not installed: {EXTRA}.") from None
    found = []
    for statement in split(text):
        words = [
            # A literal stays one word, whatever it holds. The lexer joins words such as GROUP BY.
            value.upper() if kind in tokens.Literal else value.split()[0].upper()
            for kind, value in lexer.tokenize(statement)  # type: ignore[no-untyped-call]
            if kind not in tokens.Comment and kind not in tokens.Whitespace and value.strip(" ;")
        ]
        found += [words] if words else []
    return found
