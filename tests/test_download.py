"""mammolib.mias.fetch from a server on this machine that breaks, changes, stalls or is not there."""

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

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def sends(content: bytes, claims: int | str | None = None, encoding: str = "", status: int = 200) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if claims is None else claims))
        if encoding:
            handler.send_header("Content-Encoding", encoding)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """A function that starts a server with three files to fetch and returns what it was asked, as it goes on.

    The server gives one answer after another, the last for ever.
    """
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(copies, "manifest", lambda: EXPECTED)
    servers: list[http.server.HTTPServer] = []

    def start(*answers: Answer) -> list[str]:
        asked: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                answers[min(len(asked), len(answers)) - 1](self)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setattr(copies, "URL", f"http://127.0.0.1:{servers[-1].server_port}/all-mias.tar.gz")
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("encoding", ["", "x-gzip"])  # some servers unzip under way
def test_the_download_arrives_with_a_bar_and_leaves_no_archive(
    tmp_path: Path, serve: Callable, capfd: pytest.CaptureFixture, encoding: str
) -> None:
    asked = serve(sends(WHOLE, encoding=encoding))
    target = mias.fetch(to=tmp_path / "to")
    assert whole(target) and os.listdir(tmp_path) == ["to"] and len(asked) == 1
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
    asked = serve(broken)
    fails(OSError, tmp_path, copies.URL, message, "gave up after 3 downloads", "--from", to=tmp_path / "to")
    assert len(asked) == copies.ATTEMPTS
    caplog.clear()
    asked = serve(broken, sends(WHOLE))
    with caplog.at_level(logging.WARNING, "mammolib"):
        target = mias.fetch(to=tmp_path / "to")
    assert whole(target) and os.listdir(tmp_path) == ["to"] and len(asked) == 2
    (record,) = caplog.records
    assert message in record.getMessage() and "starting the download again (2 of 3)" in record.getMessage()


def test_no_server_and_a_disk_that_fills(tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(sends(WHOLE))
    with monkeypatch.context() as patch:
        patch.setattr("tarfile.TarFile.extract", full)
        fails(OSError, tmp_path, "No space left on device", to=tmp_path / "to")
    assert len(asked) == 1, "it is not tried again"
    monkeypatch.setattr(copies, "URL", "http://127.0.0.1:9/nobody")
    fails(OSError, tmp_path, "Connection refused", "--from", to=tmp_path / "to")


def test_control_c_while_downloading_leaves_nothing(tmp_path: Path, serve: Callable) -> None:
    begun, release = threading.Event(), threading.Event()

    def stalls(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(WHOLE)))
        handler.end_headers()
        handler.wfile.write(WHOLE[: len(WHOLE) // 2])
        handler.wfile.flush()
        begun.set()
        release.wait(30)

    serve(stalls)
    code = f"copies.URL = {copies.URL!r}; copies.fetch(to={str(tmp_path / 'to')!r})"
    code = f"signal.signal(signal.SIGINT, signal.default_int_handler); {code}"  # else it may be ignored
    code = f"import signal; from mammolib.mias import copies; {code}"
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        assert begun.wait(30) and os.listdir(tmp_path) != []
        time.sleep(0.3)  # so that it is waiting for the other half
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    finally:
        release.set()
        run.kill()
    assert run.returncode != 0 and "KeyboardInterrupt" in errors
    assert os.listdir(tmp_path) == []
