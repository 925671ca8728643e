"""What README, CI, configuration and requirements say must agree, and keep out of the tools' known traps."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
README = (ROOT / "README.md").read_text()
WORKFLOWS = [yaml.safe_load(p.read_text()) for p in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]


def requirements(*extras: str) -> dict[str, Requirement]:
    lists = [PROJECT["project"]["dependencies"]] + [PROJECT["project"]["optional-dependencies"][e] for e in extras]
    return {canonicalize_name(r.name): r for r in (Requirement(line) for part in lists for line in part)}


def constraints() -> dict[str, Version]:
    lines = [x for x in (ROOT / ".ci" / "constraints.txt").read_text().splitlines() if x and not x.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in (x.split("==") for x in lines)}


def python(code: str, **environment: str) -> str:
    env = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"} | environment
    return subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_readme_has_two_commands_and_ci_runs_the_second():
    section = README.partition("## Two commands")[2].partition("\n## ")[0]
    first, second = (block.strip() for block in re.findall(r"```bash\n(.*?)```", section, re.S))
    assert "\n" not in first and "\n" not in second and first.endswith("&& .venv/bin/mammolib book")
    script = ROOT / ".ci" / "run"
    tests, more, slow = script.read_text().splitlines()[-3:]
    assert (tests, slow) == (second, ".venv/bin/pytest -m slow"), "the README's tests, then slow ones"
    assert "jax" in more and "jax" not in script.read_text().partition(more)[0], "the first in the README's environment"
    assert script.stat().st_mode & 0o111
    published = [step.get("run") for w in WORKFLOWS for job in w["jobs"].values() for step in job["steps"]]
    assert first in published and "bash .ci/run" in published


@pytest.mark.slow
def test_the_readmes_lines_of_python_train_a_detector_and_score_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(r"0\.\d{3}( \[0\.\d{3}, 0\.\d{3}\])?\n", capsys.readouterr().out)


def test_readme_and_intro_say_what_it_is_not_for():
    assert "Not for clinical use" in README
    assert "Not for clinical use" in (ROOT / "book" / "intro.md").read_text()


def test_constraints_hold_every_requirement():
    fixed = constraints()
    for name, requirement in requirements("test", "jax").items():
        assert name in fixed, name
        assert requirement.specifier.contains(fixed[name], prereleases=True), f"{requirement}: {fixed[name]}"
    assert "jupytext" not in fixed and "torch" not in fixed


THERE = {"numpy", "scipy", "jax", "jaxlib", "ml-dtypes", "opt-einsum"}
"""What a GPU machine with JAX has."""


def travels(name: str) -> set[str]:
    """Return the packages that .ci/gpu-{name}.txt lists, those of the files it names included."""
    lines = (ROOT / ".ci" / f"gpu-{name}.txt").read_text().splitlines()
    listed = {canonicalize_name(x) for x in lines if x and x[0] not in "#-"}
    return listed.union(*(travels(x.removeprefix("-r gpu-").removesuffix(".txt")) for x in lines if x[:3] == "-r "))


@pytest.mark.parametrize("name", ["experiments", "chapters"])
def test_what_travels_to_a_gpu_machine_is_complete_and_brings_no_second_numpy(name):
    """pip is told --no-deps there, so each package's needs must be listed, on the machine, or known to be idle."""
    idle = {"h5py", "aiohttp", "debugpy", "markdown-it-py"} | ({"pygments"} if name == "experiments" else set())
    listed = travels(name)
    assert not listed & (THERE | idle) and listed <= set(constraints())
    for package in sorted(listed):
        for line in importlib.metadata.requires(package) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": "", "python_version": "3.12"}):
                assert canonicalize_name(need.name) in listed | THERE | idle, f"{package} needs {need.name}"


BARE = """
import importlib.metadata, sys
owners = importlib.metadata.packages_distributions()

class Bare:
    def find_spec(self, name, path=None, target=None):
        found = {x.lower().replace("_", "-") for x in owners.get(name.partition(".")[0], ())}
        if found and not found & allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
import mammolib.book.session, mammolib.cli, mammolib.experiments.named
"""


@pytest.mark.slow
def test_an_experiment_starts_with_what_travels():
    """A GPU machine without a registry has these packages and no other."""
    pytest.importorskip("jax")
    allowed = travels("experiments") | THERE | {"mammolib"}
    python(f"allowed = {allowed}\n{BARE}", KERAS_BACKEND="jax")


def test_binder_installs_the_project_with_the_tested_versions():
    lines = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert lines == ["-c ../.ci/constraints.txt", "-e ."]  # -c is relative to the file, -e to the project's folder


def test_versions_that_are_traps_are_kept_out():
    needed = requirements()
    assert not needed["jupyter-book"].specifier.contains("2.0.0"), "2.x ignores _config.yml and exits 0"
    assert not needed["sphinx-book-theme"].specifier.contains("1.3.0"), "1.3 shows a second top bar"
    python = Requirement(f"python{PROJECT['project']['requires-python']}").specifier
    assert [v for v in ("3.10.9", "3.11.9", "3.13.1", "3.14") if python.contains(v)] == ["3.11.9", "3.13.1"]


def test_configuration_keeps_out_of_traps():
    assert CONFIG["execute"]["execute_notebooks"] == "off", "papermill executes"
    assert CONFIG["execute"]["stderr_output"] == "error"
    assert CONFIG["only_build_toc_files"] is True, "else labels are found twice"
    assert "launch_buttons" not in CONFIG, "they come when the repository has an address"
    extensions = CONFIG["sphinx"]["config"]["extensions"]
    assert "sphinx_thebe" not in extensions and "sphinx-mathjax-offline" in extensions
    assert CONFIG["sphinx"]["config"]["nb_ipywidgets_js"] == {}


def test_nbval_runs_in_this_environment_and_workflows_ask_for_little():
    options = PROJECT["tool"]["pytest"]["ini_options"]
    assert {"--nbval-lax", "--nbval-current-env"} <= set(options["addopts"].split())
    assert "chapters" in options["testpaths"]
    for workflow in WORKFLOWS:
        assert workflow["permissions"]["contents"] == "read"
        assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_library_never_imports_tensorflow():
    """It is written against Keras; the backend is the reader's choice."""
    for path in (ROOT / "mammolib").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) tensorflow\b", path.read_text("utf-8"), re.M), path


def test_rooms_a_chapter_begins_with_are_light():
    heavy = {"bs4", "keras", "sphinx", "papermill", "pooch", "seaborn", "sklearn", "ipywidgets"}
    code = "import sys, mammolib.book, mammolib.mias, mammolib.patches, mammolib.results"
    assert python(f"{code}; print({heavy} & set(sys.modules))") == "set()\n"


@pytest.mark.parametrize(("given", "expected"), [({}, "1\n"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0\n")])
def test_onednn_is_on_where_mammolib_starts_unless_the_user_has_set_it(given, expected):
    assert python("import os, mammolib; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])", **given) == expected
