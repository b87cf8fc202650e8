"""What is kept of a customer, in words and numbers that a person can read."""

from typing import Any

import numpy as np

from recommender.catalogue import Catalogue
from recommender.consent import Purpose
from recommender.history import history_of
from recommender.profile import Profile
from recommender.stores.base import Store
from recommender.stores.telling import event_as_sent
from recommender.types import Kind, instant


def remembered(store: Store, catalogue: Catalogue, customer: str, limit: int) -> dict[str, Any]:
    """Identities, how many events, habits by kind (most used first), the newest events, and what is agreed to."""
    profile = store.events.profile(customer)
    return {
        "identities": store.identities.find(customer),
        "events": len(profile),
        "habits": {kind.value: _habits(profile, catalogue, kind, limit) for kind in Kind},
        "recent": [event_as_sent(event) for event in store.events.recent(customer, limit)],
        "consent": {purpose.value: store.consents.allows(customer, purpose) for purpose in Purpose},
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
