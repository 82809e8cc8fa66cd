"""The faults of simulated nights: of one seed always the same, of every kind, with a clean end."""

from __future__ import annotations

from collections import Counter

import pytest

from infra.bench.schedule import BOOK_FAULT, schedule

APIS = ["sim_a01", "sim_a02", "sim_a03"]
BOOKS = ["sim_p02", "sim_p05"]


def test_thirty_nights_have_every_blow_and_the_database_falls_twice() -> None:
    nights = schedule(30, 1405, APIS, BOOKS)
    blows = Counter(night.blow for night in nights if night.blow)
    assert blows == {"task": 1, "postgres": 2, "scheduler": 1, "skip": 1}
    kinds = {fault for night in nights for fault in night.faults.values()}
    assert {"dead", "429", BOOK_FAULT} <= kinds
    assert [night.number for night in nights] == list(range(1, 31))


def test_the_same_seed_gives_the_same_nights_and_another_seed_others() -> None:
    assert schedule(30, 7, APIS, BOOKS) == schedule(30, 7, APIS, BOOKS)
    assert schedule(30, 7, APIS, BOOKS) != schedule(30, 8, APIS, BOOKS)


def test_three_nights_have_faults_a_killed_task_and_a_restarted_database() -> None:
    first, second, third = schedule(3, 1405, APIS, BOOKS)
    assert (first.blow, second.blow, third.blow) == ("", "task", "postgres")
    assert first.faults == third.faults == {}
    assert BOOK_FAULT in second.faults.values()
    assert len(second.faults) == 2


@pytest.mark.parametrize("seed", range(40))
def test_a_night_that_could_not_be_judged_is_never_drawn(seed: int) -> None:
    nights = schedule(30, seed, APIS, BOOKS, "worker")
    assert nights[0].faults == nights[-1].faults == {}
    corrupt: Counter[str] = Counter()
    for night in nights:
        # an agency must be left whose load can be struck
        assert set(APIS) - set(night.faults)
        corrupt.update(who for who, fault in night.faults.items() if fault == BOOK_FAULT)
    assert all(times == 1 for times in corrupt.values())
