"""Start and stop Airflow (UI and scheduler), the sandbox and the database.

In: `Settings`. Out: running services on 127.0.0.1 and where to find them.
Run it: `payesh up`, `payesh down`
"""

from __future__ import annotations

import click

from infra.cli.output import emit, json_option, wants_json
from infra.settings import Settings

COMMANDS = ("up", "down")


@click.command()
@click.option("--port", type=click.IntRange(1024, 65535), help="Port of the user interface.")
@json_option
@click.pass_context
def up(ctx: click.Context, port: int | None) -> None:
    """Start Airflow's UI and scheduler, the sandbox and the database; wait until healthy."""
    from infra.airflow.supervisor import start
    from infra.postgres.connect import admin_url
    from infra.postgres.migrate import migrate

    settings = Settings.from_env()

    def say(text: str) -> None:
        click.echo(f"  {text}", err=wants_json(ctx))

    say("database")
    admin_url(settings)
    migrate(settings)
    if settings.sandbox:
        from infra.sandbox import start as start_sandbox

        say("sandbox nation")
        start_sandbox(settings)
        settings = Settings.from_env()
    report = start(settings, port, say)
    verb = "Airflow is running" if report.started else "Airflow was running already"
    emit(
        ctx,
        f"{verb} ({report.seconds:.0f} s)\n"
        f"  open       {report.url}\n"
        f"  user       admin\n"
        f"  password   in {report.password_file}\n"
        f"  logs       {settings.log_dir / 'airflow'}\n"
        f"  stop       payesh down",
        {
            "url": report.url,
            "user": "admin",
            "password_file": report.password_file,
            "components": report.components,
            "started": report.started,
            "seconds": round(report.seconds, 1),
        },
    )


@click.command()
@click.option("--keep-database", is_flag=True, help="Leave the embedded Postgres running.")
@click.option("--keep-sandbox", is_flag=True, help="Leave the simulated nation running.")
@json_option
@click.pass_context
def down(ctx: click.Context, keep_database: bool, keep_sandbox: bool) -> None:
    """Stop what `payesh up` has started: Airflow, the sandbox, the embedded database."""
    from infra.airflow.supervisor import stop
    from infra.embedded import stop as stop_database

    settings = Settings.from_env()
    done = {"airflow": stop(settings), "sandbox": False, "database": False}
    if not keep_sandbox:
        from infra.sandbox import stop as stop_sandbox

        done["sandbox"] = bool(stop_sandbox(settings))
    if settings.is_embedded and not keep_database:
        done["database"] = stop_database(settings)
    stopped = [name for name, was_running in done.items() if was_running]
    emit(ctx, f"stopped: {', '.join(stopped) or 'nothing was running'}", done)
