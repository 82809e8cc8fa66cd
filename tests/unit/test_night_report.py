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
