"""Runs a program within a policy and looks at what it wrote.

.venv/bin/python examples/01_run.py
"""

from __future__ import annotations

from warmfork import Machine, Policy

PROGRAM = ["/bin/cat", "/etc/hostname", "/etc/passwd"]

with Machine(PROGRAM, policy=Policy(allow_read=["/etc/hostname"])) as machine:
    outcome = machine.run(timeout=10.0)
    output, errors = machine.output()

print(outcome)  # exited with 1: it may not read /etc/passwd
print("output:", output.decode().strip())
print("errors:", errors.decode().strip())
