"""The official Jalali leap years 1206-1498, as data.

Transcribed by github.com/roozbehp/persiancalendar (CC0 1.0, public domain) from the list of the
calendar authority at the University of Tehran. The five-year leaps make formulas fail: the
2820-year rule already errs at 1403/1404 (trap D8). `tests/unit/ingestion/test_calendar.py` holds
this module against the list, whose second column is the Gregorian date of each new year.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

FIRST_YEAR: Final = 1206
LAST_YEAR: Final = 1498
# Gregorian date of 1 Farvardin of FIRST_YEAR
FIRST_DAY: Final = dt.date(1827, 3, 22)
# fmt: off
LEAP_YEARS: Final[frozenset[int]] = frozenset([
    1210, 1214, 1218, 1222, 1226, 1230, 1234, 1238, 1243, 1247, 1251, 1255, 1259, 1263,
    1267, 1271, 1276, 1280, 1284, 1288, 1292, 1296, 1300, 1304, 1309, 1313, 1317, 1321,
    1325, 1329, 1333, 1337, 1342, 1346, 1350, 1354, 1358, 1362, 1366, 1370, 1375, 1379,
    1383, 1387, 1391, 1395, 1399, 1403, 1408, 1412, 1416, 1420, 1424, 1428, 1432, 1436,
    1441, 1445, 1449, 1453, 1457, 1461, 1465, 1469, 1474, 1478, 1482, 1486, 1490, 1494, 1498,
])
# fmt: on
