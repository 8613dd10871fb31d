# One verb for each task. demo, test and the rest make what they need: a virtual environment in .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test check nbd brute bench defects torture clean

demo: $(VENV)/.ready
	$(RUN) examples/slides.py demo

test: $(VENV)/.ready nbd
	$(RUN) -m pytest

check: $(VENV)/.ready nbd
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(RUN) -m pytest

# Spoils the reference replicator in nine ways, and the real one in thirty-nine, and writes down what found each.
defects: $(VENV)/.ready
	$(RUN) -m tests.proving.defects docs/proving.md

# A million crash states and more of the replicator.
torture: $(VENV)/.ready
	$(VENV)/bin/dmtable torture --jobs 2 --small 2 --minutes 10

# The explorer against brute force, whole, the replicator in all small groups, and two hundred kills: hours.
brute: $(VENV)/.ready
	DMTABLE_BRUTE=1 $(RUN) -m pytest tests/proving/test_reductions.py tests/proving/test_replicator.py \
		tests/replication/test_sigkill.py

bench: $(VENV)/.ready
	$(RUN) -m benchmarks

clean:
	rm -rf $(VENV) build dist demo .hypothesis .mypy_cache .ruff_cache

# What the tests of NBD site links talk through and to; as root we fetch it, else they are left out.
NBD := libnbd0 nbdkit
nbd:
	@dpkg --status $(NBD) >/dev/null 2>&1 || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq $(NBD) >/dev/null; } || \
		echo "the tests of NBD are skipped: sudo apt-get install $(NBD)"

# Debian packs venv apart from Python; as root we fetch it, else we say what to do.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "dmtable needs Python 3.11 or later; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq python3-venv; \
		else echo "install Debian's python3-venv first: sudo apt-get install python3-venv"; exit 1; fi; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
