# Every target installs what it lacks first (scripts/bootstrap), and is quick when nothing is to do.
#   make PYTHON=python3.13     another interpreter for .venv
#   make JOBS=1                fewer compilers at once
#   make test PYTEST="-k loop" arguments for pytest
#   make bench BENCH="--rows hello" arguments for benchmarks/run.py
PYTHON ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PYTEST ?=
FUZZ_SECONDS ?= 60
BENCH ?=
SUITE ?= forky
HOST ?= 127.0.0.1
PORT ?= 8000

PY := .venv/bin/python
BOOTSTRAP := PYTHON="$(PYTHON)" scripts/bootstrap
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

.DEFAULT_GOAL := check
.DELETE_ON_ERROR:
.PHONY: help run check build test test-all-pythons test-debian format lint asan tsan fuzz conformance conformance-asgi conformance-autobahn conformance-loop \
        bench wheel executable clean distclean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

check: build ## (default) build, then GoogleTest, the fuzz corpora and pytest
	scripts/test dev $(PYTEST)

run: ## serve examples/hello.py, with both demos, on http://127.0.0.1:8000
	@$(BOOTSTRAP) build run
	@scripts/build release _native
	@echo 'Demos: http://$(HOST):$(PORT)/websocket_demo/ and http://$(HOST):$(PORT)/sse_demo/'
	.venv/bin/fasterapi run examples/hello.py --host $(HOST) --port $(PORT)

build: ## the module, the executable and the unit tests, into build/dev
	@$(BOOTSTRAP) build test
	@scripts/build dev

test: build ## every test, also the framework tests on each other Python found
	scripts/test dev --all-pythons $(PYTEST)

test-all-pythons: ## only the framework tests, on each other Python found
	@$(BOOTSTRAP) build test
	scripts/test-pythons

test-debian: ## every test on another Debian release (SUITE, forky: CPython 3.14), as root
	scripts/test-debian $(SUITE) $(PYTEST)

format: ## clang-format and ruff format, in place
	@$(BOOTSTRAP) format
	git ls-files '*.h' '*.cc' | xargs clang-format-14 -i
	.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format --quiet .

lint: ## clang-format and ruff (as a check), mypy --strict, clang-tidy
	@$(BOOTSTRAP) build test lint
	@scripts/build dev
	scripts/lint

asan: ## GoogleTest and pytest under the address and undefined-behaviour sanitizers
	@$(BOOTSTRAP) build test
	@scripts/build asan
	scripts/test asan $(PYTEST)

tsan: ## GoogleTest and the tests of the loop under the thread sanitizer
	@$(BOOTSTRAP) build test
	@scripts/build tsan
	scripts/test tsan $(PYTEST)

fuzz: ## each fuzz target for FUZZ_SECONDS (60), starting from its corpus
	@$(BOOTSTRAP) build fuzz
	@scripts/build fuzz
	scripts/fuzz $(FUZZ_SECONDS)

conformance: build ## HTTP/1.1 by cases; the same questions to uvicorn and to us; the reliability scoreboard; the adapters at full size; Chromium; Autobahn (an hour)
	@$(BOOTSTRAP) build test browser
	$(PY) -m conformance.http1
	$(PY) -m conformance.parity
	$(PY) -m conformance.reliability
	$(PY) -m conformance.adapters --repeats 1
	$(PY) -m conformance.browser
	$(PY) -m conformance.browser.demos
	$(PY) -m conformance.autobahn

conformance-asgi: build ## the numbered rows of ASGI with peers and us, one table (40 minutes)
	@scripts/peers-venv build/conformance/venv benchmarks/requirements.txt conformance/asgi/requirements.txt
	$(PY) -m conformance.asgi --peers all --peers-python build/conformance/venv/bin/python

conformance-autobahn: build ## Autobahn Testsuite, its quick cases, with peers and us, one table (3 minutes)
	@scripts/peers-venv build/conformance/venv benchmarks/requirements.txt conformance/asgi/requirements.txt
	$(PY) -m conformance.autobahn --quick --peers all --peers-python build/conformance/venv/bin/python

conformance-loop: build ## CPython's own tests of asyncio, then anyio's and aiohttp's, on our loop, on each Python found (20 minutes each)
	$(PY) -m conformance.loop
	$(PY) -m conformance.loop.packages
	scripts/each-python '{python}' -m conformance.loop
	scripts/each-python '{python}' -m conformance.loop.packages

bench: ## peers and us on this machine, one table
	@$(BOOTSTRAP) build bench
	@scripts/build bench fasterapi_limit fasterapi_websocket_load
	@scripts/bench-venv
	$(PY) -m benchmarks.run --python build/bench/venv/bin/python $(BENCH)

wheel: ## a wheel as it is released, optimised by a profile, into dist/, and tried without a compiler
	@$(BOOTSTRAP) build
	rm -rf dist
	scripts/wheel $(PY) dist
	$(PY) scripts/try_wheel.py dist/*.whl

executable: ## the self-standing executable into build/release/install
	@$(BOOTSTRAP) build
	@scripts/build release
	cmake --install build/release --prefix build/release/install

clean: ## what was built; .venv stays
	rm -rf build dist fasterapi/_native*.so
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## and .venv
	rm -rf .venv
