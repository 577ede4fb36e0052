"""No function calls itself to a depth that a guest chooses: such an overflow of the host's stack ends the whole server.

The calls are read from the text: `name(..)` is a function of the same file, `self.name(..)` and `Self::name(..)` are
methods there, and a name of several words that only one function of the crate has is that one wherever it is called. So
a detour over a trait or a closure is not seen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from circles import Crate, circles

# The functions that may lead back to themselves, and what bounds their depth.
BOUNDED = {
    "abi": {},
    "engine": {
        "compare_chunk": "it halves a chunk",
    },
    "host": {},
    "linux": {
        "depth_above": "MAX_DEPTH",
        "depth_below": "MAX_DEPTH",
        "leads_to": "sets of sets: MAX_DEPTH",
        "path_metadata": "the path that it asks for is not empty",
        "send_signal, signal, tell_parent": "SIGCHLD lets no process go on",
        "size": "sets of sets: MAX_DEPTH",
    },
    "loader": {},
    "memory": {"relocate_piece": "it halves an area"},
    "platform": {
        "inside, run": "a stub of a few instructions ends with an exit",
        "move_piece": "it halves an area",
    },
    "python": {},
}

FUNCTION = re.compile(
    r"^(?P<indent> *)(?:(?:pub(?:\([^)]*\))?|const|unsafe|extern \"\") )*fn (?P<name>\w+)", re.MULTILINE
)
CALL = re.compile(r"(?P<of>[\w:]*\s*(?:\.|::)\s*|\bfn )?\b(?P<name>[a-z_]\w*)(?:::<[^()]*>)?\(")
CHARACTER = re.compile(r"b?'(?:\\[^']+|[^'\\])'")

Function = tuple[Path, bool, str]
"""Where it is, whether it is a method, its name."""


def split(text: str, start: int) -> tuple[str, str]:
    """The signature after `start` and the body in braces, which is empty for a declaration."""
    depth = 0
    for sign in re.finditer(r"[(){}\[\];]", text[start:]):
        if sign[0] == ";" and depth == 0:
            break
        if sign[0] == "{" and depth == 0:
            opening = start + sign.start()
            return text[start:opening], braces(text, opening)
        depth += (sign[0] in "([") - (sign[0] in ")]")
    return "", ""


def braces(text: str, opening: int) -> str:
    """The text from a brace to the one that closes it."""
    depth = 0
    for brace in re.finditer(r"[{}]", text[opening:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[opening : opening + brace.end()]
    return ""


def recursions(root: Path) -> set[str]:
    """The names of the functions of a crate that lead back to themselves; those that do so together in one text."""
    bodies: dict[Function, list[tuple[str, str]]] = defaultdict(list)
    for file, text in Crate(root).sources.items():
        plain = CHARACTER.sub("0", text)
        for found in FUNCTION.finditer(plain):
            signature, inner = split(plain, found.end())
            if inner:
                bodies[file, bool(found["indent"]), found["name"]].append((signature, inner))
    homes: dict[str, list[Function]] = defaultdict(list)
    for function in bodies:
        homes[function[2]].append(function)
    calls = {function: called(function, texts, bodies, homes) for function, texts in bodies.items()}
    together = [", ".join(sorted({name for _, _, name in circle})) for circle in circles(calls)]
    return {*together, *(name for (file, method, name), to in calls.items() if (file, method, name) in to)}


def called(
    function: Function,
    texts: list[tuple[str, str]],
    known: dict[Function, list[tuple[str, str]]],
    homes: dict[str, list[Function]],
) -> set[Function]:
    """The functions that one calls."""
    file, found = function[0], set()
    for signature, inner in texts:
        for call in CALL.finditer(inner):
            of, name = (call["of"] or "").replace(" ", "").replace("\n", ""), call["name"]
            # A parameter or a variable that is called is a closure.
            if of.startswith(("fn", "rustix::", "libc::", "std::")) or re.search(
                rf"\b{name}: |\blet (?:mut )?{name}\b", signature + inner
            ):
                continue
            here = (file, bool(of), name)
            if of in {"", "self.", "Self::"} and here in known:
                found.add(here)
            # Another object's function of the same name is handed the task on.
            elif of and "_" in name and name != function[2] and len(homes[name]) == 1:
                found.add(homes[name][0])
    return found


@pytest.mark.parametrize("crate", BOUNDED)
def test_recursion_is_bounded(repository: Path, crate: str) -> None:
    found = recursions(repository / "crates" / crate / "src")
    assert found <= set(BOUNDED[crate]), "say what bounds the depth, in BOUNDED, or write a loop"
    assert found == set(BOUNDED[crate]), "the list has functions that call themselves no more"


def test_recursion_is_found(tmp_path: Path) -> None:
    files = {
        "lib.rs": "mod one;\nmod two;\n",
        "one.rs": (
            "fn down(left: [u8; 3]) -> u8 {\n    if true { down(left) } else { 0 }\n}\n"
            "fn twice(twice: impl Fn()) {\n    twice();\n}\nfn read() {\n    other::read();\n}\n"
            "impl One {\n    fn step(&self) {\n        self.step();\n    }\n"
            "    fn len(&self) {\n        self.0.len();\n    }\n"
            "    fn find_it(&self, two: &Two) {\n        two.look_for(self);\n    }\n}\n"
        ),
        "two.rs": "impl Two {\n    fn look_for(&self, one: &One) {\n        one.find_it(self);\n    }\n}\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert recursions(tmp_path) == {"down", "step", "find_it, look_for"}
