"""mammolib.mias.fetch from a server on this machine that breaks, changes, stalls or is not there."""

from __future__ import annotations

import functools
import http.server
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mias_layout import EXPECTED, FILES, WHOLE, fails, full, tar_of, whole

from mammolib import mias
from mammolib.mias import copies


class Server(http.server.ThreadingHTTPServer):
    """Gives one answer after another, the last for ever."""

    def __init__(self, *answers: Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = list(answers), 0
        threading.Thread(target=functools.partial(self.serve_forever, poll_interval=0.02), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/all-mias.tar.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        server.asked += 1
        server.answers[min(server.asked, len(server.answers)) - 1](self)

    def log_message(self, *_: object) -> None:
        pass


def sends(content: bytes, claims: int | str | None = None, encoding: str = "", status: int = 200) -> Callable:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if claims is None else claims))
        if encoding:
            handler.send_header("Content-Encoding", encoding)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """A function that starts a server with these answers, from which the films of three files are fetched."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(copies, "manifest", lambda: EXPECTED)
    servers: list[Server] = []

    def start(*answers: Callable) -> Server:
        servers.append(Server(*answers))
        monkeypatch.setattr(copies, "URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("encoding", ["", "x-gzip"])  # some servers unzip under way
def test_the_download_arrives_with_a_bar_and_leaves_no_archive(
    tmp_path: Path, serve: Callable, capfd: pytest.CaptureFixture, encoding: str
) -> None:
    server = serve(sends(WHOLE, encoding=encoding))
    target = mias.fetch(to=tmp_path / "to")
    assert whole(target) and os.listdir(tmp_path) == ["to"] and server.asked == 1
    assert "100%" in capfd.readouterr().err


CHANGED = tar_of(FILES | {"mdb002.pgm": FILES["mdb002.pgm"][:-1] + b"\0"})
BROKEN = {
    "half-way": (sends(WHOLE[: len(WHOLE) // 2], claims=len(WHOLE)), "download failed"),
    "half and called whole": (sends(WHOLE[: len(WHOLE) // 2]), "cut short"),
    "changed": (sends(CHANGED), "mdb002.pgm: damaged"),
    "a page": (sends(b"<html>log in to the hotel's network</html>" * 50), "no .tar or .tar.gz"),
    "no such page": (sends(b"", status=404), "404"),
    "a length that is none": (sends(WHOLE, claims="abc"), "abc"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_download_is_begun_again_and_given_up_in_the_end(
    tmp_path: Path, serve: Callable, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    broken, message = BROKEN[fault]
    server = serve(broken)
    fails(OSError, tmp_path, server.url, message, "gave up after 3 downloads", "--from", to=tmp_path / "to")
    assert server.asked == copies.ATTEMPTS
    caplog.clear()
    server = serve(broken, sends(WHOLE))
    with caplog.at_level(logging.WARNING, "mammolib"):
        target = mias.fetch(to=tmp_path / "to")
    assert whole(target) and os.listdir(tmp_path) == ["to"] and server.asked == 2
    (record,) = caplog.records
    assert message in record.getMessage() and "starting the download again (2 of 3)" in record.getMessage()


def test_no_server(tmp_path: Path, serve: Callable) -> None:
    server = serve(sends(b""))
    server.shutdown()
    server.server_close()
    fails(OSError, tmp_path, "Connection refused", "--from", to=tmp_path / "to")


def test_a_disk_that_fills_while_downloading_is_not_tried_again(
    tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(sends(WHOLE))
    monkeypatch.setattr("tarfile.TarFile.extract", full)
    fails(OSError, tmp_path, "No space left on device", to=tmp_path / "to")
    assert server.asked == 1


def test_control_c_while_downloading_leaves_nothing(tmp_path: Path, serve: Callable) -> None:
    asked, release = threading.Event(), threading.Event()

    def stalls(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(WHOLE)))
        handler.end_headers()
        handler.wfile.write(WHOLE[: len(WHOLE) // 2])
        handler.wfile.flush()
        asked.set()
        release.wait(30)

    server = serve(stalls)
    code = f"copies.URL = {server.url!r}; copies.fetch(to={str(tmp_path / 'to')!r})"
    code = f"signal.signal(signal.SIGINT, signal.default_int_handler); {code}"  # else it may be ignored
    code = f"import signal; from mammolib.mias import copies; {code}"
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        assert asked.wait(30) and os.listdir(tmp_path) != []
        time.sleep(0.3)  # so that it is waiting for the other half
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    finally:
        release.set()
        run.kill()
    assert run.returncode != 0 and "KeyboardInterrupt" in errors
    assert os.listdir(tmp_path) == []
