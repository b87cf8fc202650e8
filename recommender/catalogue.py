"""The items that can be ranked now, by kind: those a model knows first, then those that came since."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from types import MappingProxyType

import numpy as np

from recommender.counting import Counting
from recommender.history import Items, Kin
from recommender.shelf import ALWAYS, Shelf, window_of
from recommender.stores.base import Item
from recommender.stores.base import Items as ItemStore
from recommender.texts import Chain
from recommender.tokens import pieces_of, tokens_of
from recommender.types import FloatArray, IntArray, Kind, code64

_NONE = np.zeros(0, np.int64)

MOST_CHANGES = 256
"""Changes of a shelf that are remembered, for who works something out of it."""

FEW = 10_000
"""Items of a model whose ids are kept as texts: about a megabyte."""

Changes = tuple[int, list[Item], list[str]]
"""A cursor, the items that were put since another one, and the ids of those deleted."""

FindKin = Callable[[IntArray], tuple[IntArray, FloatArray]]
"""The known items that stand in for one with these pieces: positions, and weights > 0."""


class Catalogue:
    """Follows the store's items; what changed since the last look is read, nothing else.

    models: the codes (ascending) and ids that the model in use was trained on, by kind; counting: how it counts uses.
    kin: by kind, what finds the kin of an item that came later, by its pieces.
    before: one of the same store, with another model, whose items need not be read and told apart once more.
    """

    def __init__(
        self,
        store: ItemStore,
        models: Mapping[Kind, tuple[IntArray, Sequence[str]]],
        kin: Mapping[Kind, FindKin] = MappingProxyType({}),
        counting: Mapping[Kind, Counting | None] = MappingProxyType({}),
        before: "Catalogue | None" = None,
    ) -> None:
        self._store = store
        self._kinds = {
            kind: _KindOf(*models.get(kind, (_NONE, ())), kin.get(kind), counting.get(kind)) for kind in Kind
        }
        self._entries: dict[int, Item] = {}
        self._gone: set[int] = set()
        self._cursor = 0
        self._turn = Lock()
        if before is not None:
            self._go_on_from(before)
        self._shelves: dict[Kind, Shelf] = {}
        self.refresh()
        for kind in self._kinds.keys() - self._shelves.keys():
            self._shelves[kind] = self._kinds[kind].shelf()

    def _go_on_from(self, before: "Catalogue") -> None:
        with before._turn:
            self._entries, self._gone, self._cursor = before._entries.copy(), before._gone.copy(), before._cursor
            for kind, part in self._kinds.items():
                part.go_on_from(before._kinds[kind], before._shelves[kind].items, self._entries)
        for kind, part in self._kinds.items():
            part.leave([*self._gone, *(code for code, item in self._entries.items() if item.kind is not kind)])

    def refresh(self) -> None:
        """Catch up with the store; a few microseconds where nothing changed."""
        self.take(self.changes())

    def changes(self) -> Changes:
        """What the store has that is not here yet; in any thread."""
        return self._store.changes(self._cursor)

    def take(self, changes: Changes) -> None:
        """Catch up with what was read; what is here already, or newer, stays."""
        with self._turn:
            if changes[0] > self._cursor:
                self._take(*changes)

    def _take(self, cursor: int, put: list[Item], deleted: list[str]) -> None:
        self._cursor = cursor
        touched = set()
        for id_ in deleted:
            gone = self._entries.pop(code64(id_), None)
            for kind in Kind if gone is None else (gone.kind,):
                self._kinds[kind].delete(code64(id_))
                touched.add(kind)
        coded = {code64(item.id): item for item in put}
        self._gone = (self._gone | set(map(code64, deleted))) - coded.keys()
        self._entries.update(coded)
        for kind, part in self._kinds.items():
            here = {code: item for code, item in coded.items() if item.kind is kind}
            elsewhere = coded.keys() - here.keys()  # a deleted item may have come back as another kind meanwhile
            part.put(here)
            left = part.leave(list(elsewhere)) if elsewhere else False
            if here or left:
                touched.add(kind)
        for kind in touched:
            self._shelves[kind] = self._kinds[kind].shelf()

    def shelf(self, kind: Kind) -> Shelf:
        """What can be ranked of a kind."""
        return self._shelves[kind]

    def entry(self, id_: str) -> Item | None:
        """The catalogue's entry of an item, None where it has none."""
        return self._entries.get(code64(id_))

    def entry_of(self, code: int) -> Item | None:
        """The same by the item's code."""
        return self._entries.get(code)

    def title(self, id_: str) -> str:
        """What people call an item; its id where it has no title."""
        found = self.entry(id_)
        return (found.title if found else None) or id_


