"""Write the bulletin as one page that needs nothing but itself.

In: a release. Out: `<PAYESH_HOME>/bulletins/bulletin-1405-W35-r12.html`, right to left, readable on
paper, with no address of anything outside. Each figure carries a number; the list at the end says
by which command it is opened. The same release always gives the same bytes.
Run it: `payesh bulletin [--release N] [--out DIR]`
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from infra.bulletin import words
from infra.bulletin.read import Bulletin, Figure, read_bulletin
from infra.errors import PayeshError
from infra.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_FORMS: Final[dict[str, Callable[[Decimal | int, int], str]]] = {
    "number": words.number,
    "percent": words.percent,
    "change": words.change,
}
REASONS: Final = {
    "no_value": "گزارشی نرسیده است",
    "no_data": "گزارشی نرسیده است",
    "not_expected": "گزارشی موعد نداشته است",
}


@dataclass(frozen=True, slots=True)
class Written:
    """Where a bulletin is, and what it speaks of."""

    path: Path
    release_no: int
    week_label: str
    figures: int
    missing: int
    simulated_sources: int
    sources: int


def write_bulletin(
    settings: Settings, release_no: int | None = None, folder: Path | None = None
) -> Written:
    """Write the bulletin of a release, the newest when none is named; whole or not at all.

    Raises RefusedError when there is no such release, PayeshError when the folder can't be
    written.
    """
    found = read_bulletin(settings, release_no)
    text, figures = render(found)
    folder = settings.home / "bulletins" if folder is None else folder
    path = folder / f"bulletin-{found.week_label}-r{found.release_no}.html"
    draft = folder / f".{path.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise PayeshError(
            f"the bulletin can't be written: {error.strerror or error}",
            str(error.filename or folder),
            "free space there or name another folder with --out",
        ) from error
    return Written(
        path=path,
        release_no=found.release_no,
        week_label=found.week_label,
        figures=figures,
        missing=len(found.missing),
        simulated_sources=found.simulated_sources,
        sources=found.sources,
    )


def render(found: Bulletin) -> tuple[str, int]:
    """Return the page, and how many of its figures can be opened."""
    notes = _Notes()
    text = (
        _environment()
        .get_template("bulletin.html.j2")
        .render(b=found, w=words, fig=notes.figure, notes=notes.commands, reasons=REASONS)
    )
    return text + "\n", len(notes.commands)


class _Notes:
    """Numbers the figures in the order in which the page shows them."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def figure(self, figure: Figure | None, form: str = "number", places: int = 1) -> Markup:
        """Return a figure with the number of its note; a dash without one for no value."""
        if figure is None or figure.value is None:
            return Markup("<bdi>{}</bdi>").format(words.NOTHING)
        shown = _FORMS[form](figure.value, places)
        self.commands.append(figure.command)
        place = len(self.commands)
        return Markup(
            '<bdi dir="ltr" class="figure">{}</bdi><a class="note" href="#n{}">{}</a>'
        ).format(shown, words.digits(place), escape(words.digits(place)))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
