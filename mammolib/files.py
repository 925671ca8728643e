"""Files are written whole or not at all, and an error names the file that was asked for."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic(path: str | os.PathLike[str], what: str = "not written") -> Iterator[BinaryIO]:
    """Open a file to be written; under its name it appears only when all is on the disk.

    What stood there before stays until then. The folder is made if it is missing. What a killed process left half
    written of the same file is removed.

    Args:
        path: the file.
        what: how an error begins.

    Yields:
        The file, open for bytes, in the same folder under a hidden name.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; names `path`, and nothing is left of the attempt.
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


def sweep(folder: Path, name: str) -> None:
    """Delete the half-written files "{name}.{process}" of processes that no longer run, and no other."""
    for left_over in folder.glob(f"{name}.*"):
        process = left_over.name.removeprefix(f"{name}.")
        if re.fullmatch(r"[1-9]\d{0,8}", process) and not alive(int(process)):
            left_over.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Whether a process runs; only POSIX systems can be asked, on others every process is taken to run."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, under another user
        pass
    return True
