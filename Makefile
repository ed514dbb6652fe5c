# Two commands do everything: `make updatable MODEL=healthy_luncher` and `make test`. Each sets up what it needs in .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: fuzz-commands help setup updatable catalogue test test-slow test-vision test-vision-slow test-onnx test-turi test-browser test-docs mutants models models-table turi fuzz lint types check benchmarks clean

# What a user says reaches the recipes through the environment, as it was typed: a name with a space or a quote stays one
# word, and make expands nothing in it. Without this, MODEL='$(shell ...)' would run that.
GIVEN := MODEL DATA BACKBONE WEIGHTS TRUST_CODE SIGN PYTHON PYTHON38
$(foreach name,$(GIVEN),$(if $(filter-out undefined,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))
export $(GIVEN)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The tests draw the same cases every time; `make fuzz` draws new ones.
PYTEST := $(BIN)/python -m pytest --hypothesis-profile=ci
# One worker a processor, each with one thread; a file's tests stay together, and so do their fixtures.
PYTEST_PARALLEL := OMP_NUM_THREADS=1 $(PYTEST) --numprocesses=auto --dist=loadfile

help: ## list the targets
	@echo 'make updatable MODEL=healthy_luncher [DATA=photos/] [BACKBONE=torchvision:mobilenet_v3_small] [WEIGHTS=file] [TRUST_CODE=1]'
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 24

# The first Python that is new enough; PYTHON=... chooses another.
.venv/bin/python:
	@if test -n "$$PYTHON"; then set -- "$$PYTHON"; else set -- python3.11 python3.12 python3.13 python3; fi; found=; \
	for python; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { found=$$python; break; }; done; \
	test -n "$$found" || { echo "$${PYTHON:-python3}: no Python 3.11 or newer; install one, or say PYTHON=/path/to/python" >&2; exit 2; }; \
	echo 'setting up .venv'; "$$found" -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	@echo 'installing the libraries (once)'
	@$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@$(PIP) --editable '.[dev,sklearn]'
	@touch $@

.venv/installed-vision: .venv/installed
	@$(PIP) --editable '.[vision,hf,keras,onnx]'
	@touch $@

setup: .venv/installed ## set up .venv

# What models need beside the libraries, told by their recipes; nothing where it is there.
EXTRAS = extras=$$($(BIN)/coreml-updatable extras $(1)) || exit $$?; \
	test -z "$$extras" || { echo "installing what it needs (once): $$extras"; $(PIP) --editable ".[$$extras]"; }

updatable: .venv/installed ## build both models of MODEL and the report, under build/MODEL/
	@$(call EXTRAS,$${BACKBONE:+--backbone "$$BACKBONE"} -- "$$MODEL")
	@$(BIN)/coreml-updatable build $${DATA:+--data "$$DATA"} $${BACKBONE:+--backbone "$$BACKBONE"} \
		$${WEIGHTS:+--weights "$$WEIGHTS"} $${TRUST_CODE:+--trust-code} -- "$$MODEL"

models: .venv/installed ## build every sample that needs no download, one after the other
	@$(call EXTRAS)
	@$(BIN)/coreml-updatable models

models-table: .venv/installed ## the same, and write the table of the samples into README.md
	@$(call EXTRAS)
	@$(BIN)/coreml-updatable models --table README.md

catalogue: .venv/installed ## a catalogue of all that is built, under site/; SIGN=key signs it
	@$(BIN)/coreml-updatable publish build/*/ --to site $${SIGN:+--sign "$$SIGN"}

test: .venv/installed-dev ## the tests (some minutes)
	@$(PYTEST_PARALLEL) -m 'not slow and not vision and not onnx_route and not turi and not browser'

test-slow: .venv/installed-dev ## the checks that take long
	@$(PYTEST) -m 'slow and not vision and not onnx_route and not turi and not browser'

test-vision: .venv/installed-dev .venv/installed-vision ## the checks that need the frameworks of pictures and sound
	@$(PYTEST) -m 'vision and not slow'

test-vision-slow: .venv/installed-dev .venv/installed-vision ## the same for networks of hundreds of megabytes
	@$(PYTEST) -m 'vision and slow'

# Core ML to ONNX runs on Python 3.8 only; PYTHON38=... names one that is not on the path.
FIND_PYTHON38 = python=$${PYTHON38:-$$(for p in python3.8 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.8*/bin/python3.8; do \
	"$$p" -c '' 2>/dev/null && { echo "$$p"; break; }; done)}; \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 8))' 2>/dev/null || \
	{ echo "$${PYTHON38:-python3.8}: no Python 3.8 found, which $(1) needs; install one, or say PYTHON38=/path/to/python3.8" >&2; exit 2; }

.onnx/installed: tests/onnx_route/requirements.txt
	@$(call FIND_PYTHON38,the ONNX route); echo 'installing the ONNX route of 2020 (once)'; "$$python" -m venv .onnx
	@.onnx/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# The stamp lies in the folder, so that a folder that is half installed is installed again.
.venv-turi/installed: constraints-turi.txt
	@$(call FIND_PYTHON38,Turi Create); \
	echo 'installing Turi Create 6.4.1 with TensorFlow for Python 3.8 in .venv-turi (once, 1.3 GB)'; \
	"$$python" -m venv --clear .venv-turi
	@.venv-turi/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@.venv-turi/bin/python -c 'import turicreate, tensorflow' 2>/dev/null || { echo 'Turi Create is installed in .venv-turi, but does not load; run: .venv-turi/bin/python -c "import turicreate, tensorflow"' >&2; exit 1; }
	@touch $@

turi: .venv-turi/installed ## set up .venv-turi, where Turi Create runs

test-turi: .venv/installed-dev .venv-turi/installed ## Turi Create itself trains, and its models learn on
	@$(PYTEST) -m turi

test-onnx: .venv/installed-dev .onnx/installed ## networks against another's reading of them, by way of ONNX
	@$(PYTEST) -m onnx_route

test-browser: .venv/installed-dev ## the gallery's pages in a real browser
	@command -v chromium >/dev/null || { echo 'no chromium on the path, which the pages are tested in; install it (on Debian: apt-get install chromium)' >&2; exit 2; }
	@$(PYTEST) -m browser

test-docs: .venv/installed-dev ## every command of the README and the docs, in an empty clone (a quarter of an hour)
	@$(BIN)/python tests/documents.py

fuzz: .venv/installed-dev ## every drawn test again with new cases; run it before a release
	@$(BIN)/python -m pytest --hypothesis-profile=default -m 'not vision and not onnx_route and not turi and not browser' \
		$$(grep -rlE 'hypothesis' tests --include='test_*.py')

# CASES=... so many, FIRST=... from this number on.
fuzz-commands: .venv/installed-dev ## every command on 10,000 hostile models: most 20 s of the processor and 1 GB each
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz_commands --cases $(or $(CASES),10000) --first $(or $(FIRST),0)

# SAMPLE=... so many, SEED=... which ones, ONLY=... areas by comma.
mutants: .venv/installed-dev ## change 300 places of the code, one at a time, in copies: do the closest tests notice?
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants --sample $(or $(SAMPLE),300) --seed $(or $(SEED),0) $(if $(ONLY),--only $(ONLY))

lint: .venv/installed-dev ## ruff: rules and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/installed-dev ## mypy --strict
	@$(BIN)/mypy

check: lint types test ## lint, types and tests

benchmarks: .venv/installed-dev ## print the figures of speed and size
	@$(BIN)/python -m benchmarks

clean: ## remove everything that was built, and .venv
	@rm -rf build site .venv .venv-turi .onnx
