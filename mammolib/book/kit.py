"""A folder that travels to a machine without internet, and the records that come back from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from mammolib import mias, results

FILMS = ("lesions", "all", "none")
"""Which films travel: those with lesions, which Experiments A to E need, all, or none."""
GLIBC = ("2_28", "2_27", "2_17")
"""The Linux systems whose wheels are taken, the newest first."""

RUN = """\
#!/usr/bin/env bash
# Runs experiments until the time is up; called again, it goes on where it stopped.
#
#     bash run.sh SECONDS [what `mammolib experiment` takes]
#     bash run.sh chapters [which]
#
# It ends with 0 when all is done, and with 75 when something is left.
set -euo pipefail
budget=${1:?usage: bash run.sh SECONDS [what mammolib experiment takes], or bash run.sh chapters [which]}; shift
cd "$(dirname "${BASH_SOURCE[0]}")"
unpack() {  # FOLDER ARCHIVE...
    local to=$1; shift
    if [ -d "$to" ]; then return; fi
    rm -rf "$to.half"
    for archive in "$@"; do
        if [ -f "$archive" ]; then python3 -m tarfile -e "$archive" "$to.half"; fi
    done
    if [ -d "$to.half" ]; then mv "$to.half" "$to"; fi
}
unpack project project.tar.gz
unpack site site.tar.gz
unpack films lesions.tar.bz2 normal.tar.bz2
mkdir -p runs project/_build
ln -sfn ../../runs project/_build/runs
export PYTHONPATH=$PWD/project:$PWD/site KERAS_BACKEND=${KERAS_BACKEND:-jax}
export MAMMOLIB_COMMIT=$(cat commit) JAX_COMPILATION_CACHE_DIR=$PWD/compiled
given=(--profile paper --data "$PWD/films")
cd project
if [ "$budget" = chapters ]; then exec python3 -m mammolib.cli run "${given[@]}" "$@"; fi
[ $# -gt 0 ] || set -- A E-before E-after --splits image,woman --variant trains
exec python3 -m mammolib.cli experiment "${given[@]}" --checkpoint 60 --budget "$budget" "$@"
"""


def pack(
    folder: Path, films: str = "lesions", data: Path | None = None, python: str = "3.12", chapters: bool = False
) -> None:
    """Write the folder: the project as committed, packages for the other machine's Python, films, and `run.sh`.

    Packages are for Linux on x86-64, beside a Python with NumPy, SciPy and JAX: those of .ci/gpu-experiments.txt.

    Args:
        folder: must not exist.
        films: one of `FILMS`.
        data: the films; where the book finds them if not given.
        python: the version of the other machine's Python.
        chapters: those of .ci/gpu-chapters.txt, so that chapters can be executed there.

    Raises:
        ValueError: another word for films.
        FileExistsError: the folder is there.
        RuntimeError: git or pip failed; the last line of what it said.
    """
    root = results.root()
    if films not in FILMS:
        raise ValueError(f"films: {films!r} is not one of {', '.join(FILMS)}")
    if folder.exists():
        raise FileExistsError(f"{folder}: is there already; name another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as half:
        kit, ci, what = Path(half) / "kit", root / ".ci", "chapters" if chapters else "experiments"
        kit.mkdir()
        (kit / "commit").write_text(results.commit().removesuffix("+dirty"))
        _told("git", "-C", str(root), "archive", "-o", str((kit / "project.tar.gz").absolute()), "HEAD")
        wheels = [f"--platform=manylinux_{v}_x86_64" for v in GLIBC] + ["--platform=manylinux2014_x86_64"]
        site = Path(half) / "site"
        _told(
            sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--only-binary=:all:",
            f"--target={site}", f"--python-version={python}", "--implementation=cp", *wheels,
            f"--constraint={ci / 'constraints.txt'}", f"--requirement={ci / f'gpu-{what}.txt'}",
        )  # fmt: skip
        with tarfile.open(kit / "site.tar.gz", "w:gz") as tar:
            tar.add(site, ".")
        for part in {"none": (), "lesions": ("lesions",), "all": ("lesions", "normal")}[films]:
            mias.pack(mias.find(data), kit / f"{part}.tar.bz2", part)
        (kit / "run.sh").write_text(RUN)
        kit.rename(folder)


def collect(folder: Path) -> list[tuple[str, str]]:
    """Take whole records of a kit's "runs" into the project's run store, and those on real films into book/results.

    Returns:
        (file, why it does not go into the book; "" if it does), in alphabetical order.

    Raises:
        FileNotFoundError: there is no record in the folder.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder}: there is no record (a .json file) in it")
    return [(path.name, _taken(path)) for path in paths]


def _taken(path: Path) -> str:
    """Save a record where it belongs; return why the book does not show it, "" if it does."""
    try:
        record = results.load(path)
    except ValueError as err:
        return f"refused: {err}"
    if not record.complete:
        return record.outcome
    if not (results.run_store() / path.name).exists():
        results.save(record, results.run_store())
    if path.with_suffix("").is_dir():  # its weights
        shutil.copytree(path.with_suffix(""), results.run_store() / path.stem, dirs_exist_ok=True)
    if record.data["name"] != "mini-MIAS":
        return f"its data are {record.data['name']}"
    if (results.recorded() / path.name).exists():
        return "the book has it already"
    results.save(record, results.recorded())
    return ""


def _told(*command: str) -> None:
    """Run a command; an error says what it said last."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(f"{' '.join(command[:4])}: {said[-1]}")
