"""Where the stores that tests open lie: in memory, in a folder, or in a schema of its own on PostgreSQL."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory

import psycopg
import pytest

DATABASE = "MURMELI_TEST_DATABASE"
USUAL = "postgresql://postgres@127.0.0.1:5432/postgres"

PLACES = ("memory", "sqlite", "postgres")


@contextmanager
def place(kind: str) -> Iterator[str]:
    """An empty place for a store; gone afterwards."""
    if kind == "memory":
        yield "memory:"
    elif kind == "sqlite":
        with TemporaryDirectory() as home:
            yield home
    else:
        with schema() as url:
            yield url


@contextmanager
def schema() -> Iterator[str]:
    """The address of an empty schema; the test is skipped where there is no PostgreSQL, unless one was promised."""
    url, name = reachable(), f"murmeli_test_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
        finally:
            connection.execute("SET client_min_messages TO warning")
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def reachable() -> str:
    """The address of a PostgreSQL to test with."""
    problem = _problem()
    if problem and DATABASE not in os.environ:
        pytest.skip(f"no PostgreSQL at {USUAL}; start one, or set {DATABASE}")
    assert not problem, f"{DATABASE} is set, but nothing answers there"
    return os.environ.get(DATABASE, USUAL)


@cache
def _problem() -> str | None:
    try:
        psycopg.connect(os.environ.get(DATABASE, USUAL), connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None
