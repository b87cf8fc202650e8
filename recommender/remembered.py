"""What is kept of a customer, in words and numbers that a person can read."""

from typing import Any

import numpy as np

from recommender.catalogue import Catalogue
from recommender.history import history_of
from recommender.profile import Profile
from recommender.stores.base import Store, StoredEvent
from recommender.types import Kind, instant


def remembered(store: Store, catalogue: Catalogue, customer: str, limit: int) -> dict[str, Any]:
    """Identities, how many events, habits by kind (most used first), and the newest events."""
    profile = store.events.profile(customer)
    return {
        "identities": store.identities.find(customer),
        "events": len(profile),
        "habits": {kind.value: _habits(profile, catalogue, kind, limit) for kind in Kind},
        "recent": [_event(event) for event in store.events.recent(customer, limit)],
    }


def _habits(profile: Profile, catalogue: Catalogue, kind: Kind, limit: int) -> list[dict[str, Any]]:
    items = catalogue.shelf(kind).items
    history = history_of(profile, items)
    uses = np.bincount(history.item, minlength=items.codes.size)
    np.add.at(uses, history.older_item, history.older_count)
    habits = []
    for at in np.argsort(-uses, kind="stable")[:limit]:
        if uses[at] == 0:
            break
        habit: dict[str, Any] = {"item": items.ids[at], "uses": int(uses[at])}
        mine = np.flatnonzero(history.item == at)
        if mine.size:
            hours = np.bincount(history.week[mine] // 60 % 24)
            habit |= {"last": instant(int(history.time[mine[-1]])), "usual_hour": int(hours.argmax())}
        habits.append(habit)
    return habits


def _event(event: StoredEvent) -> dict[str, Any]:
    sent = {
        "event_id": event.event_id,
        "customer": event.identity,
        "type": event.type,
        "item": event.item,
        "at": instant(event.time, event.zone),
        "channel": event.channel,
        "position": event.position or None,
        **event.extra,
    }
    return {name: value for name, value in sent.items() if value is not None}
