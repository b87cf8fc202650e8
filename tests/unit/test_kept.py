import gc
from itertools import count

import numpy as np

from recommender.history import Items
from recommender.kept import Kept


def items() -> Items:
    none = np.zeros(0, np.int64)
    return Items(none, 0, (), np.zeros(1, np.int64), none)


def test_what_is_worked_out_of_an_object_is_worked_out_once_and_goes_with_it() -> None:
    number = count(1)
    size: Kept[Items, int] = Kept(lambda _: next(number))
    one, other = items(), items()
    assert [size(one), size(other), size(one)] == [1, 2, 1]
    del one
    gc.collect()
    assert len(size) == 1
    assert size(other) == 2
