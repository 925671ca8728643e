"""Files are written whole or not at all, and the first error is told, with the name that was asked for."""

import errno
import os
import subprocess
import sys

import pytest

from mammolib.files import alive, atomic, draft_folder


def test_a_file_appears_whole_and_its_folder_is_made(tmp_path):
    path = tmp_path / "a" / "b.bin"
    with atomic(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["b.bin"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError("x")]
)
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as caught, atomic(path, "the record was not written") as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["b.bin"]
    if isinstance(error, OSError):
        assert caught.value.filename == str(path)
        assert str(caught.value) == f"[Errno 28] the record was not written: No space left on device: '{path}'"


def test_the_first_error_is_told_where_cleaning_up_fails_too(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "hidden")

    path = tmp_path / "b.bin"
    with pytest.raises(OSError, match="No space left on device") as caught, atomic(path) as file:
        monkeypatch.setattr("pathlib.Path.unlink", read_only)
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / ".hidden"))
    assert caught.value.filename == str(path)


def test_what_a_killed_process_left_is_swept_away_and_a_running_ones_is_not(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    left = [tmp_path / f".b.{process}-0a1b" for process in (done.pid, os.getppid())]
    for folder in left:
        folder.mkdir()
        (folder / "film").write_bytes(b"half")
    with draft_folder(tmp_path / "b") as draft:
        assert draft.is_dir()
    assert left[1].exists() and not draft.exists() and (not left[0].exists() or alive(done.pid))
    left = [tmp_path / f".b.bin.{process}" for process in (done.pid, os.getppid())]
    for file in left:
        file.write_bytes(b"half")
    with atomic(tmp_path / "b.bin") as file:
        file.write(b"new")
    assert left[1].exists() and (not left[0].exists() or alive(done.pid))
