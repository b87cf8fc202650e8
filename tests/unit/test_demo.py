from dataclasses import replace

import pytest

from recommender.history import Context
from recommender.model import untrained
from recommender.page import Request, SlotRequest
from recommender.recommender import Recommender
from recommender.settings import Placement, Settings
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.types import DAY, Kind, code32
from tests.contracts.worlds import Event, batch
from training.demo import SOON, rising

NOW = Context(now=100 * DAY, zone=120, channel=code32("web"))


@pytest.mark.parametrize("stability", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("uses", ["aabbccddeeffgg", "aaabbbccd", "aaaaabbbbcccdde", "aaaaaaaah"])
def test_the_move_that_is_promised_is_the_move_that_is_seen(uses: str, stability: float) -> None:
    store = MemoryStore(())
    store.items.put([Item(letter, Kind.FEATURE) for letter in "abcdefgh"])
    menu = Placement(kind=Kind.FEATURE, size=4, stability=stability)
    recommender = Recommender(store, untrained(), Settings(placements={"menu": menu}))
    days = [Event("crm:1", f"e{n}", time=(80 + n) * DAY, item=item) for n, item in enumerate(uses)]
    store.events.append(batch(days))

    def seen(context: Context, k: int | None = None) -> list[str]:
        answer = recommender.recommend(Request("crm:1", (SlotRequest("menu", k),), context))
        return [item.item for item in answer.slots[0].items]

    everything = seen(NOW, 8)
    recommender = Recommender(store, untrained(), Settings(placements={"menu": menu}))
    seen(NOW)
    used, lifted, before, after = rising(recommender, store, "crm:1", NOW, menu)
    assert everything.index(lifted) + 1 == before
    store.events.append(batch([Event("crm:1", "now", time=NOW.now, item=used)]))
    assert seen(replace(NOW, now=NOW.now + SOON)).index(lifted) + 1 == after
    assert after < before or uses != "aabbccddeeffgg"
