"""The report of a night stays readable however many sources take part."""

from __future__ import annotations

from infra.airflow.faults import Fault
from infra.airflow.night import SourceNight
from infra.cli.nightly import _listed


def _source(number: int, kind: str, **more: object) -> SourceNight:
    found = SourceNight(f"sim_{number:03d}__{kind}", "", kind, "", "", True, state="new")
    found.files, found.rows_read, found.accepted = 1, 10, 9
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_few_sources_are_listed_one_by_one() -> None:
    few = [_source(number, "progress") for number in range(40)]
    assert [name for name, _ in _listed(few)] == [source.source for source in few]


def test_many_smooth_ones_are_one_line_a_kind_and_no_row_is_left_out() -> None:
    fault = Fault("dead", "it is silent", "", "wait")
    many = [_source(number, "progress") for number in range(50)]
    many += [_source(number, "funding") for number in range(50, 55)]
    many += [
        _source(60, "progress", state="failed", fault=fault),
        _source(61, "progress", cells_quarantined=2),
        _source(62, "indicator_value", is_simulated=False),
    ]
    lines = _listed(many)
    assert [name for name, _ in lines] == [
        "sim_060__progress",
        "sim_061__progress",
        "sim_062__indicator_value",
        "50 x progress",
        "5 x funding",
    ]
    assert sum(source.rows_read for _, source in lines) == 10 * len(many)
    assert sum(source.files for _, source in lines) == len(many)
    assert many[0].rows_read == 10


def test_the_same_warning_of_several_sources_is_one_line_with_the_sum() -> None:
    from infra.cli.nightly import _told_together

    jumps = "value(s) ten times those of the period before → ask its owner"
    warnings = [f"sim_p0{n}__indicators: {n} {jumps}" for n in range(1, 6)]
    falls = "sim_a01__progress: cumulative progress falls in 1 record(s) → ask its owner"
    two = ["a__x: 2 of 3 weeks", "b__x: 1 of 3 weeks"]
    assert _told_together([warnings[0], falls, *warnings[1:], *two]) == [
        f"5 (sim_p01__indicators, sim_p02__indicators, sim_p03__indicators, ...): 15 {jumps}",
        falls,
        *two,
    ]
