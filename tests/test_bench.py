"""`vidcolor bench` at its smallest: what it prints and writes makes sense."""

import json

import pytest
from click.testing import CliRunner

from vidcolor.cli import vidcolor as command


@pytest.mark.slow
def test_a_tiny_run(tmp_path):
    target = tmp_path / "rows.json"
    words = ["--size", "tiny", "--frames", "6", "--few", "2", "--rounds", "1", "-r", "4"]
    result = CliRunner().invoke(command, ["bench", *words, "-o", str(target)])
    assert result.exit_code == 0, result.output
    found = json.loads(target.read_text())
    assert found["machine"]["torch"] and found["machine"]["ffmpeg"]
    sections = {row["section"] for row in found["rows"]}
    assert sections == {
        *("start-up", "peak memory", "generator alone", "stages, tiny"),
        *("pipeline alone, tiny, ultrafast", "pipeline alone, tiny, medium"),
        "end to end, lite at 4, ultrafast",
    }
    for row in found["rows"]:
        assert row["name"] in result.output
        assert {"fps", "ratio", "note"} & row.keys()
        assert row.get("fps", 1) > 0 and row.get("ratio", 1) > 0
        assert ("ratio" in row) == bool(row.get("over"))
    plain = [row for row in found["rows"] if row["name"] == "plain transcode"]
    assert {row["ratio"] for row in plain} == {1.0}
