"""The README's lines of Python run as they stand."""

import re

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_the_readmes_lines_of_python_train_a_detector_and_score_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(r"0\.\d{3}( \[0\.\d{3}, 0\.\d{3}\])?\n", capsys.readouterr().out)
