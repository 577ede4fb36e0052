"""Which files of a crate import which, and the circles among them: for test_circles.py, and to look at by hand.

`python tests/style/circles.py [CRATE]` prints the circles.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

Imports = dict[Path, set[Path]]

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
STRING = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod (\w+)\s*(;|\{)")
MODULE = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod (\w+);", re.MULTILINE)
USE = re.compile(r"\b(?P<pub>pub(?:\([^)]*\))?\s+)?use\s+(?P<tree>[^;]+);")
PATH = re.compile(r"(?<![\w:.$])(?:r#)?[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+")


class Crate:
    """The files of one crate, without its tests."""

    def __init__(self, root: Path) -> None:
        """Reads all files below `root`, the crate's `src`."""
        self.root = root
        self.sources: dict[Path, str] = {}
        self.modules: dict[tuple[str, ...], Path] = {}
        self.exports: dict[Path, dict[str, list[str]]] = {}
        self._read(root / "lib.rs", ())

    def _read(self, file: Path, module: tuple[str, ...]) -> None:
        text = COMMENT.sub("", STRING.sub('""', file.read_text()))
        tests = {found[1] for found in TEST_MODULE.finditer(text) if found[2] == ";"}
        inline = next((found.start() for found in TEST_MODULE.finditer(text) if found[2] == "{"), len(text))
        text = text[:inline]
        self.sources[file] = text
        self.modules[module] = file
        self.exports[file] = {
            path[-1]: path for found in USE.finditer(text) if found["pub"] for path in expand(found["tree"])
        }
        folder = file.parent if file.name in {"lib.rs", "mod.rs"} else file.with_suffix("")
        for name in MODULE.findall(text):
            if name not in tests:
                places = [folder / f"{name}.rs", folder / name / "mod.rs"]
                self._read(next(place for place in places if place.exists()), (*module, name))

    def imports(self) -> Imports:
        """Which other files each file names in a path. A name that is only handed on counts as where it comes from."""
        return {
            file: {target for path in self._paths(file) if (target := self._resolve(module, path))} - {file}
            for module, file in self.modules.items()
        }

    def _paths(self, file: Path) -> list[list[str]]:
        text = self.sources[file]
        used = [path for found in USE.finditer(text) if not found["pub"] for path in expand(found["tree"])]
        return used + [path.split("::") for path in PATH.findall(USE.sub("", text))]

    def _resolve(self, module: tuple[str, ...], path: list[str], depth: int = 0) -> Path | None:
        base, rest = module, path
        if rest[0] == "crate":
            base, rest = (), rest[1:]
        elif rest[0] in {"self", "super"}:
            while rest and rest[0] in {"self", "super"}:
                base, rest = (base[:-1] if rest[0] == "super" else base), rest[1:]
        elif (*base, rest[0]) not in self.modules:
            return None
        while rest and (*base, rest[0]) in self.modules:
            base, rest = (*base, rest[0]), rest[1:]
        exported = self.exports[self.modules[base]].get(rest[0]) if rest else None
        if exported and depth < len(self.modules):
            return self._resolve(base, exported, depth + 1)
        return self.modules[base]


def expand(tree: str) -> list[list[str]]:
    """The paths of a `use`: `a::{b, c::d}` is `a::b` and `a::c::d`."""
    tree = re.sub(r"\s+as\s+\w+", "", tree).strip()
    head, brace, body = tree.partition("{")
    if not brace:
        return [[part for part in re.sub(r"\s", "", tree).split("::") if part]]
    prefix = [part for part in re.sub(r"\s", "", head).split("::") if part]
    paths, level, start = [], 0, 0
    body = body.rstrip()[:-1]
    for index, character in enumerate(body + ","):
        level += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and level == 0:
            part, start = body[start:index].strip(), index + 1
            if part:
                paths += [prefix if path == ["self"] else prefix + path for path in expand(part)]
    return paths


def circles(imports: Imports) -> list[list[Path]]:
    """The strongly connected components of more than one file, the largest first."""
    reached = {file: reachable(file, imports) for file in imports}
    found = {frozenset(other for other in reached[file] if file in reached[other]) for file in imports}
    return sorted((sorted(circle) for circle in found if len(circle) > 1), key=len, reverse=True)


def reachable(start: Path, imports: Imports) -> set[Path]:
    """All files to which `start` leads, itself only if it leads back."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        for file in imports[waiting.pop()] - found:
            found.add(file)
            waiting.append(file)
    return found


def main() -> None:
    """Prints the circles of the crates that are named, or of all."""
    crates = Path(__file__).parents[2] / "crates"
    for name in sys.argv[1:] or sorted(path.name for path in crates.iterdir() if (path / "src/lib.rs").exists()):
        root = crates / name / "src"
        imports = Crate(root).imports()
        found = circles(imports)
        print(f"{name}: {len(imports)} files, circles of {[len(circle) for circle in found]}")
        for circle in found:
            for file in circle:
                within = sorted(str(other.relative_to(root)) for other in imports[file] & set(circle))
                print(f"    {file.relative_to(root)} -> {', '.join(within)}")


if __name__ == "__main__":
    main()
