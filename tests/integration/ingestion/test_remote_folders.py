"""Drop folders on S3 and SFTP, against real servers of both kinds on this machine (S12, P12)."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import fsspec
import paramiko
import pytest
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from ingestion.connectors import Fetched, collect
from ingestion.errors import FetchError
from ingestion.spec.model import Folder, SourceSpec
from ingestion.spec.registry import LoadedSpec

SECRET = "s3cret-value"


class Context:
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def secrets(self, ref: str, /) -> str:
        return {"env:USER": "desk", "env:KEY": SECRET}[ref]


def visit(connector: dict[str, Any]) -> list[Fetched]:
    spec = SourceSpec.model_validate(
        {
            "source": "a__b",
            "title": "t",
            "kind": "progress",
            "agency": "mict",
            "owner": {"name": "x", "email": "x@x.invalid"},
            "connector": {
                "type": "folder",
                "stable_seconds": 0,
                "auth": {
                    "style": "basic",
                    "user": {"ref": "env:USER"},
                    "secret": {"ref": "env:KEY"},
                },
                **connector,
            },
            "layouts": [{"fields": {"project": {"headers": ["p"]}, "period": {"headers": ["w"]}}}],
        }
    )
    return collect(LoadedSpec(spec, Path("a__b.yml"), "0" * 64), Context())


def names(found: list[Fetched]) -> dict[str, bytes]:
    return {one.parts[0].name: one.parts[0].data for one in found}


def refused(connector: dict[str, Any]) -> FetchError:
    with pytest.raises(FetchError) as caught:
        visit(connector)
    assert SECRET not in str(caught.value)
    return caught.value


# ------------------------------------------------------------------------------ S3


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="desk",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="agencies")
    yield url, client
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


def test_S12_files_of_an_s3_folder_come_whole_and_new_ones_are_seen(s3: tuple[str, Any]) -> None:
    url, client = s3
    folder = {"path": "s3://agencies/weekly", "pattern": "*.csv", "endpoint": url}
    assert visit(folder) == []  # the bucket is there, the folder has no objects yet
    client.put_object(Bucket="agencies", Key="weekly/35.csv", Body="هفته;پروژه".encode())
    client.put_object(Bucket="agencies", Key="weekly/35.xlsx.part", Body=b"x")
    client.put_object(Bucket="agencies", Key="weekly/old/34.csv", Body=b"x")
    found = visit(folder)
    assert names(found) == {"35.csv": "هفته;پروژه".encode()}
    assert found[0].parts[0].headers["last-modified"]
    client.put_object(Bucket="agencies", Key="weekly/36.csv", Body=b"y" * 6_000_000)
    assert set(names(visit(folder))) == {"35.csv", "36.csv"}
    (large,) = [f for f in visit({**folder, "max_megabytes": 5}) if f.problem]
    assert large.problem is not None
    assert large.problem.code == "file-too-large"
    assert visit({**folder, "stable_seconds": 3600}) == []


def test_S11_an_s3_bucket_that_is_not_there_is_no_empty_folder(s3: tuple[str, Any]) -> None:
    assert refused({"path": "s3://nobody/weekly", "endpoint": s3[0]}).code == "folder-missing"


def test_P5_an_s3_store_that_does_not_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refused({"path": "s3://agencies/x", "endpoint": f"http://127.0.0.1:{port}"})
    assert error.code == "unreachable"


# ------------------------------------------------------------------------------ SFTP


class Files(paramiko.SFTPServerInterface):
    """Read-only files of one folder."""

    root = Path()

    def _path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        try:
            return [
                paramiko.SFTPAttributes.from_stat(entry.stat(), entry.name)
                for entry in os.scandir(self._path(path))
            ]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(self._path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> paramiko.SFTPHandle | int:
        handle = paramiko.SFTPHandle(flags)
        try:
            handle.readfile = self._path(path).open("rb")  # type: ignore[attr-defined]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return handle


class Gate(paramiko.ServerInterface):
    """Lets the desk in by its password."""

    def __init__(self, tried: list[str]) -> None:
        self.tried = tried

    def check_auth_password(self, username: str, password: str) -> int:
        self.tried.append(username)
        if (username, password) == ("desk", SECRET):
            return paramiko.AUTH_SUCCESSFUL
        return paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


@dataclass
class Sftp:
    folder: Path
    url: str
    fingerprint: str
    tried: list[str]


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Sftp]:
    key = paramiko.ECDSAKey.generate()
    files = type("Here", (Files,), {"root": tmp_path})
    tried: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # a client that only looks at the key hangs up at any moment
            try:
                transport = paramiko.Transport(connection)
                transports.append(transport)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
                transport.start_server(server=Gate(tried))
            except (paramiko.SSHException, EOFError, OSError):
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    port = listener.getsockname()[1]
    yield Sftp(tmp_path, f"sftp://127.0.0.1:{port}/weekly", f"SHA256:{digest}", tried)
    fsspec.get_filesystem_class("sftp").clear_instance_cache()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for transport in transports:
        transport.close()
    thread.join(5)


def test_S12_files_of_an_sftp_folder_come_whole_and_new_ones_are_seen(sftp: Sftp) -> None:
    weekly = sftp.folder / "weekly"
    assert refused({"path": sftp.url, "host_key": sftp.fingerprint}).code == "folder-missing"
    weekly.mkdir()
    assert visit({"path": sftp.url, "host_key": sftp.fingerprint}) == []
    (weekly / "گزارش.csv").write_text("هفته;پروژه", encoding="utf-8")
    (weekly / "half.csv.filepart").write_text("x")
    found = visit({"path": sftp.url, "pattern": "*.csv", "host_key": sftp.fingerprint})
    assert names(found) == {"گزارش.csv": "هفته;پروژه".encode()}
    (weekly / "b.csv").write_bytes(os.urandom(300_000))
    assert set(names(visit({"path": sftp.url, "host_key": sftp.fingerprint}))) == {
        "گزارش.csv",
        "b.csv",
    }
    assert visit({"path": sftp.url, "host_key": sftp.fingerprint, "stable_seconds": 3600}) == []


def test_P12_a_host_with_another_key_never_sees_the_password(sftp: Sftp) -> None:
    error = refused({"path": sftp.url, "host_key": "SHA256:" + "A" * 43})
    assert (error.code, sftp.tried) == ("host-key-differs", [])
    assert sftp.fingerprint in error.message


@pytest.mark.parametrize(
    "path", ["sftp://files.example/weekly", "SFTP://files.example/", "ssh://h/x"]
)
def test_P12_a_folder_on_sftp_without_the_hosts_key_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="host_key is missing"):
        Folder(type="folder", path=path)
