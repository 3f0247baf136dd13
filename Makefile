# SPDX-License-Identifier: GPL-3.0-or-later
# Everything from nothing: each target makes .venv/ with the task runner nox, and nox does the rest
# (noxfile.py). It needs git, make and Python 3.11 with its venv module.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
NOX := .venv/bin/nox

.PHONY: demo test check unit zip clean

demo check unit zip: $(NOX)
	@$(NOX) -s $@

test: $(NOX)
	@$(NOX) -s test; status=$$?; tail -n 1 .nox/reports/summary.txt; exit $$status

$(NOX): constraints/nox.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 is needed (Blender 4.5 and 5.0 are built for it): make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making .venv/ with nox, the task runner ..."
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -r constraints/nox.txt
	@touch $(NOX)

clean:
	rm -rf .venv .nox build dist demo/out
