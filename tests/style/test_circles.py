"""Which files of a crate may import which: no circles but those that are listed, and the floors of the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from circles import Crate, circles

# The sizes of each crate's import circles, the largest first. They may only shrink, and the list with them.
CIRCLES: dict[str, list[int]] = {
    "abi": [],
    "engine": [3, 2],
    "host": [],
    "linux": [],
    "loader": [],
    "memory": [],
    "platform": [4, 2],
    "python": [3],
}
# What objects of the emulated kernel may use: values, and the host side; not the tables of them, nor who uses those.
BELOW_OBJECTS = {
    "coalesce.rs",
    "durations.rs",
    "edges.rs",
    "events.rs",
    "guest_path.rs",
    "host.rs",
    "ids.rs",
    "locks.rs",
    "memory_file.rs",
    "metadata.rs",
    "news.rs",
    "signal/information.rs",
    "wait_queues.rs",
}


def sources(repository: Path, crate: str) -> Path:
    return repository / "crates" / crate / "src"


@pytest.mark.parametrize("crate", CIRCLES)
def test_circles_only_shrink(repository: Path, crate: str) -> None:
    root = sources(repository, crate)
    found = circles(Crate(root).imports())
    sizes = [len(circle) for circle in found]
    print(f"{crate}: circles of {sizes} files")
    members = "\n".join(", ".join(str(file.relative_to(root)) for file in circle) for circle in found)
    listed = CIRCLES[crate]
    assert sizes >= listed, f"the circles of {crate} have shrunk to {sizes}: list that"
    assert sizes == listed, f"the circles of {crate} have grown from {listed} to {sizes}:\n{members}"


def test_every_crate_is_listed(repository: Path) -> None:
    assert {path.parents[1].name for path in (repository / "crates").glob("*/src/lib.rs")} == set(CIRCLES)


def test_objects_use_values_only(repository: Path) -> None:
    root = sources(repository, "linux")
    above = [
        f"{file.relative_to(root)} uses {name}"
        for file, imports in Crate(root).imports().items()
        for other in imports
        if file.relative_to(root).parts[0] == "objects"
        if (name := str(other.relative_to(root))) not in BELOW_OBJECTS and not name.startswith("objects/")
    ]
    assert not above


def test_handlers_are_named_by_the_table_alone(repository: Path) -> None:
    root = sources(repository, "linux")
    users: dict[str, set[str]] = {"syscalls": set(), "table.rs": set()}
    for file, imports in Crate(root).imports().items():
        for other in imports:
            if other.relative_to(root).parts[0] != file.relative_to(root).parts[0]:
                users.get(other.relative_to(root).parts[0], set()).add(str(file.relative_to(root)))
    assert users == {"syscalls": {"table.rs"}, "table.rs": {"dispatch.rs", "trace.rs"}}


def test_circles_are_found(tmp_path: Path) -> None:
    files = {
        "lib.rs": "mod alone;\nmod one;\nmod two;\npub mod house;\n#[cfg(test)]\nmod tests;\npub use house::Room;\n",
        "alone.rs": '// use crate::one::Thing;\nconst TEXT: &str = "crate::one::Thing";\nuse crate::two;\n',
        "one.rs": "use std::{\n    fmt,\n    io::{self, Read},\n};\nuse crate::{\n    two::{self, Other as It},\n};\n",
        "two.rs": "fn other(place: crate::one::Thing) {}\n#[cfg(test)]\nmod tests {\n    use crate::alone;\n}\n",
        "house/mod.rs": "pub mod floor;\npub use floor::Room;\n",
        "house/floor.rs": "use super::super::street::*;\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "lib.rs").write_text(files["lib.rs"] + "mod street;\n")
    (tmp_path / "street.rs").write_text("use crate::Room;\n")
    found = circles(Crate(tmp_path).imports())
    names = [[str(file.relative_to(tmp_path)) for file in circle] for circle in found]
    assert sorted(names) == [["house/floor.rs", "street.rs"], ["one.rs", "two.rs"]]
