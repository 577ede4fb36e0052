# One line a target; the work is in scripts/. Each target does its own set-up; stamps in .make/ keep repetition fast.
RUST := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name '*.toml' -o -name '*.S' -o -name '*.c')

.PHONY: help build demo test test-kvm test-all bench lint docs compatibility lune clean
help: ; @echo 'make demo | test | test-kvm | build | bench | lint | docs | compatibility | lune | clean'
build: .make/build
demo: .make/build .make/packages ; @.venv/bin/python -m examples.demo
test: .make/build .make/packages ; @.venv/bin/python scripts/run_tests.py process kvm
test-kvm: .make/build .make/packages ; @.venv/bin/python scripts/run_tests.py slow kvm machine
test-all: .make/build .make/packages ; @.venv/bin/python scripts/run_tests.py process kvm machine
bench: .make/build .make/packages ; @.venv/bin/python -m benches.compare
lint: .make/venv ; @scripts/lint.sh
compatibility: .make/build .make/packages ; @.venv/bin/python scripts/run_tests.py compatibility; $(MAKE) docs
lune: ; @scripts/lune.sh
docs: .make/build ; @.venv/bin/python scripts/generate_docs.py
clean: ; @rm -rf .make .venv target python/warmfork/*.so

.make/venv: requirements/dev.txt scripts/venv.sh ; @scripts/venv.sh
.make/build: .make/venv pyproject.toml $(RUST) ; @scripts/build.sh
.make/packages: $(wildcard scripts/packages.* requirements/npm/*) ; @scripts/packages.sh
