"""Learns how far what is said of an item that came after training should move it from the average item.

The blend's weights were learned on items that everybody could use. Of one that nobody could, each source says what it
says of the kin; some of that holds, and some is noise. So items are taken out of the log's windows, fold by fold: out
of the histories, and out of what may stand in for others. The pages of those who then used some of them say how far
each column should reach, as the weights were learned: how probable was it that the first of these was a right one?
The sources were fitted with the items there, which tells them next to nothing of the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.catalogue import kin_table
from recommender.history import History, Items, Kin, Query
from recommender.ranker import Ranker
from recommender.sources.base import Scores, Source
from recommender.sources.text import Text, uses_of
from recommender.types import BoolArray, FloatArray, IntArray
from training.fit.replay import surprise
from training.fit.text import fit_text
from training.questions import Asked

FOLDS = 10
"""Each takes out so small a part that the rest still has kin for it; together they are most of a small catalogue."""

MOST = 150
"""Items that a fold takes out: to find kin takes a millisecond each. Twice as many taught a shop's log no more."""

PAGES = 250
"""Pages of a window that are asked again; as with items."""

PRIOR = 100.0
"""How many questions' worth of evidence it takes to reach further or less far than to 1."""

ENOUGH = 50
"""Pages of every other fold, below which there is no telling."""

SURE = 2.0
"""Standard errors by which those of the folds not learned from must be the better for it."""

TINY = 1e-6
"""What adds no more than this anywhere has no reach."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Items taken out: their positions, ascending, and their kin among all others."""

    out: IntArray
    kin: Kin


@dataclass(frozen=True, slots=True, eq=False)
class Lent:
    """One page as it is asked where the items of a fold came after training.

    query: asked with a history that does not have them. moved: shape (columns, out), how far each column moves them
    from the average item. right: shape (out,), which were used then.
    """

    fold: int
    query: Query
    moved: FloatArray
    right: BoolArray


