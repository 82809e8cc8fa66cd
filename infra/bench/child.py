"""One measured piece of a benchmark in a process of its own.

In: the name of a piece and its arguments as JSON. Out, on standard output, one JSON object: wall
seconds, CPU seconds (its own and its children's), peak memory in MB of the larger of both, and
whatever the piece adds. Called by `infra.bench.ingest`; by hand:
`python -m infra.bench.child pages '{"latency": 0.05, "pages": 20, "concurrency": 4}'`
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import psutil

Answer = dict[str, Any]


class _Clock:
    """Seconds since it was made; `stop` fixes them."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu()

    def stop(self) -> Answer:
        return {"wall": time.perf_counter() - self._wall, "cpu": _cpu() - self._cpu}


def _cpu() -> float:
    times = os.times()
    # the process's own clock counts nanoseconds, os.times hundredths of a second
    found = time.process_time() + times.children_user + times.children_system
    # children that live on, such as the reader of workbooks, are in no sum yet
    for child in psutil.Process().children(recursive=True):
        spent = child.cpu_times()
        found += spent.user + spent.system
    return float(found)


def _peak_mb() -> float:
    """The largest memory that this process or any child of it has held.

    Of itself by the high-water mark of its own memory: ru_maxrss of a process counts what its
    parent held at the moment it was started.
    """
    kilobytes = [resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
    for pid in (os.getpid(), *(c.pid for c in psutil.Process().children(recursive=True))):
        status = Path(f"/proc/{pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        kilobytes += [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return max(kilobytes) / 1024


def load_source(spec: str, snapshots: str, database_url: str, reference: str) -> Answer:
    """Fetch and load one source: everything from its bytes to the committed ledger."""
    from ingestion.normalise.codelists import load_code_lists
    from ingestion.pipeline import Context, fetch, load
    from ingestion.spec.registry import load_spec

    loaded = load_spec(Path(spec))
    context = Context(
        database_url=database_url,
        snapshots_url=snapshots,
        code_lists=load_code_lists(Path(reference)),
        now=lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=4000),
        run_id="benchmark",
        secrets=lambda reference: reference,
    )
    clock = _Clock()
    fetched = fetch(loaded, context)
    results = load(loaded, context)
    return {
        **clock.stop(),
        "outcome": fetched.outcome,
        "accepted": sum(result.accepted for result in results),
        "refused": sum(result.quarantined + result.cells_quarantined for result in results),
    }


def bare_calamine(path: str) -> Answer:
    """Read a workbook with python-calamine and do nothing with it."""
    from python_calamine import CalamineWorkbook

    clock = _Clock()
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    return {**clock.stop(), "rows": len(rows) - 1}


def pandas_openpyxl(path: str, database_url: str) -> Answer:
    """Read a workbook with pandas over openpyxl and write it with to_sql: the usual script."""
    import pandas as pd
    from sqlalchemy import create_engine

    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    clock = _Clock()
    frame = pd.read_excel(path, engine="openpyxl")
    frame.to_sql("by_pandas", engine, schema="bench", if_exists="replace", index=False)
    return {**clock.stop(), "rows": len(frame)}


def normalise(count: int, reference: str) -> Answer:
    """The rules on a column each of names, dates, percentages and money, against bare polars."""
    import polars as pl

    from infra.bench.data import records
    from ingestion.contracts.fields import ReadContext, read_field
    from ingestion.normalise.calendar import months_frame
    from ingestion.normalise.codelists import load_code_lists
    from ingestion.normalise.text import DIGITS, key_expr
    from ingestion.spec.kinds import KINDS
    from ingestion.spec.model import FieldMap
    from ingestion.table import Column

    texts = pl.DataFrame(
        [{name: str(value) for name, value in record.items()} for record in records(count)]
    )
    lists = load_code_lists(Path(reference))
    at = pl.Series("at", [""]).new_from_index(0, count)
    kind = KINDS["progress"]
    settings = {
        "period": ("week", FieldMap(headers=["w"], calendar="jalali")),
        "province": ("province", FieldMap(headers=["p"])),
        "planned_pct": ("planned", FieldMap(headers=["p"], percent_scale="percent")),
        "actual_pct": ("actual", FieldMap(headers=["a"], percent_scale="percent")),
        "actual_cost": ("cost", FieldMap(headers=["c"], unit="rial")),
    }

    def by_rules() -> None:
        day: pl.Series | None = None
        for name, (column, setting) in settings.items():
            context = ReadContext(day, lists, "week", is_plan=False)
            reading = read_field(kind.field(name), Column(texts[column], at), setting, context)
            if reading.value.null_count():
                raise AssertionError(f"{name} was not read")
            day = reading.value if name == "period" else day

    provinces = lists.get("province").entries.filter(~pl.col("is_number")).unique("key")
    latin = list(DIGITS), list(DIGITS.values())
    number = pl.col("text").str.replace_many([*latin[0], "٫"], [*latin[1], "."])
    months = months_frame().rename({"year": "y", "month": "m"})

    def by_expressions() -> None:
        for column, scale in (("planned", 4), ("actual", 4), ("cost", 2)):
            texts.select(pl.col(column).alias("text")).select(number.cast(pl.Decimal(38, scale)))
        names = texts.select(key_expr(pl.col("province")).alias("key"))
        names.join(provinces, on="key", how="left", maintain_order="left")
        parts = texts.select(
            pl.col("week").str.replace_many(*latin).str.split_exact("/", 2).alias("part")
        ).unnest("part")
        days = parts.select(
            pl.col("field_0").cast(pl.Int32).alias("y"),
            pl.col("field_1").cast(pl.Int32).alias("m"),
            pl.col("field_2").cast(pl.Int32).alias("d"),
        ).join(months, on=["y", "m"], how="left", maintain_order="left")
        day = pl.col("first") + pl.duration(days=pl.col("d") - 1)
        days.select(day - pl.duration(days=(day.dt.weekday() + 1) % 7))

    return {"rules": _best_cpu(by_rules), "bare": _best_cpu(by_expressions)}


def _best_cpu(work: Callable[[], None], times: int = 3) -> float:
    found = []
    for _ in range(times):
        clock = _Clock()
        work()
        found.append(clock.stop()["cpu"])
    return float(min(found))


def pages(latency: float, pages: int, concurrency: int) -> Answer:
    """Fetch numbered pages from a server that takes `latency` seconds for each."""
    from ingestion.connectors.http_json import collect_json
    from ingestion.spec.model import HttpJson

    class Asker:
        def now(self) -> dt.datetime:
            return dt.datetime.now(dt.UTC)

        def secrets(self, ref: str, /) -> str:
            return ref

    script = [sys.executable, "-m", "infra.bench.child", "serve"]
    call = [*script, json.dumps({"latency": latency, "pages": pages})]
    # in a process of its own: the server's work is the agency's, not ours
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise AssertionError("the server has no output")
        url = server.stdout.readline().strip()
        connector = HttpJson.model_validate(
            {
                "type": "http_json",
                "url": url,
                "records_at": "/data",
                "concurrency": concurrency,
                "paging": {"style": "page", "size": 10, "total_at": "/total"},
            }
        )
        clock = _Clock()
        fetched = collect_json(connector, Asker())
        found = {**clock.stop(), "rows": fetched.row_count}
        server.terminate()
    return found


def serve(latency: float, pages: int) -> Answer:
    """Be the slow server of `pages`: print its address, then answer until it is ended."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body are written apart: without this the body waits 40 ms for an acknowledgement
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            time.sleep(latency)
            page = int(parse_qs(urlsplit(self.path).query)["page"][0])
            rows = [{"n": page * 10 + i} for i in range(10)]
            body = json.dumps({"total": pages * 10, "data": rows}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the output is one JSON object."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}/items\n")
    sys.stdout.flush()
    server.serve_forever()
    return {}


PIECES: Final[dict[str, Callable[..., Answer]]] = {
    "load_source": load_source,
    "bare_calamine": bare_calamine,
    "pandas_openpyxl": pandas_openpyxl,
    "normalise": normalise,
    "pages": pages,
    "serve": serve,
}


def main() -> None:
    """Run the piece that the arguments name."""
    answer = PIECES[sys.argv[1]](**json.loads(sys.argv[2]))
    sys.stdout.write(json.dumps({**answer, "peak_mb": _peak_mb()}) + "\n")


if __name__ == "__main__":
    main()
