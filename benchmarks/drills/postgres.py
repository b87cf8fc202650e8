"""A schema of its own on a PostgreSQL server, gone after the drill."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def schema(server: str) -> Iterator[str]:
    """The address of an empty schema. server: postgresql://..., of a database where schemas may be made."""
    name = f"murmeli_drill_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    try:
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("SET client_min_messages TO warning")
            connection.execute(f"DROP SCHEMA {name} CASCADE")
