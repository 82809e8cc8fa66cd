"""`payesh`: finds the command groups, runs one, and turns errors into words and exit codes.

In: the modules of this folder. Each exposes a click command under its own name (`command` or
`group`), or names several in a literal `COMMANDS = ("url", "migrate")`, each an attribute of
that name (hyphens as underscores). The first line of the module's docstring, or of the
function's where several, is its line in `payesh --help`; all this is read without importing
the module, because Airflow, dbt and polars take seconds to import.
Out: exit codes 0 done, 1 done with findings under --strict, 2 refused, 3 failed.
Run it: `payesh --help`
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from infra.cli.output import print_error
from infra.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, PayeshError
from infra.settings import Settings, quiet_environment

_FOLDER = Path(__file__).resolve().parent
_NOT_COMMANDS = frozenset({"__init__", "__main__", "main", "output"})


@dataclass(frozen=True, slots=True)
class _Entry:
    module: str
    attributes: tuple[str, ...]
    help: str


class LazyGroup(click.Group):
    """A click group that knows its commands from their source text and imports only one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_entries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _own_module(cmd_name) or _entries().get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"infra.cli.{entry.module}")
        for attribute in entry.attributes:
            found = getattr(module, attribute, None)
            if isinstance(found, click.Command):
                return found
        raise PayeshError(
            f"the command {cmd_name} is not defined by its module",
            f"infra/cli/{entry.module}.py",
            f"define a click command named {' or '.join(entry.attributes)} there",
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, entry.help) for name, entry in sorted(_entries().items())]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _own_module(command: str) -> _Entry | None:
    """The command that a module is named after: the others need not be read to find it."""
    path = _FOLDER / f"{command.replace('-', '_')}.py"
    if path.stem in _NOT_COMMANDS or path.stem.startswith("_") or not path.is_file():
        return None
    names = _declared(ast.parse(path.read_bytes(), filename=str(path)))
    if names is None:
        return _Entry(path.stem, ("command", "group", path.stem), "")
    if command not in names:
        return None
    return _Entry(path.stem, (path.stem, f"{path.stem}_command"), "")


def _entries() -> dict[str, _Entry]:
    """Return the commands by name, from the source text of the modules in this folder."""
    found: dict[str, _Entry] = {}
    for path in sorted(_FOLDER.glob("*.py")):
        if path.stem in _NOT_COMMANDS or path.stem.startswith("_"):
            continue
        tree = ast.parse(path.read_bytes(), filename=str(path))
        names = _declared(tree)
        if names is None:
            command = path.stem.replace("_", "-")
            summary = _first_line(ast.get_docstring(tree))
            found[command] = _Entry(path.stem, ("command", "group", path.stem), summary)
            continue
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for name in names:
            attribute = name.replace("-", "_")
            function = functions.get(attribute) or functions.get(f"{attribute}_command")
            summary = _first_line(ast.get_docstring(function) if function else None)
            found[name] = _Entry(path.stem, (attribute, f"{attribute}_command"), summary)
    return found


def _declared(tree: ast.Module) -> tuple[str, ...] | None:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
            value = node.value
        elif isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        else:
            continue
        is_ours = any(isinstance(t, ast.Name) and t.id == "COMMANDS" for t in targets)
        if is_ours and value is not None:
            return tuple(str(name) for name in ast.literal_eval(value))
    return None


def _first_line(text: str | None) -> str:
    line = (text or "").strip().splitlines()[0] if (text or "").strip() else ""
    head, _, tail = line.partition(": ")
    is_prefixed = head.startswith("`payesh") and bool(tail)
    line = tail if is_prefixed else line
    return line[:1].upper() + line[1:]


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 done with findings under --strict, 2 refused, 3 failed. "
    "--json on each command prints one JSON object instead of text.",
)
def cli() -> None:
    """Payesh: weekly progress from every agency, kept whole, judged, released each night."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises."""
    for name, value in quiet_environment().items():
        os.environ.setdefault(name, value)
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        result = cli.main(args=arguments, prog_name="payesh", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_REFUSED
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        print_error(
            error.format_message(), where, f"see `{where or 'payesh'} --help`", as_json=as_json
        )
        return EXIT_REFUSED
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; whatever was begun is taken up again by the next run", err=True)
        return 130
    except SystemExit as request:
        return _exit_code(request.code)
    except BrokenPipeError:
        # The reader (head, less) has gone: not a fault. Keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except PayeshError as error:
        print_error(error.what, error.where, error.fix, as_json=as_json)
        _debug()
        return error.exit_code
    except Exception as error:
        return _unexpected(error, as_json)
    return result if isinstance(result, int) and not isinstance(result, bool) else EXIT_DONE


def _unexpected(error: Exception, as_json: bool) -> int:
    """Report an error of a room that says what, where and what to do, or an unforeseen one."""
    told = _told_by_room(error)
    if told is not None:
        print_error(*told, as_json=as_json)
        _debug()
        code = getattr(error, "exit_code", EXIT_FAILED)
        return code if isinstance(code, int) else EXIT_FAILED
    report = _write_report(error)
    print_error(
        f"an error that Payesh did not foresee: {type(error).__name__}: {error}",
        f"{report}" if report else "no report could be written",
        "run it again with PAYESH_DEBUG=1 to see all; send the report to the maintainers",
        as_json=as_json,
    )
    _debug()
    return EXIT_FAILED


def _told_by_room(error: Exception) -> tuple[str, str, str] | None:
    """Return what, where, fix of a room's own error; rooms don't know this one's error type.

    Ingestion says message, remedy and a locator (or path and line) instead.
    """
    what = _first_text(error, "what", "message")
    if not what or not (hasattr(error, "fix") or hasattr(error, "remedy")):
        return None
    where = _first_text(error, "where", "locator", "path")
    line = getattr(error, "line", None)
    if where and isinstance(line, int) and line > 0:
        where = f"{where}:{line}"
    return what, where, _first_text(error, "fix", "remedy")


def _first_text(error: Exception, *names: str) -> str:
    values: list[Any] = [getattr(error, name, None) for name in names]
    return next((str(value) for value in values if value), "")


def _write_report(error: Exception) -> Path | None:
    try:
        folder = Settings.from_env().log_dir
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"error-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except (OSError, PayeshError):
        # Reporting must not hide the error that is reported.
        return None
    return path


def _debug() -> None:
    if os.environ.get("PAYESH_DEBUG"):
        traceback.print_exc()


def _exit_code(code: object) -> int:
    if code is None:
        return EXIT_DONE
    if isinstance(code, int):
        return code
    click.echo(str(code), err=True)
    return EXIT_FAILED


def main() -> None:
    """Entry point of the `payesh` program."""
    sys.exit(run())


if __name__ == "__main__":
    main()
