.PHONY: install demo test test-console test-npm test-vllm lint chaos bench-console bench-gateway bench-scheduling bench-whatif bench-workflows docs clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version)'
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/trimtab demo

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests bench examples
	$(BIN)/ruff format --check --quiet src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports

test-npm: $(VENV)/.installed-dev
	cd tests/npm && npm install --no-audit --no-fund --silent
	$(BIN)/python -m pytest tests/reception/test_npm_client.py

test-console: $(VENV)/.installed-dev
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }
	cd tests/npm && npm install --no-audit --no-fund --silent
	TRIMTAB_SCREENSHOTS=build/console $(BIN)/python -m pytest tests/console

test-vllm: $(VENV)/.installed-dev
	@test -n "$(TRIMTAB_VLLM)" || { echo "set TRIMTAB_VLLM to a Python that has vLLM: see docs/vllm.md"; exit 2; }
	TRIMTAB_VLLM=$(TRIMTAB_VLLM) $(BIN)/python -m pytest tests/vllm

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

docs: $(VENV)/.installed-dev
	$(BIN)/python -m trimtab.config.reference

chaos: $(VENV)/.installed-dev
	TRIMTAB_STORM_RUNS=$${TRIMTAB_STORM_RUNS:-200} TRIMTAB_STORM_BLOWS=$${TRIMTAB_STORM_BLOWS:-24} \
	  $(BIN)/python -m pytest -s tests/proofs/test_storm.py

bench-workflows: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	$(BIN)/python -m bench.workflows $(BENCH_FLAGS)

bench-gateway: $(VENV)/.installed-dev
	$(BIN)/python -m bench.gateway $(BENCH_FLAGS)

bench-console: $(VENV)/.installed-dev
	$(BIN)/python -m bench.console $(BENCH_FLAGS)

bench-whatif: $(VENV)/.installed-dev
	$(BIN)/python -m bench.whatif $(BENCH_FLAGS)

bench-scheduling: $(VENV)/.installed-dev
	$(BIN)/python -m bench.scheduling $(BENCH_FLAGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
