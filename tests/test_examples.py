"""The gray clip of the README, the script that draws it, and the notebook."""

import json
import runpy
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_script_draws_a_bright_sky_over_a_meadow_that_passes_by() -> None:
    render = runpy.run_path(str(EXAMPLES / "render_hills.py"))["render"]
    first, last = (frame.astype(float) for frame in render(width=160, height=90, count=2))
    assert first.shape == last.shape == (90, 160)
    sky, meadow = first[:20], first[70:]
    assert sky.mean() > meadow.mean() + 40
    # Grain alone differs by about 1.5 levels from frame to frame.
    assert np.abs(last[70:] - first[70:]).mean() > 8


def test_the_clip_is_gray_and_has_sound() -> None:
    with av.open(str(EXAMPLES / "hills.mp4")) as film:
        video = film.streams.video[0]
        assert video.average_rate == Fraction(24000, 1001)
        assert (video.width, video.height) == (640, 360)
        frames = [frame.to_ndarray(format="yuv420p") for frame in film.decode(video)]
        film.seek(0)
        sound = np.concatenate([part.to_ndarray() for part in film.decode(audio=0)], axis=1)
    assert len(frames) == 120
    chroma = np.stack(frames)[:, 360:]
    assert chroma.min() == chroma.max() == 128
    seconds = len(frames) * 1001 / 24000
    assert abs(sound.shape[1] / 48000 - seconds) < 0.1
    assert 0.005 < sound.std() < 0.5


def cells(notebook: Path) -> list[dict]:
    return json.loads(notebook.read_text("utf-8"))["cells"]


NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_is_stored_without_outputs(notebook):
    for cell in cells(notebook):
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs(notebook, monkeypatch, capsys, tmp_path):
    """As Jupyter does, one cell after another in its own folder, but without Jupyter."""
    monkeypatch.chdir(notebook.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{notebook.name}:{cell['id']}", "exec"), names)
    said = capsys.readouterr().out
    assert "24 frames" in said
    assert "render factor 24" in said and "PSNR" in said
