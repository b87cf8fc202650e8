"""The embedded store: one file for what is known, one for what was answered."""
