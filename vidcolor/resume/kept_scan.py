"""What was found out about a film's frames, kept beside its pieces, so that it is found once."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vidcolor.media.scan import Scan
from vidcolor.resume.manifest import identity, load_manifest, same_source
from vidcolor.resume.own_files import is_own_folder
from vidcolor.resume.work_folder import piece_folder

SCAN = "scan.npz"
"""Of the file in a work folder."""


def save_scan(scan: Scan, path: Path) -> None:
    """Write it, all at once."""
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            pts=scan.pts,
            begins=scan.begins,
            crcs=scan.crcs,
            warnings=np.array(scan.warnings, np.str_),
            seekable=np.array(scan.seekable),
        )
    unfinished.replace(path)


def kept_scan(source: Path, target: Path) -> Scan | None:
    """The scan of `source` that a run to `target` has kept; None where there is none of it."""
    folder = piece_folder(target)
    manifest = load_manifest(folder)
    if manifest is None or manifest.plan is None or not is_own_folder(folder):
        return None
    try:
        if not same_source(identity(source), manifest.source):
            return None
        return _load(folder / SCAN)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _load(path: Path) -> Scan:
    """Raises ValueError and the like for anything that `save_scan` does not write."""
    with np.load(path) as arrays:
        kinds = {"pts": np.int64, "begins": np.bool_, "crcs": np.uint32}
        found = {name: arrays[name] for name in kinds}
        for name, kind in kinds.items():
            if found[name].dtype != kind or found[name].shape != (len(found["pts"]),):
                raise ValueError(f"{name} has the wrong type or shape")
        if not len(found["pts"]):
            raise ValueError("there are no frames")
        return Scan(
            **found,
            warnings=tuple(map(str, arrays["warnings"])),
            seekable=bool(arrays["seekable"]),
        )
