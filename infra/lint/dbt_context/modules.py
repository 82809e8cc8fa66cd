"""What dbt offers its templates as `modules`, for the SQL linter, which knows dbt only in part.

In: nothing. Out: the name `modules` in the linter's templates (`library_path` in .sqlfluff).
Run it: `make lint`
"""

import datetime
import itertools
import re

import pytz

__all__ = ["datetime", "itertools", "pytz", "re"]
