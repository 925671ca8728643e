"""mammolib.mias.fetch: downloads from a server on this machine, archives and folders; whole or not at all."""

from __future__ import annotations

import errno
import functools
import gzip
import hashlib
import http.server
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from skimage import io as images

from mammolib import mias
from mammolib.mias import download

FILES = {"Info.txt": b"mdb001 F NORM\nmdb002 F NORM\n"} | {
    f"mdb{n:03}.pgm": b"P5\n1024 1024\n255\n" + bytes([n]) * 1024 * 1024 for n in (1, 2)
}
EXPECTED = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
EXTRAS = {"Licence.txt": b"for research only", "README": b"from elsewhere"}


def tar_of(files: dict[str, bytes], prefix: str = "", zipped: bool = True) -> bytes:
    members = []
    for name, content in files.items():
        member = tarfile.TarInfo(prefix + name)
        member.size = len(content)
        members.append((member, content))
    return tar_of_members(members, zipped)


def tar_of_members(members: list[tuple[tarfile.TarInfo, bytes | None]], zipped: bool = True) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz" if zipped else "w") as tar:
        for member, content in members:
            tar.addfile(member, None if content is None else io.BytesIO(content))
    return memory.getvalue()


WHOLE = tar_of(FILES | EXTRAS)


def whole(folder: Path) -> bool:
    return {path.name: path.read_bytes() for path in folder.iterdir()} == FILES | {"Licence.txt": EXTRAS["Licence.txt"]}


