"""What a running task says about itself: to its log, and to whoever watches the night.

In: `say("dbt_build", "12 of 60 ...")`, `failed("fetch", fault)`. Out: lines of the task's log;
under `payesh nightly`, which runs the tasks in its own process, also lines on the screen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from infra.airflow.faults import Fault

log = logging.getLogger("payesh")
_listeners: list[Listener] = []


class Listener(Protocol):
    """Somebody who watches tasks of this process."""

    def say(self, stage: str, text: str) -> None:
        """Hear that a stage has got somewhere."""

    def failed(self, stage: str, fault: Fault) -> None:
        """Hear that a stage has failed, and why."""


def say(stage: str, text: str) -> None:
    """Report progress of a stage."""
    log.info("%s: %s", stage, text)
    for listener in _listeners:
        listener.say(stage, text)


def failed(stage: str, fault: Fault) -> None:
    """Report what made a stage fail; the log gets it as its last words."""
    log.error("%s failed [%s]\n%s", stage, fault.code, fault)
    for listener in _listeners:
        listener.failed(stage, fault)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hear what tasks of this process say while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
