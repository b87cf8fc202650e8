"""Where events, profiles, identities, items and the ledger are kept; opened by URL."""