class _KindOf:
    """One kind: the trained items, laid out once, and the late ones, laid out anew at each change."""

    def __init__(
        self, codes: IntArray, ids: Sequence[str], find_kin: FindKin | None, counting: Counting | None
    ) -> None:
        self._find_kin = find_kin if codes.size else None
        self._kin: dict[int, tuple[IntArray, FloatArray]] = {}
        ids = list(ids) if len(ids) <= FEW else ids
        self._trained = Items(codes, codes.size, ids, np.zeros(codes.size + 1, np.int64), _NONE, counting=counting)
        self._tokens: dict[int, IntArray] = {}
        self._stale: set[int] = set()
        self._late: dict[int, str] = {}
        self._hidden: set[int] = set()
        self._windows: dict[int, tuple[int, int]] = {}
        self._changed: set[int] = set()
        self._version, self._changes = 0, deque[tuple[int, frozenset[int]]](maxlen=MOST_CHANGES)

    def go_on_from(self, before: "_KindOf", items: Items, entries: Mapping[int, Item]) -> None:
        """Take in what another model's items are told of. items: those of its shelf; entries: the catalogue's."""
        self._tokens, self._windows = before._tokens.copy(), before._windows.copy()
        self._hidden = before._hidden & self._tokens.keys()
        codes = np.fromiter(self._tokens, np.int64, len(self._tokens))
        at = self._trained.positions(codes)
        rows = np.full(self._trained.codes.size, -1)
        rows[at[at >= 0]] = items.positions(codes[at >= 0])
        starts, tokens = gathered(items.token_starts, items.tokens, rows)
        self._trained = replace(self._trained, token_starts=starts, tokens=tokens)
        for code in codes[at < 0].tolist():
            self._come(code, entries[code])

    def put(self, items: Mapping[int, Item]) -> None:
        """Take these in, or anew; items: by code."""
        trained = self._trained.positions(np.array(list(items), np.int64)) >= 0
        for (code, item), known in zip(items.items(), trained.tolist(), strict=True):
            self._put(code, item, known)

    def _put(self, code: int, item: Item, known: bool) -> None:
        before, tokens = self._tokens.get(code, _NONE), tokens_of(item)
        self._tokens[code] = tokens
        self._changed.add(code)
        if not known:
            self._come(code, item)
        elif not np.array_equal(before, tokens):
            self._stale.add(code)
        (self._hidden.discard if item.available else self._hidden.add)(code)
        self._windows.pop(code, None)
        window = window_of(item)
        if window != ALWAYS:
            self._windows[code] = window

    def _come(self, code: int, item: Item) -> None:
        self._late[code] = item.id
        if self._find_kin:
            self._kin[code] = self._find_kin(pieces_of(item))

    def delete(self, code: int) -> None:
        self._changed.add(code)
        self._windows.pop(code, None)
        self._tokens.pop(code, None)
        self._late.pop(code, None)
        self._kin.pop(code, None)
        self._hidden.add(code)

    def leave(self, codes: Sequence[int]) -> bool:
        """Take out those of these items that are here; whether any was."""
        trained = self._trained.codes[_known(self._trained, codes)].tolist()
        here = [*trained, *(code for code in codes if code in self._late)]
        for code in here:
            self.delete(code)
        return bool(here)

    def shelf(self) -> Shelf:
        if self._stale:
            at = np.sort(_known(self._trained, list(self._stale)))
            new = [self._tokens.get(code, _NONE) for code in self._trained.codes[at].tolist()]
            starts, values = respliced(self._trained.token_starts, self._trained.tokens, at, new)
            self._trained = replace(self._trained, token_starts=starts, tokens=values)
            self._stale.clear()
        items = self._with_late(sorted(self._late)) if self._late else self._trained
        available = np.ones(items.codes.size, np.bool_)
        available[_known(items, list(self._hidden))] = False
        self._version += 1
        if self._version > 1:
            self._changes.append((self._version, frozenset(self._changed)))
        self._changed.clear()
        opens, closes = self._window_arrays(items)
        return Shelf(items, available, opens, closes, self, self._version, tuple(self._changes))

    def _with_late(self, late: Sequence[int]) -> Items:
        trained, tokens = self._trained, [self._tokens[code] for code in late]
        return replace(
            trained,
            codes=np.concatenate([trained.codes, np.array(late, np.int64)]),
            ids=Chain(trained.ids, [self._late[code] for code in late]),
            token_starts=np.concatenate([trained.token_starts[:-1], trained.tokens.size + _starts(tokens)]),
            tokens=np.concatenate([trained.tokens, *tokens]),
            kin=kin_table([self._kin[code] for code in late]) if self._find_kin else None,
        )

    def _window_arrays(self, items: Items) -> tuple[IntArray, IntArray] | tuple[None, None]:
        if not self._windows:
            return None, None
        both = np.repeat(np.array(ALWAYS)[:, None], items.codes.size, axis=1)
        both[:, items.positions(np.array(list(self._windows)))] = np.array(list(self._windows.values())).T
        return both[0], both[1]


def kin_table(found: Sequence[tuple[IntArray, FloatArray]]) -> Kin:
    """The kin of several items side by side, filled up with the weight 0."""
    width = max((at.size for at, _ in found), default=0)
    table = Kin(np.zeros((len(found), width), np.int64), np.zeros((len(found), width), np.float32))
    for row, (at, weight) in enumerate(found):
        table.at[row, : at.size], table.weight[row, : at.size] = at, weight
    return table


def respliced(starts: IntArray, values: IntArray, rows: IntArray, new: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """Values laid end to end, row after row, with other values in some rows, ascending; and where each row starts."""
    size = np.diff(starts)
    size[rows] = [row.size for row in new]
    ends = zip([0, *starts[rows + 1].tolist()], [*starts[rows].tolist(), values.size], strict=True)
    kept = [values[begin:end] for begin, end in ends]
    parts = [kept[0], *(part for pair in zip(new, kept[1:], strict=True) for part in pair)]
    return np.concatenate([[0], np.cumsum(size)]), np.concatenate(parts)


def gathered(starts: IntArray, values: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Some rows of values laid end to end, laid end to end; an empty row for each -1."""
    size = np.append(np.diff(starts), 0)[rows]
    begins = np.concatenate([[0], np.cumsum(size)])
    return begins, values[np.repeat(starts[rows] - begins[:-1], size) + np.arange(begins[-1])]


def _known(items: Items, codes: Sequence[int]) -> IntArray:
    """The positions of those of these codes that the items have."""
    positions = items.positions(np.array(codes, np.int64))
    return positions[positions >= 0]


def _starts(parts: Sequence[IntArray]) -> IntArray:
    return np.cumsum([0, *(part.size for part in parts)], dtype=np.int64)
