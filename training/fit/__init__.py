"""One file per source: how its arrays are computed from a log."""
