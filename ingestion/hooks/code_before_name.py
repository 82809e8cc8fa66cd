"""Cells such as «P02 - هویت هوشمند» or `IR-07: تهران` are cut down to their code.

For project, agency, province, indicator, obligation and service: a code of Latin letters, digits,
`-`, `_` and `.`, then a dash, colon or vertical bar with blanks around it (or a colon alone), then
the name. A cell of another form stays as it is and is looked up whole.
"""

from __future__ import annotations

import pandas as pd

_FIELDS = ["project", "agency", "province", "indicator", "obligation", "service"]
_CODE = r"^\s*([A-Za-z0-9][A-Za-z0-9_.-]*)(?:\s+[-\u2013\u2014|:]\s+|\s*:\s*)\S.*$"


def apply(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with codes for codes with names."""
    for field in frame.columns.intersection(_FIELDS):
        codes = frame[field].str.extract(_CODE, expand=False)
        frame[field] = codes.where(codes.notna(), frame[field])
    return frame
