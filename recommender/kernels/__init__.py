"""The loops that every answer runs through, compiled to machine code; imported where they are first needed."""

from importlib import import_module

_LOOPS = ("choose", "past", "habit", "transitions", "linear", "described", "blend", "calm", "scan", "whole")


def warm() -> int:
    """Have every loop ready, so that no customer's question waits for it; how many had to be compiled.

    All are on a machine that has none yet, some ten seconds of work, once; later they are read from where numba keeps
    them: beside this package, or in the user's cache where that cannot be written, or at NUMBA_CACHE_DIR.
    """
    loops = [loop for name in _LOOPS for loop in vars(import_module(f"{__name__}.{name}")).values()]
    return sum(bool(loop.stats.cache_misses) for loop in loops if hasattr(loop, "stats"))