def folds_of(items: Items, rng: np.random.Generator) -> list[Fold]:
    """Items to be taken out, drawn; none where there are no texts to tell kin by."""
    size = min(items.codes.size // FOLDS, MOST)
    if not items.pieces.size or size < 2:
        return []
    text, drawn = fit_text(items), rng.permutation(items.codes.size)[: FOLDS * size].reshape(FOLDS, size)
    return [_fold(items, text, np.sort(out)) for out in drawn]


def _fold(items: Items, text: Text, out: IntArray) -> Fold:
    left = without(text, out)
    pieces = [items.pieces[items.piece_starts[at] : items.piece_starts[at + 1]] for at in out.tolist()]
    return Fold(out, kin_table([left.kin(own) for own in pieces]))


def without(text: Text, out: IntArray) -> Text:
    """The same texts, less those of some items, which are nobody's kin then."""
    kept, norm = np.ones(text.norm.size, np.bool_), text.norm.copy()
    kept[out], norm[out] = False, 0
    held = kept[text.item]
    starts = np.concatenate([[0], np.cumsum(held)])[text.starts]
    return replace(text, starts=starts, item=text.item[held], norm=norm)


def lent_pages(
    folds: Sequence[Fold], sources: Sequence[Source], asked: Sequence[Asked], there: BoolArray
) -> list[Lent]:
    """Pages on which some items of a fold were right; of several folds they take turns.

    there: shape (n,), the items that anybody used before the window, for others have nothing to lend.
    """
    turn = np.full(there.size, -1)
    for number, fold in enumerate(folds):
        turn[fold.out] = number
    found: list[Lent] = []
    for one in asked if folds else ():
        met = np.unique(turn[one.wanted])
        met = met[met >= 0]
        if met.size and len(found) < PAGES:
            found += _lent(int(met[len(found) % met.size]), folds, sources, one, there)
    return found


def _lent(
    number: int, folds: Sequence[Fold], sources: Sequence[Source], one: Asked, there: BoolArray
) -> Iterator[Lent]:
    """The page, unless it is a stranger's once the fold is out of it."""
    fold = folds[number]
    query = _left_out(one.query, fold.out)
    if query.history.item.size:
        yield Lent(number, query, _moved(fold, sources, query, there), np.isin(fold.out, one.wanted))


def _left_out(query: Query, out: IntArray) -> Query:
    history = query.history
    kept, older = ~np.isin(history.item, out), ~np.isin(history.older_item, out)
    left = History(
        history.item[kept],
        history.time[kept],
        history.week[kept],
        history.channel[kept],
        history.older_item[older],
        history.older_count[older],
        history.type[kept] if history.type.size else history.type,
        history.older_type[older] if history.older_type.size else history.older_type,
    )
    return Query(query.items, left, query.context)


def _moved(fold: Fold, sources: Sequence[Source], query: Query, there: BoolArray) -> FloatArray:
    kin = Kin(fold.kin.at, fold.kin.weight * there[fold.kin.at])
    known = there.copy()
    known[fold.out] = False
    return np.concatenate(
        [
            uses_of(kin, query)[None] if isinstance(source, Text) else _of(source.score([query])[0], fold, kin, known)
            for source in sources
        ]
    )


def _of(part: Scores, fold: Fold, kin: Kin, known: BoolArray) -> FloatArray:
    """Shape (columns, out): what a source moves; 0 where it speaks of items one by one."""
    if part.at is not None:
        return np.zeros((part.floor.size, fold.out.size), np.float32)
    mean = part.values[:, known].mean(axis=1, keepdims=True)
    return kin.moved(part.values, mean) if part.known else part.values[:, fold.out] - mean


def fit_reach(ranker: Ranker, pages: Sequence[Lent]) -> Ranker:
    """The ranker with the reach under which the pages' right answers were most probable, where it proves itself:

    learned on every other fold, it must be better on the rest. Known items are ranked as they were.
    """
    halves = [[page for page in pages if page.fold % 2 == half] for half in (0, 1)]
    if min(map(len, halves)) < ENOUGH:
        return ranker
    learned, asked = (_worths(ranker, half) for half in halves)
    gain = asked.losses(np.ones(len(ranker.columns)))[0] - asked.losses(_climbed(learned))[0]
    if gain.mean() <= SURE * gain.std() / np.sqrt(gain.size):
        return ranker
    return replace(ranker, reach=_climbed(_worths(ranker, pages)).astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class _Worths:
    """What each column adds to the score of each item, shape (total, columns), page by page; starts: (pages,).

    right: shape (total,).
    """

    values: FloatArray
    starts: IntArray
    right: BoolArray

    def losses(self, reach: Vector) -> tuple[Vector, Vector]:
        """Minus the log-likelihood of each page, and the slope of their sum; shapes (pages,), (columns,)."""
        score = (self.values @ reach.astype(np.float32)).astype(np.float64)
        excess, losses = surprise(score, self.starts, self.right)
        return losses, (excess.astype(np.float32) @ self.values).astype(np.float64)


def _worths(ranker: Ranker, pages: Sequence[Lent]) -> _Worths:
    values = np.concatenate([(ranker.weigh(page.query)[:, None] * page.moved).T for page in pages])
    size = [page.right.size for page in pages]
    return _Worths(values, np.cumsum([0, *size[:-1]]), np.concatenate([page.right for page in pages]))


def _climbed(worths: _Worths) -> Vector:
    """Shape (columns,): the reach that maximises the likelihood, drawn towards 1 where evidence is thin."""
    scale = worths.values.std(axis=0, dtype=np.float64)
    moves = scale > TINY
    scale = np.where(moves, scale, 1)

    def loss(scaled: Vector) -> tuple[float, Vector]:
        losses, slope = worths.losses(scaled / scale)
        off = scaled - scale
        return (
            float(losses.sum() + PRIOR / 2 * (off**2).sum()) / losses.size,
            (slope / scale + PRIOR * off) / losses.size,
        )

    found = minimize(loss, scale, jac=True, method="L-BFGS-B", bounds=[(0, None)] * scale.size)
    return np.where(moves, found.x / scale, 1.0)
