"""Which executor the configuration names, and what of its settings is refused."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

import pytest

from infra.airflow import supervisor
from infra.airflow.environment import environment
from infra.errors import RefusedError
from infra.settings import Settings

BROKER = "redis://:a-secret-word@127.0.0.1:6390/0"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    url = "postgresql://house:word@127.0.0.1:5/payesh"
    return replace(Settings.from_env({"PAYESH_HOME": str(tmp_path)}), database_url=url)


def configuration(settings: Settings) -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read_string(environment(settings, 18080).config.read_text(encoding="utf-8"))
    return found


def test_tasks_run_in_processes_here_unless_somebody_says_otherwise(settings: Settings) -> None:
    found = configuration(settings)
    assert found["core"]["executor"] == "LocalExecutor"
    assert "celery" not in found
    assert "worker-1" not in supervisor.components()


def test_celery_has_its_broker_its_results_in_the_house_and_its_workers_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_EXECUTOR", "celery")
    monkeypatch.setenv("PAYESH_BROKER_URL", BROKER)
    monkeypatch.setenv("PAYESH_WORKERS", "3")
    found = configuration(settings)
    assert found["core"]["executor"] == "CeleryExecutor"
    assert found["celery"]["broker_url"] == BROKER
    assert found["celery"]["result_backend"].startswith("db+postgresql+psycopg2://")
    names = list(supervisor.components())
    assert names[-3:] == ["worker-1", "worker-2", "worker-3"]
    order = sorted(names, key=supervisor._stop_order)
    assert order[-2:] == ["scheduler", "api-server"], "a worker needs a server to tell its end"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYESH_EXECUTOR", "kubernetes"),
        ("PAYESH_BROKER_URL", "amqp://:a-secret-word@127.0.0.1"),
        ("PAYESH_WORKERS", "many"),
    ],
)
def test_P12_a_senseless_executor_is_refused_by_name_and_no_password_is_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("PAYESH_EXECUTOR", "celery")
    monkeypatch.setenv("PAYESH_BROKER_URL", BROKER)
    monkeypatch.setenv(name, value)

    def start() -> None:
        environment(settings, 18080)
        supervisor.components()

    with pytest.raises(RefusedError) as caught:
        start()
    told = f"{caught.value.what} {caught.value.where} {caught.value.fix}"
    assert name in told
    assert "a-secret-word" not in told
