"""Files are written whole or not at all, and an error names the file that was asked for."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic(path: str | os.PathLike[str], what: str = "not written") -> Iterator[BinaryIO]:
    """Open a file for bytes that appears under its name only when all is on the disk; makes its folder.

    What stood there before stays until then. What a killed process left half written of the same file is removed.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; begins with `what`, names `path`, and nothing is
            left of the attempt.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, f".{path.name}")
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as err:
        with contextlib.suppress(OSError):  # the first error is the one to be told
            temporary.unlink(missing_ok=True)
        if isinstance(err, OSError) and err.errno is not None:
            raise OSError(err.errno, f"{what}: {err.strerror}", str(path)) from None
        raise


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Make a hidden folder beside `folder`, to be filled and then renamed; it is removed in the end, whatever happens.

    What a killed process left of the same folder is removed, too.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent, f".{folder.name}")
    try:
        draft.mkdir()
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep(folder: Path, name: str) -> None:
    """Delete what processes that no longer run left half written: "{name}.{process}", or that with "-" and more."""
    for left_over in folder.glob(f"{name}.*"):
        process = re.fullmatch(r"([1-9]\d{0,8})(-[0-9a-f]+)?", left_over.name.removeprefix(f"{name}."))
        if process and not alive(int(process[1])):
            if left_over.is_dir():
                shutil.rmtree(left_over, ignore_errors=True)
            else:
                left_over.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Whether a process runs; only POSIX systems can be asked, on others every process is taken to run."""
    if os.name == "posix":
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it runs, under another user
            pass
    return True
