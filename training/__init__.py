"""The offline pipeline: from a log to a published model, and how good it is."""
