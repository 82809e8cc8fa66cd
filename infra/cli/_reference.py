"""The reference pages of the documentation, written from what the code itself says.

In: the model of the source file, the record kinds, the reasons, the commands, the marts' own
descriptions. Out: Markdown by page name, so that no reference can fall behind.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import click
import yaml
from pydantic import BaseModel

from ingestion.contracts.failures import FAILURES
from ingestion.contracts.reasons import REASONS
from ingestion.spec import model as source_model
from ingestion.spec.kinds import KINDS
from ingestion.spec.wording import field_words, kind_words, settings_words

ROOT: Final = Path(__file__).parents[2]
MODELS: Final = ROOT / "dbt_project" / "models"
_DOC: Final = re.compile(r"{%\s*docs (\w+)\s*%}(.*?){%\s*enddocs\s*%}", re.S)
_DOC_USE: Final = re.compile(r"{{\s*doc\(['\"](\w+)['\"]\)\s*}}")


def pages() -> dict[str, str]:
    """Markdown by page: `reference/<page>.md`."""
    writers: dict[str, Callable[[], str]] = {
        "source-file": source_file,
        "kinds": kinds,
        "errors": errors,
        "commands": commands,
        "marts": marts,
    }
    return {f"reference/{name}.md": write() for name, write in writers.items()}


# --------------------------------------------------------------------------------- source file


def source_file() -> str:
    """Every setting of a source file: type, default, meaning."""
    found: list[type[BaseModel]] = []
    _collect(source_model.SourceSpec, found)
    lines = [
        "# The source file",
        "",
        "One YAML file `<agency>__<dataset>.yml` a source. Editors complete it with the JSON",
        "Schema that `payesh source schema` prints. Settings that are not listed here are refused.",
        "",
    ]
    for model in found:
        lines += [f"## {_title(model)}", ""]
        about = inspect.getdoc(model) if model.__dict__.get("__doc__") else None
        if about:
            lines += [_paragraphs(about), ""]
        lines += ["| setting | meaning | value | without it |", "|---|---|---|---|"]
        notes = settings_words().get(model.__name__, {})
        for name, field in model.model_fields.items():
            value = _shown(_annotation(model, name))
            default = "**required**" if field.is_required() else f"`{_default(field.default)}`"
            lines.append(f"| `{name}` | {_cell(notes.get(name, ''))} | {value} | {default} |")
        lines.append("")
    return "\n".join(lines)


def _collect(model: type[BaseModel], found: list[type[BaseModel]]) -> None:
    if model in found:
        return
    found.append(model)
    for name in model.model_fields:
        for part in _models_in(_annotation(model, name)):
            _collect(part, found)


def _annotation(model: type[BaseModel], name: str) -> Any:
    """The annotation as written, which keeps the names of unions apart."""
    return model.model_fields[name].annotation


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _title(model: type[BaseModel]) -> str:
    if model is source_model.SourceSpec:
        return "Top level"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__)


def _shown(annotation: Any) -> str:
    """A type in words: choices, lists, links to the section of a part."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin, parts = get_origin(annotation), get_args(annotation)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        title = _title(annotation)
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    if origin is Literal:
        return " · ".join(f"`{part}`" for part in parts).replace("|", "\\|")
    if origin is list:
        return f"list of {_shown(parts[0])}"
    if origin is dict:
        return f"{_shown(parts[0])} → {_shown(parts[1])}"
    if parts:
        return " or ".join(_shown(part) for part in parts if part is not type(None))
    names = {str: "text", int: "whole number", float: "number", bool: "`true` · `false`"}
    return names.get(annotation, {"date": "date", "Any": "anything"}.get(_name(annotation), "text"))


