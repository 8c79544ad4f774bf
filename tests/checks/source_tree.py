"""The project's own files, for the checks: what git tracks or would track, or, where the sources are
without their repository (as in tests/fresh), every file outside build folders."""

import os
import subprocess
from pathlib import Path

_NOT_OURS = {"build", ".git", ".cache", "__pycache__"}


def _git_files(root: Path) -> list[str] | None:
    if not (root / ".git").exists():
        return None
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z",
               "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [name for name in listed.decode().split("\0") if name]


def _walked_files(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_OURS]
        found += [str((Path(folder) / name).relative_to(root)) for name in files]
    return found


def files(root: Path, *endings: str) -> list[Path]:
    """Paths relative to `root`, sorted; those with one of `endings`, or all when none is given."""
    names = _git_files(root)
    if names is None:
        names = _walked_files(root)
    chosen = {Path(name) for name in names if not endings or name.endswith(endings)}
    return sorted(path for path in chosen if (root / path).is_file())
