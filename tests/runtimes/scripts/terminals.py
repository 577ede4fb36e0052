"""Pseudo-terminals: the pty and termios modules, and an interactive shell in one."""

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import tty
from fcntl import ioctl

PROMPT = b"prompt> "


def until(master, text, seen=b""):
    """Reads what is shown until `text` is the end of it."""
    while not seen.endswith(text):
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, seen
        try:
            seen += os.read(master, 1000)
        except OSError:
            return seen + b"(closed)"
    return seen


def pair():
    master, slave = pty.openpty()
    print(os.isatty(master), os.isatty(slave), os.ttyname(slave) == f"/dev/pts/{os.ttyname(slave).rsplit('/')[-1]}")
    os.write(slave, b"shown\n")
    print(until(master, b"\n"))
    os.write(master, b"typed\n")
    print(os.read(slave, 100), until(master, b"\n"))
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 44, 0, 0))
    print(os.get_terminal_size(master))
    before = termios.tcgetattr(slave)
    tty.setraw(slave)
    os.write(master, b"\x03")
    print(os.read(slave, 1), termios.tcgetattr(slave)[3] != before[3])
    termios.tcsetattr(slave, termios.TCSAFLUSH, before)
    print(termios.tcgetattr(slave) == before)
    os.close(slave)
    print(until(master, b"never"))
    os.close(master)


def child():
    pid, master = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print(os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpid(), sys.stdin.isatty(), flush=True)
        print(input("name? "), flush=True)
        signal.pause()
    seen = until(master, b"name? ")
    os.write(master, b"somebody\n")
    print(seen, until(master, b"somebody\r\nsomebody\r\n"))
    os.write(master, b"\x03")
    print(until(master, b"never")[:2], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.close(master)


def shell():
    """What an interactive shell says, with its jobs."""
    environment = {"PS1": PROMPT.decode(), "PATH": "/usr/bin:/bin", "TERM": "dumb", "HISTFILE": ""}
    pid, master = pty.fork()
    if pid == 0:
        os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
    print(until(master, PROMPT))
    for line in (b"echo $((6 * 7))", b"tty | cut -c1-9", b"cat | tr a-z A-Z\nsome text\n\x04", b"stty size"):
        os.write(master, line + (b"" if line.endswith(b"\x04") else b"\n"))
        print(until(master, PROMPT))
    os.write(master, b"cat\n")
    until(master, b"cat\r\n")
    os.write(master, b"echoed\n")
    until(master, b"echoed\r\nechoed\r\n")
    os.write(master, b"\x1a")
    print(until(master, PROMPT))
    os.write(master, b"jobs\n")
    print(until(master, PROMPT))
    os.write(master, b"fg\n")
    until(master, b"cat\r\n")
    os.write(master, b"again\n")
    until(master, b"again\r\nagain\r\n")
    os.write(master, b"\x04")
    print(until(master, PROMPT))
    os.write(master, b"sleep 1000 & jobs; kill %1; wait %1; echo status $?\n")
    print(b"status 143" in until(master, PROMPT))
    os.write(master, b"exit 3\n")
    until(master, b"never")
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def spawned():
    """pty.spawn of a program, as script(1) does it, into a file."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.dup2(write, 1)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        program = "import sys; print(sys.stdout.isatty(), sys.stdin.isatty()); sys.exit(4)"
        status = pty.spawn([sys.executable, "-c", program])
        os._exit(os.waitstatus_to_exitcode(status))
    os.close(write)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), b"True True" in os.read(read, 1000))


sys.stdout.reconfigure(line_buffering=True)
pair()
child()
spawned()
shell()
print(subprocess.run(["tty"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False))
