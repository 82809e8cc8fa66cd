"""An Airflow home for tests that import Airflow: a file, no environment that children inherit.

In: nothing. Out: AIRFLOW_HOME points to a throw-away folder whose configuration names a database
that is never made. Airflow reads it once a process, so this is imported before Airflow is.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from infra.settings import PROJECT_ROOT, quiet_environment

HOME = Path(tempfile.mkdtemp(prefix="payesh-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
(HOME / "airflow.cfg").write_text(
    f"""\
[core]
dags_folder = {PROJECT_ROOT / "dags"}
load_examples = False
dagbag_import_timeout = 120
[database]
sql_alchemy_conn = sqlite:///{HOME}/never-made.db
[logging]
base_log_folder = {HOME}/logs
""",
    encoding="utf-8",
)
os.environ.update(quiet_environment())
os.environ["AIRFLOW_HOME"] = str(HOME)
