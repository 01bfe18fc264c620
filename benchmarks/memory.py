"""Peak memory of a film of 20 s and one of 200 s; it must not grow with the film."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from speed import make_film

LENGTHS = (20, 200)


def peak_megabytes(source: Path, target: Path) -> float:
    """Peak resident memory of the vidcolor process itself, in a process of its own."""
    code = (
        "import resource, sys\n"
        "from vidcolor.cli import vidcolor\n"
        "vidcolor(sys.argv[1:], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    words = [str(source), "--output", str(target), "--quiet"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return int(result.stdout) / 1024


def main() -> None:
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        for seconds in LENGTHS:
            source = Path(name) / f"{seconds}.mp4"
            make_film(source, seconds, "320x180")
            peaks.append(peak_megabytes(source, Path(name) / f"{seconds}.color.mp4"))
            children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{seconds:4d} s: {peaks[-1]:7.1f} MB, largest process so far {children:.1f} MB")
    print(f"growth {100 * (peaks[1] / peaks[0] - 1):.1f} %")


if __name__ == "__main__":
    main()
