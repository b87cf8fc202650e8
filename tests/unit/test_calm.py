import numpy as np

from recommender.settings import STABILITY
from recommender.types import Kind
from tests.unit.steps import letters, log_of_letters
from training.calm import DIALS, Calm
from training.evaluation import Row
from training.fit.kind import fit_by_habit
from training.next_use import next_use
from training.report import calm_table

LETTERS = "abcabdabcaabbcdeabcdbacbdeacabacbeabdcbabcadbeaccbadbabdec"


def curve(calm: Calm) -> dict[float, Row]:
    return {float(str(row["stability"])): row for row in calm.rows()}


def test_changes_and_hits_of_two_pages_that_can_be_drawn_on_paper() -> None:
    calm, all_ = Calm(2), np.ones(3, np.bool_)
    for odds, wanted in (([4, 2, 1], 0), ([2, 4, 1], 1), ([1, 1.03, 4], 2)):
        calm.show(0, np.log(np.array(odds, np.float32)), all_, wanted)
    off, frozen, some = (curve(calm)[stability] for stability in (0.0, 1.0, 0.2))
    assert (off["changes"], off["hit@1"], off["hit@2"]) == ((2 + 2) / 2, 1, 1)
    assert (frozen["changes"], frozen["hit@1"], frozen["hit@2"]) == (0, 1 / 3, 2 / 3)
    assert (frozen["fewer"], frozen["hit@1_lost"]) == (1, 1 - 1 / 3)
    assert (some["changes"], some["hit@1"]) == ((2 + 1) / 2, 1)


def test_customers_have_pages_of_their_own_and_a_first_page_changes_nothing() -> None:
    calm, all_ = Calm(1), np.ones(2, np.bool_)
    for customer, odds in ((0, [1, 0]), (1, [0, 1]), (0, [1, 0]), (1, [0, 1])):
        calm.show(customer, np.array(odds, np.float32), all_, 0)
    assert {row["changes"] for row in calm.rows()} == {0}
    assert list(Calm(6).rows()) == []


def test_a_higher_dial_changes_less_over_a_whole_log_and_the_default_is_among_them() -> None:
    calm = Calm(3)
    rows = next_use(log_of_letters(LETTERS, LETTERS[::-1]), letters("abcde"), split=0.4, fit=fit_by_habit, calm=calm)
    found = list(calm.rows())
    moved = [float(str(row["changes"])) for row in found]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > moved[-1] == 0
    assert [row["stability"] for row in found] == sorted({*DIALS, STABILITY[Kind.FEATURE]})
    assert [row["stability"] for row in found if row["default"]] == [STABILITY[Kind.FEATURE]]
    assert (found[0]["hit@1"], found[0]["fewer"], found[0]["hit@3_lost"]) == (rows[0]["hit@1"], 0, 0)


def test_the_table_shows_the_shares_and_marks_the_default() -> None:
    calm = Calm(2)
    for odds in ([2, 1, 0], [1, 2, 0], [0, 1, 2]):
        calm.show(0, np.array(odds, np.float32), np.ones(3, np.bool_), int(np.argmax(odds)))
    table = calm_table(list(calm.rows()))
    names = [str(column.header) for column in table.columns]
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    assert [name.strip() for name in names] == ["stability", "changes", "fewer", "hit@1", "lost", "hit@2", "lost"]
    assert [cell for cell in cells[0] if "*" in cell] == [f"{STABILITY[Kind.FEATURE]:.2f} *"]
    assert (cells[1][0], cells[2][0], cells[2][-1], cells[4][-1]) == ("2.00", "0.0%", "100.0%", "66.7%")
