"""How a loop becomes machine code: once for each machine, kept beside the source, with its types said beforehand.

Its types are said so that memory-mapped arrays, which are read-only, and arrays of one's own take the same code: a
specialisation for each would double what there is to compile. What is kept goes by a loop's own file: whoever edits a
loop that loops of other files call removes `__pycache__/*.nb?` here, or those go on with the old one.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types

F = TypeVar("F", bound=Callable[..., object])

_ELEMENTS: dict[str, Any] = {
    "i": types.int64,
    "j": types.int32,
    "h": types.int16,
    "q": types.int8,
    "f": types.float32,
    "d": types.float64,
    "b": types.boolean,
}

_FLAGS = {"reassoc", "contract"}
"""Sums may be taken in any order, so that several are taken at once; NaN and infinities stay what they are."""


def compiled(*signatures: str) -> Callable[[F], F]:
    """Compile a function for arguments of these types.

    signatures: each one or more words, a word for each argument: a letter for its elements (i, j, h, q: integers of 64,
    32, 16 and 8 bits; f, d: floats of 32 and 64; b: booleans), then how many dimensions, 0 for a number. Arrays lie in
    rows; one that is written to has a capital letter.
    """
    known = [tuple(map(_type_of, signature.split())) for signature in signatures]

    def compile_(function: F) -> F:
        for cache in (True, False):  # nowhere to keep what was compiled: it takes seconds at each start then
            try:
                return cast(F, njit(known, cache=cache, nogil=True, error_model="numpy", fastmath=_FLAGS)(function))
            except RuntimeError:
                if not cache:
                    raise
        raise AssertionError

    return compile_


def _type_of(word: str) -> Any:  # noqa: ANN401 - a type of numba's
    element, dimensions = _ELEMENTS[word[0].lower()], int(word[1:])
    return types.Array(element, dimensions, "C", readonly=word[0].islower()) if dimensions else element
