# `make report` and `make test` need Python 3.11 and make; everything else they install into .venv.

PYTHON      ?= $(shell command -v python3.11 || command -v python3)
VENV        ?= .venv
# the CPU build of torch; for a GPU: make ... TORCH_INDEX=https://download.pytorch.org/whl/cu128
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH       := $(shell sed -n '/^torch==/p' constraints.txt)
FMCIB       := $(shell sed -n '/^foundation-cancer-image-biomarker==/p' constraints.txt)
NOTEBOOKS   ?= 00_cohort 10_baseline 20_stage_fusion 50_predict_patient

BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
EXTRAS  := $(VENV)/.extras
PIP     := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALL := $(PIP) install -c constraints.txt
REPORT  := $(BIN)/mmfusion report

export OMP_NUM_THREADS ?= 1
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env report report-all test test-slow lint format notebooks lab clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

env: $(EXTRAS)  ## the environment, in .venv

# torch first, and alone: an index that cannot be reached must neither hang nor fail the installation
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "environment: $(VENV) (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --no-deps --retries 1 --timeout 15 --extra-index-url $(TORCH_INDEX) "$(TORCH)" 2>/dev/null || \
		$(INSTALL) --no-deps "$(TORCH)"
	@$(INSTALL) -e ".[dev,cluster]"
	@$(PIP) install --no-deps "$(FMCIB)" || echo "note: $(FMCIB) was not installed; only its parity test needs it"
	@touch $@

# cellpose, lungmask, mirp (with ITK) and ONNX are large, and only tests need them all
$(EXTRAS): $(READY)
	@$(INSTALL) -e ".[restore,lungs,radiomics,onnx,excel,view,enrichment,fairness,benchmark]"
	@touch $@

report: $(READY)  ## the demo cohort through the staging notebooks: reports/index.html
	@for name in $(NOTEBOOKS); do echo "$$name"; $(REPORT) $$name -o reports/demo/$$name || exit; done

report-all: $(EXTRAS)  ## every notebook, on the demo cohort
	@$(MAKE) --no-print-directory report NOTEBOOKS="$(basename $(notdir $(wildcard notebooks/[0-9]*.ipynb)))"

test: $(EXTRAS)  ## the quick tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: $(EXTRAS)  ## the tests that take minutes
	@$(BIN)/python -m pytest -q -m slow --timeout 3600

lint: $(READY)  ## style, the order of the rooms, notebooks stripped and paired
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q . || { echo "run: make format"; exit 1; }
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python notebooks/pair.py --check

format: $(READY)  ## put the code into shape
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

notebooks: $(READY)  ## notebooks/*.ipynb from notebooks/py/*.py
	@$(BIN)/python notebooks/pair.py

lab: $(READY)  ## JupyterLab
	@$(BIN)/jupyter lab notebooks

clean:  ## remove the environment, the demo's reports and caches
	@rm -rf $(VENV) .cache reports/demo reports/index.html .pytest_cache .ruff_cache .hypothesis *.egg-info build
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
