"""Has enough of the week arrived to build before the night?

In: the sources in force, the loads, what is released. Out: a `Standing`. It says yes in the one
moment of a week when the share of owed reports that are loaded has reached the declared minimum and
the share that is released has not: once published, it says no until the next week.
Run it: DAG `early`
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from infra.postgres.connect import connect
from infra.settings import Settings

PAUSE: Final = timedelta(hours=6)
"""After a build, well or not, the next early one waits: a broken warehouse is not hammered, and
the night's own run is never doubled."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Owed reports of the last closed week: how many there are, are loaded, are released."""

    owed: int
    loaded: int
    released: int
    has_rested: bool

    def is_enough(self, minimum: float) -> bool:
        """True when a build now would be the first with `minimum` (0..1) of the owed reports."""
        if not self.owed or not self.has_rested:
            return False
        return self.released / self.owed < minimum <= self.loaded / self.owed


def standing(settings: Settings) -> Standing:
    """Look at the last week closed in Tehran. Raises PayeshError when the database is away."""
    from ingestion.normalise.calendar import last_closed_week

    now = settings.now()
    with connect(settings, "transform") as connection:
        row = connection.execute(
            """
with in_force as (
    select distinct on (s.source) s.source, s.cadence, s.due_hours, s.owed_from, s.owed_to
    from raw.source as s
    where not exists (select from raw.retired_source as r where r.source = s.source)
    order by s.source asc, s.valid_from desc
),

owed as (
    select f.source from in_force as f
    where f.cadence = 'weekly' and f.due_hours is not null and f.owed_from <= %(week)s
    and (f.owed_to is null or f.owed_to >= %(week)s)
),

arrived as (
    select l.source, bool_or(r.load_id is not null) as is_released
    from raw.load as l
    inner join owed on l.source = owed.source
    left join history.release_load as r on l.load_id = r.load_id
    where l.status <> 'rejected' and %(week)s between l.period_min and l.period_max
    group by l.source
)

select
    (select count(*) from owed),
    (select count(*) from arrived),
    (select count(*) from arrived where is_released),
    not exists (select from ops.build as b where b.started_at > %(since)s)
""",
            {"week": last_closed_week(now), "since": now - PAUSE},
        ).fetchone()
    owed, loaded, released, has_rested = row if row is not None else (0, 0, 0, False)
    return Standing(int(owed), int(loaded), int(released), bool(has_rested))
