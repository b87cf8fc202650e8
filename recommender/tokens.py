"""What an item is told by: codes of its attributes, the words of its texts, and pieces of these."""

import math
import re
from functools import lru_cache
from typing import Any

import numpy as np

from recommender.shelf import FROM, UNTIL
from recommender.stores.base import Item
from recommender.types import IntArray, code64

_WORD = re.compile(r"\w+")

_token = lru_cache(4_096)(code64)
"""Items share most of what they are told of with others."""


def tokens_of(item: Item) -> IntArray:
    """The codes of an item's attributes and of the words of its title (its id where it has none), ascending.

    A number counts by its power of two, so that 95 and 99 are alike and 10 is not.
    """
    texts = [f"word={word}" for word in _words(item.title or item.id)]
    for name, value in _described(item).items():
        texts += [f"{name}={_class(one)}" for one in (value if isinstance(value, list) else [value])]
    return np.array(sorted(set(map(_token, texts))), np.int64)


def pieces_of(item: Item) -> IntArray:
    """The codes that texts are compared by: the tokens, the words of long attributes, every three letters of a word.

    A word is taken with its two ends, so that `cups` shares `<cu` and `cup` with `cup`, and `lamp` nothing. Of an
    item without a title its id is cut so where it has a space: ids are often numbers, whose digits say nothing.
    """
    longer = [value for value in _described(item).values() if isinstance(value, str)]
    said = [words for words in map(_words, longer) if len(words) > 1]
    title = _words(item.title or (item.id if " " in item.id else ""))
    texts = {f"word={word}" for words in said for word in words}
    texts |= {
        f"piece={edged[at : at + 3]}" for edged in (f"<{word}>" for word in title) for at in range(len(edged) - 2)
    }
    return np.union1d(tokens_of(item), np.fromiter(map(code64, texts), np.int64))


def _described(item: Item) -> dict[str, Any]:
    """The attributes that say what an item is, not when it is there."""
    return {name: value for name, value in (item.attributes or {}).items() if name not in (FROM, UNTIL)}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _class(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"2^{math.floor(math.log2(abs(value)))}" if value else 0
    return value
