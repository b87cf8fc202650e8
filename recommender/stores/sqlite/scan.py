"""All profiles, for training: read in ranges of customers, put in order in one go."""

from collections.abc import Iterator

from recommender.consent import Purpose, customers_who
from recommender.stores.base import CustomerLog
from recommender.stores.layout import PART, PART_BITS, logs
from recommender.stores.sqlite.consents import statements_of
from recommender.stores.sqlite.database import Database, explained

_PARTS = f"""
SELECT i.customer, p.id, p.body FROM identities i INDEXED BY identities_of_customer
CROSS JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} ORDER BY i.customer
"""  # noqa: S608  the numbers are our own


def scan(database: Database, batch: int, unstated: bool) -> Iterator[CustomerLog]:
    """Logs of about `batch` customers at a time, all of one moment: what is written meanwhile is not in them.

    unstated: whether those who said nothing are among them.
    """
    connection = database.new_reader()
    try:
        with explained(database.path):
            connection.execute("BEGIN")
            names = dict(connection.execute("SELECT code, name FROM names"))
            stated = customers_who(statements_of(connection, Purpose.PERSONALISE), agreed=not unstated)
            rows = (row for row in connection.execute(_PARTS) if (row[0] in stated) != unstated)
            yield from logs(rows, batch, names)
    finally:
        connection.close()
