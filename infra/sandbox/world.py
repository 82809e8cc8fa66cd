"""The simulated nation: what every agency and province reports, and when it becomes visible.

In: a seed and a size (`WorldParams`) and the reference data. Out: a `World`, asked for what a
source would deliver on the night of a week: `rows` (APIs: everything as it then stands) and
`files` (workbooks: the backlog first, then one file a week with what is new or corrected).

Everything follows from the seed alone, in any process: each series has its own generator, named
after what it makes, and is drawn week by week from the first. So the world of a later night
extends the world of an earlier one and never rewrites it. All of it is simulated; no figure
describes any real agency. See it: `payesh sandbox status`, `payesh sandbox truth`
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from random import Random
from typing import Final

from infra.errors import RefusedError
from infra.sandbox.calendar import WEEK, week_start
from infra.sandbox.duties import DUTIES, duties_of
from infra.sandbox.reference import Reference
from infra.sandbox.rows import Dataset, Row, Ugly, Value, Version, WorkbookFile, directorate

MAX_AGENCIES = 25
MAX_PROVINCES = 31
MAX_WEEKS = 260

# The provinces whose names are easily confused come first: Kerman and Kermanshah (trap T9).
_FIRST_PROVINCES = ("IR-02", "IR-05", "IR-08", "IR-10")
_SLICE_PROJECTS = 5
_MONTHLY = ("sim_i01", "sim_i02", "sim_i04", "sim_i06")
_DIGITAL_ECONOMY = ("sim_i_dig", "sim_i_gdp")
_FULL = 10_000
_LONG_WEEKS = 104
# their plans span a nation of any length, whatever befalls them
_FATED = ("P01", "P02", "P03", "P04", "P05", "P13", "P14", "P15", "P16", "P17")
# nobody reports a project before the fortnight in which its plan begins
_AHEAD = 2 * WEEK
# the first year that the yearly indicators of a long nation go back to: before Alborz (1389)
_FIRST_YEAR = 1385

NATIONS: Final = {
    "full": {"weeks": MAX_WEEKS, "agencies": MAX_AGENCIES, "provinces": MAX_PROVINCES},
    "small": {"weeks": 12, "agencies": 6, "provinces": 4},
}
"""The sizes that have a name: the whole nation with five years, and one for quick looks."""


@dataclass(frozen=True, slots=True)
class WorldParams:
    """Size and seed. `opened_on` is the Saturday of the last week of the backlog."""

    opened_on: dt.date
    seed: int = 1405
    weeks: int = MAX_WEEKS
    agencies: int = MAX_AGENCIES
    provinces: int = MAX_PROVINCES

    @classmethod
    def of(cls, nation: str, opened_on: dt.date, **other: int) -> WorldParams:
        """Return a nation by the name of its size, with `other` sizes or another seed."""
        if nation not in NATIONS:
            raise RefusedError(
                f"the sandbox has no nation '{nation}'", "--nation", "one of: " + ", ".join(NATIONS)
            )
        return cls(opened_on, **{**NATIONS[nation], **other})

    def __post_init__(self) -> None:
        limits = (
            ("weeks", self.weeks, MAX_WEEKS),
            ("agencies", self.agencies, MAX_AGENCIES),
            ("provinces", self.provinces, MAX_PROVINCES),
        )
        for name, given, most in limits:
            if not 1 <= given <= most:
                raise RefusedError(
                    f"the sandbox can't have {given} {name}",
                    f"--{name}",
                    f"give a number from 1 to {most}",
                )
        if week_start(self.opened_on) != self.opened_on:
            raise RefusedError(
                f"{self.opened_on} is no Saturday", "opened_on", "name a week by its Saturday"
            )

    @property
    def first_week(self) -> dt.date:
        return self.opened_on - (self.weeks - 1) * WEEK

    @property
    def has_lives(self) -> bool:
        """Whether the nation is long enough for projects to begin, be re-based and end in it."""
        return self.weeks >= _LONG_WEEKS


@dataclass(frozen=True)
class Plan:
    """A project's baselines by revision: effective from, and (day, hundredths of a per cent)."""

    revisions: tuple[tuple[dt.date | None, tuple[tuple[dt.date, int], ...]], ...]

    def points(self, friday: dt.date) -> tuple[tuple[dt.date, int], ...]:
        """Return the points of the revision in force on `friday`."""
        found = self.revisions[0][1]
        for effective_from, points in self.revisions[1:]:
            if effective_from is not None and effective_from <= friday:
                found = points
        return found

    def at(self, friday: dt.date) -> int:
        """Return the planned hundredths of a per cent on `friday`, linear by day."""
        points = self.points(friday)
        if friday < points[0][0]:
            return 0
        for (day, target), (next_day, next_target) in pairwise(points):
            if friday < next_day:
                share = Fraction((friday - day).days, (next_day - day).days)
                return int(target + (next_target - target) * share + Fraction(1, 2))
        return points[-1][1]