def _name(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value in ("", [], {}):
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


# --------------------------------------------------------------------------------- kinds, errors


def kinds() -> str:
    """The record kinds with their fields, in both languages."""
    lines = [
        "# Record kinds",
        "",
        "What a source may deliver. Key fields identify a record; a row whose required field can't",
        "be read is refused, any other cell is quarantined alone. `payesh template` makes a form",
        "workbook of a kind, `payesh contract export` its contract.",
        "",
    ]
    for kind in KINDS.values():
        words = kind_words(kind.name)
        lines += [
            f"## {kind.name}",
            "",
            f"{words.about} {words.about_fa}",
            "",
            f"Periods: {', '.join(f'`{p}`' for p in kind.period_kinds)}. Counted for completeness: "
            + (", ".join(f"`{c}`" for c in kind.compulsory) or "none")
            + ".",
            "",
            "| field | | type | role | meaning |",
            "|---|---|---|---|---|",
        ]
        for field in kind.fields:
            entry = field_words(kind.name, field.name)
            kind_of = field.type + (f" of `{field.code_list}`" if field.code_list else "")
            role = " ".join(
                word
                for word, holds in (("key", field.is_key), ("required", field.required))
                if holds
            )
            lines.append(
                f"| `{field.name}` | {entry.title_fa} | {kind_of} | {role} | {entry.about} |"
            )
        lines.append("")
    return "\n".join(lines)


def errors() -> str:
    """Every code under which a file, a row or a cell is refused or remarked upon."""
    lines = [
        "# Codes of errors",
        "",
        "Every refusal and remark has one of these codes. The message names the place (file,",
        "sheet, cell or JSON pointer); the remedy is the same in the Persian workbook that the",
        "agency gets (`payesh quarantine export`).",
        "",
    ]
    for code, entry in sorted(REASONS.items()):
        lines += [
            f"## {code}",
            "",
            _sentence(entry.message),
            "",
            f"*What to do.* {entry.remedy}",
            "",
            f"{_sentence(entry.message_fa)} {entry.remedy_fa}",
            "",
        ]
    lines += [
        "## Fetching and the house",
        "",
        "Failures that say nothing about the data. The source or the night is tried again; what",
        "was loaded before stays.",
        "",
        "| code | meaning | what to do |",
        "|---|---|---|",
        *(
            f"| `{code}` | {_cell(entry.message)} | {_cell(entry.remedy)} |"
            for code, entry in sorted(FAILURES.items())
        ),
        "",
    ]
    return "\n".join(lines)


def _sentence(template: str) -> str:
    """A template with its blanks shown as such, ended by a full stop."""
    text = re.sub(r"{(\w+)}", "…", template).strip()
    return text if text.endswith((".", "!", "?", ":")) else text + "."


# --------------------------------------------------------------------------------- commands


def commands() -> str:
    """Every command with its arguments and options."""
    from infra.cli.main import cli

    lines = [
        "# Commands",
        "",
        "Each knows `--json` and `--help`. Exit codes: 0 done, 1 done with findings under",
        "`--strict`, 2 refused (the message says what, where and what to do), 3 failed.",
        "",
    ]
    for path, command in _walk(cli, ("payesh",)):
        if isinstance(command, click.Group):
            continue
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join([*path, *(p.make_metavar(click.Context(command)) for p in arguments)])
        lines += [f"## {' '.join(path)}", "", f"    {usage}", ""]
        about = inspect.cleandoc(command.help or "")
        lines += [_paragraphs(about), ""]
        options = [p for p in command.params if isinstance(p, click.Option) and p.name != "json"]
        options = [p for p in options if "--json" not in p.opts and not p.hidden]
        if options:
            lines += ["| option | |", "|---|---|"]
            lines += [f"| `{' '.join(p.opts)}` | {_cell(p.help or '')} |" for p in options]
            lines.append("")
    return "\n".join(lines)


def _walk(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _walk(found, (*path, name))


# --------------------------------------------------------------------------------- marts


def marts() -> str:
    """The published marts with their columns, from the descriptions beside the models."""
    texts = {
        name: " ".join(text.split())
        for path in sorted(MODELS.rglob("*.md"))
        for name, text in _DOC.findall(path.read_text(encoding="utf-8"))
    }
    lines = [
        "# Marts",
        "",
        "Views of the current release in the schema `marts`, of any release in `marts_as_of`.",
        "Every figure opens with `payesh trace`.",
        "",
    ]
    for path in sorted((MODELS / "marts").glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            if not model.get("columns"):
                continue
            lines += [f"## {model['name']}", "", _filled(model.get("description", ""), texts), ""]
            lines += ["| column | type | meaning |", "|---|---|---|"]
            for column in model["columns"]:
                about = _cell(_filled(column.get("description", ""), texts))
                lines.append(f"| `{column['name']}` | {column.get('data_type', '')} | {about} |")
            lines.append("")
    return "\n".join(lines)


def _filled(text: str, texts: dict[str, str]) -> str:
    return _DOC_USE.sub(lambda found: texts[found.group(1)], text).strip()


# --------------------------------------------------------------------------------- text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _paragraphs(text: str) -> str:
    """Paragraphs as they stand, each on one line; what looks like HTML stays text."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(" ".join(part.split()) for part in parts).replace("<", "&lt;")
