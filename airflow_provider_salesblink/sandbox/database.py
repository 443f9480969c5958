"""Opens the sandbox's SQLite database, and updates the files of earlier versions."""

from __future__ import annotations

import sqlite3
import time
import uuid
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.options import SandboxUsageError

if TYPE_CHECKING:
    from pathlib import Path

IN_MEMORY = ":memory:"
APPLICATION_ID = 0x5A1E5B01  # marks a sandbox's file, so that the sandbox never writes to another database

# A campaign is a sequence, and a prospect is a lead. `planned` holds the leads that a sequence has tasks for.
SCHEMA = """
CREATE TABLE IF NOT EXISTS campaign (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, paused INT, archived INT NOT NULL DEFAULT 0,
    condition TEXT NOT NULL DEFAULT '', settings TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS lead_list (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL,
    archived INT NOT NULL DEFAULT 0, settings TEXT NOT NULL DEFAULT '{}', columns TEXT NOT NULL DEFAULT '[]',
    created REAL NOT NULL, modified REAL NOT NULL);
CREATE TABLE IF NOT EXISTS attached (
    n INTEGER PRIMARY KEY, campaign_id TEXT NOT NULL, list_id TEXT NOT NULL, UNIQUE (campaign_id, list_id));
CREATE INDEX IF NOT EXISTS attached_list ON attached (list_id, n);
CREATE TABLE IF NOT EXISTS prospect (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, list_id TEXT NOT NULL, address TEXT NOT NULL,
    fields TEXT NOT NULL, unsubscribed INT, archived INT NOT NULL DEFAULT 0, starred INT NOT NULL DEFAULT 0,
    changed REAL);
CREATE INDEX IF NOT EXISTS prospect_list ON prospect (list_id, n);
CREATE INDEX IF NOT EXISTS prospect_address ON prospect (address, n);
CREATE INDEX IF NOT EXISTS prospect_changed ON prospect (changed);
CREATE TABLE IF NOT EXISTS planned (
    n INTEGER PRIMARY KEY, sequence_id TEXT NOT NULL, lead_id TEXT NOT NULL, email TEXT NOT NULL,
    started INT NOT NULL, removed INT NOT NULL DEFAULT 0, UNIQUE (sequence_id, lead_id));
CREATE INDEX IF NOT EXISTS planned_lead ON planned (lead_id);
CREATE INDEX IF NOT EXISTS planned_sequence ON planned (sequence_id, n);
CREATE TABLE IF NOT EXISTS start (
    n INTEGER PRIMARY KEY, sequence_id TEXT NOT NULL, lead_id TEXT NOT NULL, email TEXT NOT NULL,
    reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS member (n INTEGER PRIMARY KEY, record TEXT NOT NULL);
"""
# Version 0.1.0 kept a prospect's campaign, and had no lists..
FROM_0_1_0 = """
ALTER TABLE campaign ADD COLUMN archived INT NOT NULL DEFAULT 0;
ALTER TABLE campaign ADD COLUMN condition TEXT NOT NULL DEFAULT '';
ALTER TABLE campaign ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE campaign ADD COLUMN created REAL NOT NULL DEFAULT 0;
ALTER TABLE prospect RENAME TO old_prospect;
DROP INDEX prospect_campaign;
DROP INDEX prospect_address;
DROP INDEX prospect_changed;
"""
# The people of a running campaign count as started: otherwise they would start again when it is resumed.
FILL_FROM_0_1_0 = """
INSERT INTO lead_list (id, name, owner, created, modified)
    SELECT new_id(), name, 'administrator', now(), now() FROM campaign ORDER BY n;
INSERT INTO attached (campaign_id, list_id)
    SELECT c.id, l.id FROM campaign c JOIN lead_list l ON l.n = (SELECT count(*) FROM campaign o WHERE o.n <= c.n);
INSERT INTO prospect (id, list_id, address, fields, unsubscribed, changed)
    SELECT p.id, a.list_id, p.address, p.fields, p.unsubscribed, p.changed
    FROM old_prospect p JOIN attached a ON a.campaign_id = p.campaign_id ORDER BY p.n;
INSERT INTO planned (sequence_id, lead_id, email, started)
    SELECT p.campaign_id, p.id, p.address, 1
    FROM old_prospect p JOIN campaign c ON c.id = p.campaign_id WHERE NOT c.paused ORDER BY p.n;
DROP TABLE old_prospect;
"""


def open_database(path: str | Path, more_tables: str = "") -> sqlite3.Connection:
    """Open a sandbox's database, or create it.

    :param more_tables: SQL that creates the tables of other modules.
    :raises SandboxUsageError: the file cannot be used, or belongs to another application.
    """
    try:
        # Autocommit: a request's changes are written before its response is sent.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path, more_tables)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        message = f"Cannot use '{path}' as the sandbox's database: {error}"
        raise SandboxUsageError(message) from error
    return db


def _prepare(db: sqlite3.Connection, path: str | Path, more_tables: str) -> None:
    (marked,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and marked != APPLICATION_ID:
        message = f"'{path}' is a database of another application. Choose another file for the sandbox"
        raise SandboxUsageError(message)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # With a write-ahead log, NORMAL loses nothing if the process is killed, and needs no disk sync per commit.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if _is_from_0_1_0(db):
        _update(db)
    db.executescript(SCHEMA + more_tables)


def _is_from_0_1_0(db: sqlite3.Connection) -> bool:
    return any(column[1] == "campaign_id" for column in db.execute("PRAGMA table_info(prospect)"))


def _update(db: sqlite3.Connection) -> None:
    db.create_function("new_id", 0, lambda: str(uuid.uuid4()))
    db.create_function("now", 0, time.time)
    db.executescript(f"BEGIN; {FROM_0_1_0} {SCHEMA} {FILL_FROM_0_1_0} COMMIT;")
