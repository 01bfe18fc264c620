"""The package as other programs use it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import make_api
import pytest

import vidcolor

ROOT = Path(__file__).parents[1]


def run_python(code: str, folder: Path) -> str:
    """What a new interpreter prints that runs `code` in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_neither_loads_torch_nor_changes_the_environment(tmp_path):
    code = (
        "import os, sys; before = dict(os.environ); import vidcolor; dir(vidcolor);"
        "assert dict(os.environ) == before; assert 'torch' not in sys.modules"
    )
    run_python(code, tmp_path)


def test_every_public_name_is_there_listed_and_described():
    for name in vidcolor.__all__:
        assert name in dir(vidcolor)
        if name != "__version__":
            assert getattr(vidcolor, name).__doc__
            assert f"`{name}`" in (vidcolor.__doc__ or "")
    with pytest.raises(AttributeError, match="no attribute 'colourise'"):
        _ = vidcolor.colourise


def test_the_api_page_is_made_from_today_s_docstrings():
    assert {name for names in make_api.SECTIONS.values() for name in names} == {
        *vidcolor.__all__
    } - {"__version__"}
    assert make_api.DOCS.read_text("utf-8") == make_api.api(), "run python tests/make_api.py"


def test_the_readme_s_example_runs_outside_a_clone(clip, tmp_path):
    from PIL import Image

    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    shutil.copy(clip, tmp_path / "film.mp4")
    Image.linear_gradient("L").save(tmp_path / "photo.jpg")
    run_python(example, tmp_path)
    assert (tmp_path / "film.color.mp4").stat().st_size
    assert (tmp_path / "photo.color.jpg").stat().st_size
