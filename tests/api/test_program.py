"""Finding the program that a command names."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmfork import ProgramError
from warmfork.program import find_program


def executable(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def test_names_are_looked_up_in_path(tmp_path: Path) -> None:
    program = executable(tmp_path / "bin" / "tool", "x")
    assert find_program("tool", str(tmp_path / "bin")) == str(program)


def test_links_stay(tmp_path: Path) -> None:
    executable(tmp_path / "real", "x")
    (tmp_path / "link").symlink_to("real")
    assert find_program(str(tmp_path / "link")) == str(tmp_path / "link")


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "tool", "x")
    monkeypatch.chdir(tmp_path)
    assert find_program("./tool") == str(tmp_path / "tool")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-tool", "no-such-tool: not found in PATH"),
        ("/no/such/tool", "/no/such/tool: there is no such file"),
        ("/tmp", "/tmp: this is a directory, not a program"),
        ("", "'' is not a program"),
        ("a\0b", "'a\\x00b' is not a program"),
    ],
)
def test_what_is_no_program(name: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        find_program(name)
    assert str(caught.value) == message


def test_a_file_that_is_not_executable(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(ProgramError, match="this file is not executable") as caught:
        find_program(str(tmp_path / "data"))
    assert caught.value.hint == f"if it is a program: chmod +x {tmp_path / 'data'}"


def test_a_shim_leads_to_the_program(tmp_path: Path) -> None:
    real = executable(tmp_path / "versions" / "3.11" / "bin" / "python3", "x")
    manager = executable(tmp_path / "bin" / "pyenv", f'#!/bin/sh\n[ "$1" = which ] && echo {real}\n')
    shim = executable(
        tmp_path / "shims" / "python3",
        f'#!/bin/sh\nset -e\nprogram="${{0##*/}}"\nexec "{manager}" exec "$program" "$@"\n',
    )
    assert find_program("python3", str(shim.parent)) == str(real)


def test_a_shim_that_leads_nowhere_says_what_to_do(tmp_path: Path) -> None:
    manager = executable(tmp_path / "bin" / "pyenv", "#!/bin/sh\nexit 1\n")
    shim = executable(tmp_path / "shims" / "python3", f'#!/bin/sh\nexec "{manager}" exec python3 "$@"\n')
    with pytest.raises(ProgramError, match="this is a shim of pyenv") as caught:
        find_program(str(shim))
    assert caught.value.hint == "run the program itself: pyenv which python3 says where it is"


def test_other_scripts_are_programs(tmp_path: Path) -> None:
    script = executable(tmp_path / "script", "#!/bin/sh\necho hello\n")
    assert find_program(str(script)) == str(script)
