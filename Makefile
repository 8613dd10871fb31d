# One verb for each task. demo, test and the rest make what they need: a virtual environment in .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test check docs system lanes brute bench defects torture clean test-kernel coverage mutants

# Two replicated volumes, a file system and a database on them, and a bad day: files and a time line in demo/.
demo: $(VENV)/.ready
	$(call fetch,fuse3 e2fsprogs mount,the demo leaves some steps out)
	@$(RUN) -m examples.demo demo

test: $(VENV)/.ready system
	$(RUN) -m pytest

check: $(VENV)/.ready system
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(RUN) -m pytest

# How much of each package's lines and branches the quick tests reach.
coverage: $(VENV)/.ready system
	$(RUN) -m tests.covered

# Spoils replication logs and checks, and lists what no test notices. MINUTES=30 SEED=2 JOBS=1 choose, ALL=1 tries all.
mutants: $(VENV)/.ready system
	$(RUN) -m tests.mutants $(if $(ALL),--all) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(JOBS),--jobs $(JOBS))

# The pages of docs/ as HTML, without a warning.
docs: $(VENV)/.docs-ready
	$(RUN) -m sphinx --fail-on-warning --nitpicky --keep-going --quiet --builder html docs build/docs
	@echo "build/docs/index.html"

# Spoils the reference replicator in nine ways, and the real one in thirty-nine, and writes down what found each.
defects: $(VENV)/.ready
	$(RUN) -m tests.proving.defects docs/how-to/proving.md

# A million crash states and more of the replicator.
torture: $(VENV)/.ready
	$(VENV)/bin/dmtable torture --jobs 2 --small 2 --minutes 10

# The explorer against brute force, whole, the replicator in all small groups, and two hundred kills: hours.
brute: $(VENV)/.ready
	DMTABLE_BRUTE=1 $(RUN) -m pytest tests/proving/test_reductions.py tests/proving/test_replicator.py \
		tests/replication/test_sigkill.py

# New cases, played on a real kernel in QEMU and on the emulator side by side. CASES=200 SEED=1 choose.
test-kernel: $(VENV)/.ready
	$(call fetch,qemu-system-x86 linux-image-cloud-amd64 busybox-static dmsetup cpio kmod,no kernel can be asked)
	$(RUN) -m tests.kernel.fresh $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

# Every recorded case that is answered over the socket and by the stock dmsetup, too.
lanes: $(VENV)/.ready system
	DMTABLE_LANES=1 $(RUN) -m pytest tests/kernel/test_lanes.py

bench: $(VENV)/.ready
	$(call fetch,fio qemu-system-common fuse3 dmsetup,some rows are left out)
	$(RUN) -m benchmarks

clean:
	rm -rf $(VENV) build dist demo .hypothesis .mypy_cache .ruff_cache

# Debian packages, fetched where we are root; else we say what is left out without them.
fetch = @dpkg --status $(1) >/dev/null 2>&1 || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq $(1) >/dev/null; } || \
	echo "$(2) without some of: sudo apt-get install $(1)"

# What the tests talk to and drive: NBD servers, the stock dmsetup and LVM2, FUSE, file systems.
system:
	$(call fetch,libnbd0 nbdkit dmsetup lvm2 fuse3 e2fsprogs mount busybox-static linux-libc-dev,some tests are skipped)

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

$(VENV)/.docs-ready: $(VENV)/.ready
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@