@dataclass(frozen=True)
class World:
    """The nation of `params` under `reference`."""

    params: WorldParams
    reference: Reference
    _seen: dict[str, tuple[dt.date, list[Version]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _plans: dict[str, Plan] = field(default_factory=dict, repr=False, compare=False)
    _points: dict[tuple[str, int], int] = field(default_factory=dict, repr=False, compare=False)

    # ------------------------------------------------------------------ who there is
    @property
    def agencies(self) -> tuple[str, ...]:
        return tuple(f"sim_a{number:02d}" for number in range(1, self.params.agencies + 1))

    @property
    def provinces(self) -> tuple[str, ...]:
        rest = sorted(code for code in self.reference.provinces if code not in _FIRST_PROVINCES)
        return (*_FIRST_PROVINCES, *rest)[: self.params.provinces]

    def projects_of(self, agency: str) -> tuple[str, ...]:
        """Return the named projects in which `agency` has a part, by code."""
        return tuple(
            code
            for code, project in sorted(self.reference.projects.items())
            if project.is_named
            and any(share.agency == agency for share in self.reference.bridge.get(code, ()))
        )

    def led_by(self, agency: str) -> tuple[str, ...]:
        return tuple(p for p in self.projects_of(agency) if self.reference.lead(p) == agency)

    @cached_property
    def api_sources(self) -> frozenset[str]:
        """The names of the sources that are APIs."""
        return frozenset(d.source for d in self.datasets if d.medium == "api")

    @cached_property
    def _by_source(self) -> dict[str, Dataset]:
        return {dataset.source: dataset for dataset in self.datasets}

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """Return every source, agencies first, in the order of their numbers."""
        found: list[Dataset] = []
        for number, agency in enumerate(self.agencies, start=1):
            found.append(
                Dataset(
                    f"{agency}__progress",
                    "progress",
                    agency,
                    "api",
                    "weekly",
                    owed_from=self.params.opened_on,
                    due_hours=24 * (2 + number % 3),
                    grace_hours=number % 2 * 2,
                )
            )
            # Not every leader hands in its baselines: some projects have no plan to hold against.
            if number % 8 in (0, 1, 2, 3, 7) and self.led_by(agency):
                found.append(Dataset(f"{agency}__targets", "target", agency, "api", "once"))
            if number == 2:
                found.append(
                    Dataset(f"{agency}__indicator_targets", "target", agency, "api", "once")
                )
            if number == 3:
                found.append(
                    Dataset(f"{agency}__indicators", "indicator_value", agency, "api", "yearly")
                )
                found.append(
                    Dataset(f"{agency}__indicator_targets", "target", agency, "api", "once")
                )
        for number, province in enumerate(self.provinces):
            agency = directorate(province)
            found.append(
                Dataset(
                    f"{agency}__progress",
                    "progress",
                    agency,
                    "workbook",
                    "weekly",
                    province=province,
                    owed_from=self.params.opened_on,
                    due_hours=48 + 24 * (number % 2),
                )
            )
            found.append(
                Dataset(
                    f"{agency}__indicators",
                    "indicator_value",
                    agency,
                    "workbook",
                    "monthly",
                    province=province,
                )
            )
        found.extend(duties_of(self))
        return tuple(found)

    def dataset(self, source: str) -> Dataset:
        """Return the dataset of `source`; RefusedError lists those that exist."""
        found = self._by_source.get(source)
        if found is not None:
            return found
        raise RefusedError(
            f"the sandbox has no source {source}",
            "the sandbox nation",
            "one of: " + ", ".join(dataset.source for dataset in self.datasets),
        )

    # ------------------------------------------------------------------ what they deliver
    def versions(self, source: str, until: dt.date) -> list[Version]:
        """Return all versions that `source` has shown up to the night of `until`, oldest first."""
        # a later night extends an earlier one: the longest story told so far holds the shorter
        known_until, known = self._seen.get(source, (dt.date.min, []))
        if until > known_until:
            known = self._tell(source, until)
            self._seen[source] = (until, known)
        elif until < known_until:
            known = known[: bisect_right(known, until, key=lambda version: version.visible_from)]
        return known

    def _tell(self, source: str, until: dt.date) -> list[Version]:
        dataset = self.dataset(source)
        tell = DUTIES.get((dataset.kind, dataset.medium))
        if tell is not None:
            # the first workbook holds the whole backlog, whenever it is asked for
            until_at_least = max(until, self.params.opened_on)
            made = tell(self, dataset, until_at_least if dataset.medium == "workbook" else until)
        elif dataset.medium == "workbook" and dataset.kind == "progress":
            made = self._province_progress(dataset, until)
        elif dataset.medium == "workbook":
            made = self._province_indicators(dataset, until)
        elif dataset.kind == "progress":
            made = self._agency_progress(dataset, until)
        elif dataset.name == "targets":
            made = self._baselines(dataset)
        elif dataset.name == "indicators":
            made = self._yearly_indicators(until)
        else:
            made = self._indicator_targets(dataset)
        return sorted(
            (version for version in made if version.visible_from <= until),
            key=lambda version: (version.visible_from, version.row.key),
        )

    def rows(self, source: str, week: dt.date) -> list[Row]:
        """Return what an API shows on the night of `week`: the newest version of each row."""
        newest = {version.row.key: version.row for version in self.versions(source, week)}
        return [newest[key] for key in sorted(newest)]

    def changes(self, source: str, week: dt.date, seen: dt.date) -> list[Row]:
        """Return the newest versions of the rows that became visible after the night of `seen`."""
        newest = {
            version.row.key: version.row
            for version in self.versions(source, week)
            if version.visible_from > seen
        }
        return [newest[key] for key in sorted(newest)]

    def files(self, source: str, week: dt.date) -> list[WorkbookFile]:
        """Return the workbooks that have been dropped up to the night of `week`.

        The first holds the whole backlog; each later one the rows that became visible in its week.
        """
        dataset = self.dataset(source)
        opened_on = self.params.opened_on
        label = self.reference.calendar.week_label
        backlog: dict[tuple[object, ...], Row] = {}
        later: dict[dt.date, list[Row]] = {}
        for version in self.versions(source, max(week, opened_on)):
            if version.visible_from <= opened_on:
                backlog[version.row.key] = version.row
            elif version.visible_from <= week:
                later.setdefault(version.visible_from, []).append(version.row)
        # A province writes its sheet by week and project, whatever became visible when.
        found = [
            WorkbookFile(
                f"{dataset.name}-{label(opened_on)}-backlog.xlsx",
                opened_on,
                tuple(sorted(backlog.values(), key=_sheet_order)),
                self._gap(dataset),
            )
        ]
        found.extend(
            WorkbookFile(
                f"{dataset.name}-{label(at)}.xlsx", at, tuple(sorted(rows, key=_sheet_order))
            )
            for at, rows in sorted(later.items())
        )
        return [file for file in found if file.rows]

    def _gap(self, dataset: Dataset) -> int:
        """Return by how much the total of a province's backlog is wrong: in one province of all."""
        is_wrong = self.params.has_lives and dataset.province == self.provinces[-1]
        return 1_000 if is_wrong and dataset.kind == "progress" else 0

    # ------------------------------------------------------------------ plans
    def plan(self, project: str) -> Plan:
        """Return a project's baselines: monthly points on an S curve, hundredths of a per cent."""
        plan = self._plans.get(project)
        if plan is None:
            plan = self._plans[project] = self._draw_plan(project)
        return plan

    def _draw_plan(self, project: str) -> Plan:
        draw = self.draw("plan", project)
        calendar, weeks = self.reference.calendar, self.params.weeks
        months = draw.randint(9, 15) + weeks * 7 // 30
        begin = -draw.randint(0, 3)
        if project == "P13":
            months = max(6, weeks * 7 // 30 + 3)
        if project == "P14":
            begin = weeks * 7 // 30 + 2
        if self.params.has_lives and project not in _FATED:
            begin, months = self._draw_life(project)
        first = calendar.add_months(calendar.month_start(self.params.first_week), begin)
        targets = _s_curve(months)
        if project == "P01":
            # a plan that stands still for a month: earned schedule must take its latest week
            targets[months // 3 + 1] = targets[months // 3]
        if project == "P03":
            targets = [500, *(max(500, target) for target in targets[1:])]
        starts = [calendar.add_months(first, step) for step in range(months + 20)]
        revisions: list[tuple[dt.date | None, tuple[tuple[dt.date, int], ...]]] = [
            (None, tuple(zip(starts, targets, strict=False)))
        ]
        if project == "P02":
            # re-based in the fifth last week of the backlog, on its Wednesday, four months longer
            effective_from = self.params.opened_on - 4 * WEEK + dt.timedelta(days=4)
            longer = tuple(zip(starts, _s_curve(months + 4), strict=False))
            revisions.append((effective_from, longer))
        if self.params.has_lives and project not in _FATED:
            life = self.draw("rebase", project)
            for _ in range(life.choice((0, 0, 1, 1, 2))):
                # on some Wednesday of the project's second half, four to nine months longer
                effective_from = week_start(starts[months * life.randint(50, 80) // 100])
                effective_from += life.randint(1, 6) * WEEK + dt.timedelta(days=4)
                months += life.randint(4, 9)
                longer = tuple(zip(starts, _s_curve(months), strict=False))
                if revisions[-1][0] is None or revisions[-1][0] < effective_from:
                    revisions.append((effective_from, longer))
        return Plan(tuple(revisions))

    def _draw_life(self, project: str) -> tuple[int, int]:
        """Return (first month, months) of a plan: some began before the nation, some in it."""
        draw = self.draw("life", project)
        span = self.params.weeks * 7 // 30
        if draw.random() < 0.55:
            return -draw.randint(0, 14), draw.randint(24, 66)
        begin = draw.randint(4, span - 14)
        return begin, draw.randint(12, 40)

    def _index(self, week: dt.date) -> int:
        return (week - self.params.first_week).days // 7

    def _week(self, index: int) -> dt.date:
        return self.params.first_week + index * WEEK

    def draw(self, *names: object) -> Random:
        """Return the generator of the series that these names stand for."""
        text = "/".join(str(name) for name in (self.params.seed, *names))
        return Random(text)  # noqa: S311 - has to be repeatable, guards nothing

    def _planned(self, project: str, index: int) -> int:
        found = self._points.get((project, index))
        if found is None:
            found = self.plan(project).at(self._week(index) + dt.timedelta(days=6))
            self._points[project, index] = found
        return found

    def _actual(self, project: str, count: int) -> list[int]:
        """Return the project's own actual series, hundredths of a per cent, weeks 0..count-1.

        Some projects have a fate that every seed shows; the others meet falls and pauses by chance.
        """
        draw = self.draw("actual", project)
        last = self.params.weeks - 1
        speed = draw.randint(72, 108)
        if project == "P16":
            speed = 30
        temper = self._tempers(project, count) if self.params.has_lives else ()
        series: list[int] = []
        pause = 0
        for index in range(count):
            planned = self._planned(project, index)
            before = self._planned(project, index - 1) if index else 0
            pace = draw.randint(60, 140)
            fall = draw.randint(50, 200) if draw.random() < 0.02 else 0
            pause = draw.randint(4, 6) if draw.random() < 0.02 else max(0, pause - 1)
            step = max(0, planned - before) * speed * pace // 10_000
            if temper:
                # whoever is behind when the plan ends goes on; good and bad years come and go
                due = max(planned - before, 25 if series and series[-1] < planned else 0)
                step = due * temper[index] * pace // 10_000
                fall //= 2
            value = (series[-1] if series else 0) + step - fall
            if series and (pause or (project == "P03" and last - 5 < index <= last)):
                value = series[-1]
            if project == "P04" and index in (last - 5, last - 2) and series:
                value = series[-1] - 150
            if project == "P13" and index >= last - 3:
                value = _FULL
            if project == "P15" and index <= last // 3:
                value = 0
            series.append(min(_FULL, max(0, value)))
        return series

    def _tempers(self, project: str, count: int) -> list[int]:
        """Return how fast a project goes against its plan, per cent, week by week."""
        draw = self.draw("temper", project)
        usual = 30 if project == "P16" else draw.randint(75, 125)
        found: list[int] = []
        while len(found) < count:
            found += [usual * draw.randint(55, 145) // 100] * draw.randint(20, 60)
        return found[:count]

    # ------------------------------------------------------------------ progress
    def _agency_progress(self, dataset: Dataset, until: dt.date) -> list[Version]:
        agency = dataset.agency
        count = self._index(until) + 1
        found: list[Version] = []
        for project in self.projects_of(agency):
            for version in self._national(agency, project, count):
                found.append(version)
        for project, province in self._slices(agency):
            series = self._slice_series(agency, project, province, count)
            for index, (planned, actual) in enumerate(series):
                row = _progress(
                    self._week(index), project, agency, planned, actual, province=province
                )
                found.append(Version(row, self._week(index)))
        shown = []
        for version in found:
            week = version.row.period_start
            delay = self._delay(agency, week)
            if delay is None:
                continue
            arrival = max(version.visible_from, week + delay * WEEK)
            shown.append(replace(version, visible_from=arrival))
        return _without_overtaken(shown)

    def _delay(self, agency: str, week: dt.date) -> int | None:
        """Return how many weeks late the whole report comes; None: it never does."""
        index, last = self._index(week), self.params.weeks - 1
        if agency == "sim_a05" and index == last:
            return 1
        if agency == "sim_a04" and index == 3 and last > 6:
            return None
        if self.params.has_lives and self.is_nowruz(week):
            # the fortnight of Nowruz: many offices are closed, some report afterwards (trap D14)
            chance = self.draw("nowruz", agency, week).random()
            if index <= last:
                return None if chance < 0.4 else 0
            return None if chance < 0.2 else 1 if chance < 0.7 else 0
        if self.params.has_lives and index < last - 8:
            return None if self.draw("missing", agency, week).random() < 0.02 else 0
        if index <= last:
            return 0
        return 1 if self.draw("late", agency, week).random() < 0.05 else 0

    def is_nowruz(self, week: dt.date) -> bool:
        """Tell whether a week lies in the first thirteen days of a Jalali year."""
        calendar = self.reference.calendar
        days = (calendar.to_jalali(week + step * dt.timedelta(days=1)) for step in range(7))
        return any(month == 1 and day <= 13 for _, month, day in days)

    def _begins(self, project: str) -> dt.date:
        """Return the first week that anybody reports on a project."""
        if not self.params.has_lives or project in _FATED:
            return self.params.first_week
        return week_start(self.plan(project).revisions[0][1][0][0]) - _AHEAD

    def _national(self, agency: str, project: str, count: int) -> Iterator[Version]:
        is_lead = self.reference.lead(project) == agency
        last = self.params.weeks - 1
        series = self._actual(project, count)
        draw = self.draw("national", agency, project)
        begins = self._begins(project)
        for index in range(count):
            week = self._week(index)
            chance, wobble, size, wait = (
                draw.random(),
                draw.randint(-200, 200),
                draw.randint(50, 300),
                draw.randint(1, 3),
            )
            if week < begins:
                continue
            actual: int | None = series[index]
            if not is_lead:
                if (project, agency) == ("P05", "sim_a01"):
                    actual = max(0, series[index] - 400)
                elif chance > 0.85:
                    actual = min(_FULL, max(0, series[index] + wobble))
            planned: int | None = self._planned(project, index)
            if project == "P15":
                planned = None
            if (project, agency) == ("P17", "sim_a05") and index == last - 1:
                actual = None
            output = series[index] == _FULL if is_lead else None
            row = _progress(week, project, agency, planned, actual, has_output=output)
            corrected_at: int | None = None
            if (project, agency) == ("P01", "sim_a01") and index == last - 2:
                corrected_at = last + 1
            elif (project, agency) == ("P01", "sim_a01") and index == last - 5:
                corrected_at = last - 3
            elif chance < 0.04 and actual is not None:
                corrected_at = index + wait
            if corrected_at is None or actual is None:
                yield Version(row, week)
                continue
            first_told = actual - size if actual >= size else actual + size
            mistaken = replace(row, values={**row.values, "actual_pct": _pct(first_told)})
            yield Version(mistaken, week)
            yield Version(row, self._week(corrected_at))

    def _slices(self, agency: str) -> Iterator[tuple[str, str]]:
        """Yield the provincial slices that an agency reports beside the provinces themselves."""
        if agency == "sim_a02":
            for province in self.provinces[:2]:
                yield "P02", province
        if agency == "sim_a03":
            yield "P01", self.provinces[0]

    def _slice_series(
        self, reporter: str, project: str, province: str, count: int
    ) -> list[tuple[int, int]]:
        """Return (planned, actual) of a provincial slice as `reporter` sees it."""
        draw = self.draw("slice", reporter, project, province)
        speed = draw.randint(60, 110)
        found: list[tuple[int, int]] = []
        actual = 0
        for index in range(count):
            planned = self._planned(project, index)
            before = found[-1][0] if found else 0
            pace = draw.randint(50, 150)
            fall = draw.randint(20, 120) if draw.random() < 0.02 else 0
            step = max(0, planned - before) * speed * pace // 10_000
            actual = min(_FULL, max(0, actual + step - fall))
            found.append((planned, actual))
        return found

    def slice_projects(self, province: str) -> tuple[str, ...]:
        """Return the projects with a slice in `province`, two of them in every province."""
        named = [code for code, project in self.reference.projects.items() if project.is_named]
        fixed = [code for code in ("P01", "P02") if code in named]
        rest = sorted(set(named) - set(fixed))
        chosen = self.draw("slices of", province).sample(rest, _SLICE_PROJECTS - len(fixed))
        return tuple(sorted([*fixed, *chosen]))

    def _province_progress(self, dataset: Dataset, until: dt.date) -> list[Version]:
        count = self._index(until) + 1
        last = self.params.weeks - 1
        rank = self.provinces.index(dataset.province)
        projects = self.slice_projects(dataset.province)
        spoilt = {
            (projects[2], last - 1): Ugly("actual_pct", "#REF!"),
            (projects[3], last - 3): Ugly("planned_pct", "۱۲۰"),
            (projects[4], last - 4): Ugly("province", "البورز", scope="row"),
            (projects[2], last - 6): Ugly("actual_pct", "نامشخص"),
        }
        blank = {
            (projects[2], last - 2): "planned_pct",
            (projects[3], last - 2): "planned_pct",
            (projects[4], last - 1): "actual_pct",
        }
        found: list[Version] = []
        silence = self._silences(dataset, projects, count) if self.params.has_lives else {}
        for project in projects:
            draw = self.draw("province", dataset.agency, project)
            begins = self._begins(project)
            series = self._slice_series(dataset.agency, project, dataset.province, count)
            for index, (planned, actual) in enumerate(series):
                week = self._week(index)
                chance, size, wait = draw.random(), draw.randint(20, 150), draw.randint(1, 3)
                row = _progress(
                    week,
                    project,
                    dataset.agency,
                    planned,
                    actual,
                    province=dataset.province,
                    has_output=actual == _FULL,
                    actual_cost=Decimal(draw.randint(10, 900)),
                )
                if week < begins or project in silence.get(index, ()):
                    continue
                if rank == 0 and (project, index) in spoilt:
                    ugly = spoilt[(project, index)]
                    values = (
                        {**row.values, ugly.field: None} if ugly.scope == "cell" else row.values
                    )
                    found.append(Version(replace(row, values=values, ugly=(ugly,)), week))
                elif rank == 1 and (project, index) in blank:
                    values = {**row.values, blank[(project, index)]: None}
                    found.append(Version(replace(row, values=values), week))
                elif chance < 0.03:
                    first_told = actual + size if actual + size <= _FULL else actual - size
                    mistaken = {**row.values, "actual_pct": _pct(first_told)}
                    found.append(Version(replace(row, values=mistaken), week))
                    found.append(Version(row, week + wait * WEEK))
                else:
                    found.append(Version(row, week))
        return found

    def _silences(
        self, dataset: Dataset, projects: tuple[str, ...], count: int
    ) -> dict[int, tuple[str, ...]]:
        """Return what a province leaves out of the backlog, by week: all of it, or some projects.

        A missing week is no zero, and half a file takes nothing back (traps S4, S7).
        """
        found: dict[int, tuple[str, ...]] = {}
        for index in range(min(count, self.params.weeks - 8)):
            week = self._week(index)
            draw = self.draw("silence", dataset.agency, week)
            chance = draw.random()
            if chance < (0.5 if self.is_nowruz(week) else 0.02):
                found[index] = projects
            elif chance > 0.97:
                found[index] = tuple(draw.sample(projects, 2))
        return found

    # ------------------------------------------------------------------ targets and indicators
    def _baselines(self, dataset: Dataset) -> list[Version]:
        found: list[Version] = []
        first_week = self.params.first_week
        for project in self.led_by(dataset.agency):
            for revision, (effective_from, points) in enumerate(self.plan(project).revisions):
                shown = first_week if effective_from is None else week_start(effective_from)
                for day, target in points:
                    values: dict[str, Value] = {
                        "baseline": None,
                        "target": _pct(target),
                        "effective_from": effective_from,
                        "reason": "" if revision == 0 else "تغییر دامنه پروژه (شبیه‌سازی)",
                    }
                    row = Row("target", "date", day, values, project=project, revision=revision)
                    found.append(Version(row, max(shown, first_week)))
        return found

    @property
    def first_month(self) -> dt.date:
        """First day of the first Jalali month that anybody reports on."""
        calendar = self.reference.calendar
        month = calendar.month_start(self.params.opened_on)
        return calendar.add_months(month, -max(4, self.params.weeks * 7 // 30 + 1))

    def months(self, until: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
        """Yield each reported Jalali month and the Saturday of the week in which it ends."""
        calendar = self.reference.calendar
        month = self.first_month
        while True:
            following = calendar.add_months(month, 1)
            ends_in = week_start(following - dt.timedelta(days=1))
            if ends_in > until:
                return
            yield month, ends_in
            month = following

    def _province_indicators(self, dataset: Dataset, until: dt.date) -> list[Version]:
        rank = self.provinces.index(dataset.province)
        opened_on = self.params.opened_on
        months = list(self.months(max(until, opened_on)))
        closed = [month for month, ends_in in months if ends_in <= opened_on]
        draw = {code: self.draw("month", dataset.province, code) for code in _MONTHLY}
        found: list[Version] = []
        for month, ends_in in months:
            for code in _MONTHLY:
                values: dict[str, Value] = {"value": None, "numerator": None, "denominator": None}
                chance = draw[code]
                if code == "sim_i01":
                    whole = chance.randint(2_000, 90_000)
                    values["denominator"] = Decimal(whole)
                    values["numerator"] = Decimal(whole * chance.randint(20, 98) // 100)
                elif code == "sim_i02":
                    values["value"] = Decimal(chance.randint(1_000, 250_000))
                elif code == "sim_i04":
                    values["value"] = _scaled(chance.randint(0, 10_000), 2)
                else:
                    values["value"] = _scaled(chance.randint(1_000, 9_999), 3)
                values["unit"] = self.reference.indicators[code].unit
                if code == "sim_i06" and rank == 0 and month == closed[-2]:
                    values["value"] = _scaled(-250, 3)
                if code == "sim_i04" and rank == 1 and month == closed[-1]:
                    values["value"] = None
                row = Row(
                    "indicator_value",
                    "jalali_month",
                    month,
                    values,
                    province=dataset.province,
                    indicator=code,
                )
                if code == "sim_i02" and rank == 1 and month == closed[-2]:
                    told = Decimal(str(values["value"])) + 700
                    found.append(Version(replace(row, values={**values, "value": told}), ends_in))
                    found.append(Version(row, opened_on + WEEK))
                else:
                    found.append(Version(row, ends_in))
        return found

    def _years(self, until: dt.date) -> Iterator[tuple[int, dt.date]]:
        calendar = self.reference.calendar
        year = calendar.to_jalali(self.params.opened_on)[0] - 3
        if self.params.has_lives:
            year = min(year, _FIRST_YEAR)
        while True:
            last_day = calendar.from_jalali(year + 1, 1, 1) - dt.timedelta(days=1)
            if week_start(last_day) > until:
                return
            yield year, week_start(last_day)
            year += 1

    def _yearly_indicators(self, until: dt.date) -> list[Version]:
        calendar = self.reference.calendar
        found: list[Version] = []
        for number, (year, ends_in) in enumerate(self._years(until)):
            start = calendar.from_jalali(year, 1, 1)
            for code in ("sim_i03", "sim_i05", *self._digital_economy()):
                for province in self.reference.provinces.values():
                    ugly: tuple[Ugly, ...] = ()
                    if not province.exists_on(start):
                        # somebody fills in a figure for a year before the province was split off
                        # from its neighbour (trap E3)
                        if (code, year) != ("sim_i03", _FIRST_YEAR + 2):
                            continue
                        ugly = (Ugly("province", province.code, scope="row"),)
                    draw = self.draw("year", code, province.code, year)
                    count, hours = (
                        Decimal(draw.randint(0, 4_000)),
                        _scaled(draw.randint(25, 900), 1),
                    )
                    value: Decimal | None = count if code == "sim_i03" else hours
                    if code in _DIGITAL_ECONOMY:
                        value = self._product(code, province.code, year)
                    if code == "sim_i03" and number == 0:
                        value = Decimal(0)
                    values: dict[str, Value] = {
                        "value": value,
                        "numerator": None,
                        "denominator": None,
                        "unit": self.reference.indicators[code].unit,
                    }
                    row = Row(
                        "indicator_value",
                        "jalali_year",
                        start,
                        values,
                        province=province.code,
                        indicator=code,
                        ugly=ugly,
                    )
                    found.append(Version(row, max(ends_in, self.params.first_week)))
        return found

    def _digital_economy(self) -> tuple[str, ...]:
        """Return the indicators of the digital economy, as far as the reference data has them."""
        return tuple(code for code in _DIGITAL_ECONOMY if code in self.reference.indicators)

    def _product(self, code: str, province: str, year: int) -> Decimal | None:
        """Return a province's product of the year in billion rial, whole or its digital part."""
        draw = self.draw("product", province, year)
        whole, share = draw.randint(90_000, 4_000_000), draw.randint(20, 140)
        # one province has not told its digital part, another not its product (trap K11)
        if (code, province) in (("sim_i_dig", "IR-10"), ("sim_i_gdp", "IR-12")) and year % 2:
            return None
        return Decimal(whole if code == "sim_i_gdp" else whole * share // 1000)

    def _indicator_targets(self, dataset: Dataset) -> list[Version]:
        first_week, opened_on = self.params.first_week, self.params.opened_on
        calendar = self.reference.calendar
        if dataset.agency == "sim_a03":
            start = calendar.from_jalali(calendar.to_jalali(opened_on)[0] - 2, 1, 1)
            years = [start, calendar.from_jalali(calendar.to_jalali(start)[0] + 1, 1, 1)]
            aims = [("sim_i03", "3500"), *((c, "250000") for c in self._digital_economy())]
            return [
                Version(_target("jalali_year", year, code, "", 0, "0", aim), first_week)
                for year in years
                for code, aim in aims
            ]
        month = calendar.add_months(calendar.month_start(opened_on), -3)
        found: list[Version] = []
        for step in range(15):
            at = calendar.add_months(month, step)
            plain = [
                _target("jalali_month", at, "sim_i01", "", 0, "0.2", "0.9"),
                _target("jalali_month", at, "sim_i01", self.provinces[0], 0, "0.1", "0.7"),
                _target("jalali_month", at, "sim_i02", "", 0, "300000", "20000"),
                _target("jalali_month", at, "sim_i04", "", 0, None, "85.5"),
                _target("jalali_month", at, "sim_i06", "", 0, "5", "5"),
            ]
            found.extend(Version(row, first_week) for row in plain)
            if step == 1:
                tighter = _target("jalali_month", at, "sim_i02", "", 1, "300000", "15000")
                found.append(Version(tighter, opened_on + WEEK))
        return found


def _s_curve(months: int) -> list[int]:
    """Return `months` + 1 targets from 0 to 100 %, slow at both ends, hundredths of a per cent."""
    shares = [Fraction(step, months) for step in range(months + 1)]
    return [int(_FULL * (3 * share**2 - 2 * share**3) + Fraction(1, 2)) for share in shares]


def _scaled(number: int, places: int) -> Decimal:
    return Decimal(number).scaleb(-places)


def _pct(hundredths: int) -> Decimal:
    return _scaled(hundredths, 2)


def _progress(
    week: dt.date,
    project: str,
    agency: str,
    planned: int | None,
    actual: int | None,
    *,
    province: str = "",
    has_output: bool | None = None,
    actual_cost: Decimal | None = None,
) -> Row:
    values: dict[str, Value] = {
        "planned_pct": None if planned is None else _pct(planned),
        "actual_pct": None if actual is None else _pct(actual),
        "has_output": has_output,
        # million rial in the sheets
        "actual_cost": actual_cost,
    }
    return Row("progress", "week", week, values, project=project, agency=agency, province=province)


def _target(
    period_kind: str,
    period_start: dt.date,
    indicator: str,
    province: str,
    revision: int,
    baseline: str | None,
    target: str,
) -> Row:
    values: dict[str, Value] = {
        "baseline": None if baseline is None else Decimal(baseline),
        "target": Decimal(target),
        "effective_from": None,
        "reason": "",
    }
    return Row(
        "target",
        period_kind,
        period_start,
        values,
        province=province,
        indicator=indicator,
        revision=revision,
    )


def _without_overtaken(versions: list[Version]) -> list[Version]:
    """Drop versions that a later one of the same row and night replaces before anyone sees them."""
    newest: dict[tuple[object, ...], Version] = {}
    for version in versions:
        newest[(version.row.key, version.visible_from)] = version
    return list(newest.values())


def _sheet_order(row: Row) -> tuple[dt.date, str, str, str]:
    return (row.period_start, row.project, row.indicator, row.subject)