def fails(error: type[Exception], tmp_path: Path, *parts: str, **arguments: object) -> None:
    """Fetching fails with one line that holds `parts`, and leaves the disk as it was."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error) as err:
        mias.fetch(progress=False, expected=EXPECTED, **arguments)
    message = str(err.value)
    assert "\n" not in message and len(message) < 500
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"
    assert sorted(tmp_path.rglob("*")) == before


# From an archive or a folder on this machine


@pytest.mark.parametrize("prefix", ["", "./", "all-mias/"])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_archive_is_unpacked_and_strange_files_are_left_out(tmp_path: Path, prefix: str, zipped: bool) -> None:
    archive = tmp_path / "all-mias.archive"
    archive.write_bytes(tar_of(FILES | EXTRAS, prefix, zipped))
    target = mias.fetch(archive, tmp_path / "deep" / "down", expected=EXPECTED)
    assert target == tmp_path / "deep" / "down" and whole(target)
    assert os.listdir(target.parent) == ["down"]
    assert [film.reference for film in mias.load(target)] == ["mdb001", "mdb002"]


def test_the_target_is_readable_as_the_user_wants_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    target = mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask


def test_without_a_target_the_films_go_where_find_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mias.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.tgz").write_bytes(WHOLE)
    assert mias.fetch(tmp_path / "a.tgz", expected=EXPECTED) == mias.find() == tmp_path / "cache/mammolib/mini-MIAS"


def test_a_whole_target_is_left_as_it_is_and_the_source_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    target = mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)
    (target / "my notes").write_text("kept")
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert mias.fetch(tmp_path / "not there", target, expected=EXPECTED) == target
    assert mias.fetch(to=target, url="http://127.0.0.1:9/nobody", expected=EXPECTED) == target
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before


@pytest.mark.parametrize("target", ["new", "empty", "broken"])
def test_a_folder_is_copied_and_an_incomplete_target_replaced(tmp_path: Path, target: str) -> None:
    source, to = tmp_path / "source", tmp_path / target
    source.mkdir()
    for name, content in (FILES | EXTRAS).items():
        (source / name).write_bytes(content)
    if target != "new":
        to.mkdir()
    if target == "broken":
        (to / "mdb001.pgm").write_bytes(FILES["mdb001.pgm"][:100])
    assert whole(mias.fetch(source, to, expected=EXPECTED))
    assert sorted(os.listdir(tmp_path)) == sorted(["source", target])


def test_films_copied_from_png_become_what_was_distributed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Info.txt").write_bytes(FILES["Info.txt"])
    (source / "mdb001.pgm").write_bytes(FILES["mdb001.pgm"])
    images.imsave(source / "mdb002.png", np.full((1024, 1024), 2, np.uint8), check_contrast=False)
    target = mias.fetch(source, tmp_path / "to", expected=EXPECTED)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES


def test_a_target_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "thesis.docx").write_text("precious")
    fails(FileExistsError, tmp_path, "thesis.docx", "--to", source=tmp_path / "a.tar", to=tmp_path / "to")
    fails(FileExistsError, tmp_path, "a file is in the way", source=tmp_path / "a.tar", to=tmp_path / "a.tar")


def test_no_source(tmp_path: Path) -> None:
    fails(FileNotFoundError, tmp_path, "no such archive", source=tmp_path / "a.tar", to=tmp_path / "to")


def test_a_source_that_is_not_as_distributed(tmp_path: Path) -> None:
    archive, to = tmp_path / "a.tar", tmp_path / "to"
    archive.write_bytes(tar_of(FILES | {"mdb002.pgm": FILES["mdb001.pgm"]}))
    fails(ValueError, tmp_path, str(archive), "mdb002.pgm: damaged", source=archive, to=to)
    archive.write_bytes(tar_of({"Info.txt": FILES["Info.txt"]}))
    fails(ValueError, tmp_path, "mdb001.pgm: missing", "and 1 more", source=archive, to=to)
    source = tmp_path / "folder"
    source.mkdir()
    fails(ValueError, tmp_path, str(source), "Info.txt: missing", "and 2 more", source=source, to=to)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip" * 100, WHOLE[:-2000], gzip.compress(b"no tar" * 500)])
def test_an_archive_that_is_none_or_cut_short(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    fails(
        ValueError,
        tmp_path,
        "a.tar.gz",
        "cut short, damaged, or no .tar",
        source=tmp_path / "a.tar.gz",
        to=tmp_path / "to",
    )


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


UNSAFE = {
    "parent": (member("../mdb001.pgm"), "points outside"),
    "deep parent": (member("films/../../mdb001.pgm"), "points outside"),
    "windows parent": (member("films\\..\\..\\mdb001.pgm"), "points outside"),
    "absolute": (member("/etc/mdb001.pgm"), "points outside"),
    "drive": (member("C:/mdb001.pgm"), "points outside"),
    "symbolic link": (member("mdb001.pgm", tarfile.SYMTYPE, link="Info.txt"), "is a link"),
    "link outside": (member("films", tarfile.SYMTYPE, link="/etc"), "is a link"),
    "hard link": (member("mdb001.pgm", tarfile.LNKTYPE, link="Info.txt"), "is a link"),
    "device": (member("mdb001.pgm", tarfile.CHRTYPE), "a device"),
    "pipe": (member("mdb001.pgm", tarfile.FIFOTYPE), "special"),
    "big member": (member("mdb001.pgm", size=2**40), "claims 1099511627776 bytes"),
}


@pytest.mark.parametrize("fault", UNSAFE)
@pytest.mark.parametrize("zipped", [True, False])
def test_an_unsafe_archive_is_refused(tmp_path: Path, fault: str, zipped: bool) -> None:
    info, message = UNSAFE[fault]
    memory = tar_of_members([(member("Licence.txt"), b""), (info, None)], zipped=False)
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / "a.tar"
    archive.write_bytes(gzip.compress(memory) if zipped else memory)
    fails(ValueError, tmp_path, str(archive), message, "do not trust", source=archive, to=tmp_path / "in" / "to")


def test_a_film_that_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of_members([(member("mdb001.pgm"), b""), (member("x/mdb001.pgm"), b"")]))
    fails(ValueError, tmp_path, "holds mdb001.pgm twice", source=tmp_path / "a.tar", to=tmp_path / "to")


def test_bombs_of_many_members_of_much_data_and_in_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, to = tmp_path / "a.tar.gz", tmp_path / "to"
    archive.write_bytes(tar_of({f"{n}": b"" for n in range(download.MAX_MEMBERS + 1)}))
    fails(ValueError, tmp_path, "more than 2000 members", source=archive, to=to)

    header = member("pax", tarfile.XHDTYPE, size=2**31)  # a header that claims 2 GB, which tarfile would read at once
    archive.write_bytes(gzip.compress(header.tobuf() + bytes(10240)))
    fails(ValueError, tmp_path, "a header claims 2147483648 bytes", source=archive, to=to)

    monkeypatch.setattr(download, "MAX_TOTAL", 3 * 2**20)
    archive.write_bytes(tar_of({f"{n}": bytes(2**20) for n in range(5)}))
    fails(ValueError, tmp_path, "unpacks to more than 3145728 bytes", source=archive, to=to)


# The disk


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_or_becomes_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, to = tmp_path / "a.tar", tmp_path / "to"
    archive.write_bytes(WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        fails(OSError, tmp_path, str(to), "No space left on device", "--to", source=archive, to=to)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
        fails(OSError, tmp_path, "1 MB are free and 3 MB needed", "--to", source=archive, to=to)


def test_a_target_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(WHOLE)
    fails(OSError, tmp_path, "a.tar", "--to", source=archive, to=archive / "below a file")

    def refused(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))

    monkeypatch.setattr(tempfile, "mkdtemp", refused)  # a superuser is never refused, so permissions cannot test it
    fails(PermissionError, tmp_path, str(tmp_path), "Permission denied", "--to", source=archive, to=tmp_path / "to")


def test_a_rename_that_fails_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, to = tmp_path / "a.tar", tmp_path / "to"
    archive.write_bytes(WHOLE)
    to.mkdir()
    (to / "mdb001.pgm").write_bytes(b"old")
    rename = os.rename

    def stopped(old: Path, new: Path) -> None:
        if old.name == "films":
            raise KeyboardInterrupt
        rename(old, new)

    monkeypatch.setattr(os, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        mias.fetch(archive, to, expected=EXPECTED)
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "to"] and (to / "mdb001.pgm").read_bytes() == b"old"


def test_what_a_killed_run_left_is_swept_away_after_a_day(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(WHOLE)
    old, new = tmp_path / ".mias-fetch-old", tmp_path / ".mias-fetch-new"
    for left in (old, new):
        left.mkdir()
    os.utime(old, (time.time() - 90000,) * 2)
    mias.fetch(tmp_path / "a.tar", tmp_path / "to", expected=EXPECTED)
    assert not old.exists() and new.exists()


# The download


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


def sends(content: bytes, claims: int | None = None, encoding: str = "", status: int = 200) -> Callable:
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
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[Server] = []

    def start(*answers: Callable) -> Server:
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_download_arrives_with_a_bar_and_leaves_no_archive(
    tmp_path: Path, serve: Callable, capfd: pytest.CaptureFixture
) -> None:
    server = serve(sends(WHOLE))
    target = mias.fetch(to=tmp_path / "to", url=server.url, expected=EXPECTED)
    assert whole(target) and os.listdir(tmp_path) == ["to"] and server.asked == 1
    shown = capfd.readouterr().err
    assert "100%" in shown and "known_hash" not in shown
    mias.fetch(to=tmp_path / "quiet", url=server.url, expected=EXPECTED, progress=False)
    assert capfd.readouterr().err == ""


def test_a_server_that_unzips_under_way(tmp_path: Path, serve: Callable) -> None:
    server = serve(sends(WHOLE, encoding="x-gzip"))
    assert whole(mias.fetch(to=tmp_path / "to", url=server.url, expected=EXPECTED, progress=False))


CHANGED = tar_of(FILES | {"mdb002.pgm": FILES["mdb002.pgm"][:-1] + b"\0"})
BROKEN = {
    "half-way": (sends(WHOLE[: len(WHOLE) // 2], claims=len(WHOLE)), "download failed"),
    "half and called whole": (sends(WHOLE[: len(WHOLE) // 2]), "cut short"),
    "changed": (sends(CHANGED), "mdb002.pgm: damaged"),
    "a page": (sends(b"<html>log in to the hotel's network</html>" * 50), "no .tar or .tar.gz"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_download_is_begun_again(
    tmp_path: Path, serve: Callable, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    broken, message = BROKEN[fault]
    server = serve(broken, sends(WHOLE))
    with caplog.at_level(logging.WARNING, "mammolib"):
        target = mias.fetch(to=tmp_path / "to", url=server.url, expected=EXPECTED, progress=False)
    assert whole(target) and os.listdir(tmp_path) == ["to"] and server.asked == 2
    (record,) = caplog.records
    assert message in record.getMessage() and "starting the download again (2 of 3)" in record.getMessage()


@pytest.mark.parametrize("fault", BROKEN)
def test_a_download_that_stays_broken_is_given_up(tmp_path: Path, serve: Callable, fault: str) -> None:
    broken, message = BROKEN[fault]
    server = serve(broken)
    fails(
        OSError,
        tmp_path,
        server.url,
        message,
        "gave up after 3 downloads",
        "--from",
        to=tmp_path / "to",
        url=server.url,
    )
    assert server.asked == download.ATTEMPTS


def test_an_unsafe_download_is_not_tried_again(tmp_path: Path, serve: Callable) -> None:
    server = serve(sends(tar_of_members([(member("../mdb001.pgm"), b"")])))
    fails(ValueError, tmp_path, server.url, "points outside", to=tmp_path / "to", url=server.url)
    assert server.asked == 1


def test_no_such_page_and_no_server(tmp_path: Path, serve: Callable) -> None:
    server = serve(sends(b"", status=404))
    fails(OSError, tmp_path, "404", "--from", to=tmp_path / "to", url=server.url)
    assert server.asked == 1
    server.shutdown()
    server.server_close()
    fails(OSError, tmp_path, "Connection refused", "--from", to=tmp_path / "to", url=server.url)


def test_a_disk_that_fills_while_downloading_is_not_tried_again(
    tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(sends(WHOLE))
    monkeypatch.setattr(Path, "write_bytes", full)
    fails(OSError, tmp_path, "No space left on device", to=tmp_path / "to", url=server.url)
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
    code = f"from mammolib import mias; mias.fetch(to={str(tmp_path / 'to')!r}, url={server.url!r}, progress=False)"
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        assert asked.wait(30) and os.listdir(tmp_path) != []
        time.sleep(0.3)  # so that it is waiting for the other half
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    finally:
        release.set()
        run.kill()
    assert run.returncode != 0 and errors.rstrip().endswith("KeyboardInterrupt")
    assert os.listdir(tmp_path) == []


def test_the_notice_and_the_citation_say_what_they_must() -> None:
    assert "research" in mias.NOTICE and "not for clinical use" in mias.NOTICE and "Licence.txt" in mias.NOTICE
    assert "Suckling" in mias.CITATION and "1994" in mias.CITATION
