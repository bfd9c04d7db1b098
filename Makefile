# make run · make test · make check. Each sets up what it needs: a virtual environment, packages, the built page.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 1
PAGE := $(shell find frontend/app frontend/components frontend/hooks frontend/lib frontend/public -type f 2>/dev/null) \
	frontend/config.js frontend/next.config.mjs

.PHONY: help run page dist test check format screenshots clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: $(BIN)/.run page ## serve page, REST and Socket.IO on http://localhost:5001; WORKERS=4: so many, on 5001 to 5004
	@cd backend && exec ../$(BIN)/python app.py --workers $(WORKERS)

page: ## build the page if its sources changed; without Node an existing build is served, or the API alone
	@if command -v npm >/dev/null; then $(MAKE) -s frontend/out/index.html; \
	else echo "no Node here: the page is not built; an existing build is served, else the API alone"; fi

dist: $(BIN)/python frontend/out/index.html ## one file to install, dist/chatsec-….whl, with the page inside
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

test: $(BIN)/.dev frontend/node_modules/.installed frontend/out/index.html ## everything: JavaScript, Python, the browser
	cd frontend && npm test --silent
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: $(BIN)/.dev frontend/node_modules/.installed ## format, lint, types, import contracts, house tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd backend && PYTHONPATH=. ../$(BIN)/lint-imports --config ../pyproject.toml
	cd frontend && npm run --silent format:check && npm run --silent lint && npm run --silent types
	$(BIN)/python -m pytest tests/house tests/unit

format: $(BIN)/.dev frontend/node_modules/.installed ## write the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd frontend && npm run --silent format

screenshots: $(BIN)/.dev frontend/out/index.html ## docs/screens anew, from the running page
	$(BIN)/python -m tests.e2e.screenshots

clean: ## all that was installed or built; data/ stays
	rm -rf $(VENV) dist frontend/node_modules frontend/out frontend/.next

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Chat-Sec needs Python 3.10 or newer; name one with: make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "this Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(BIN)/.run: requirements.txt | $(BIN)/python
	@echo "installing the server's packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(BIN)/.dev: requirements-dev.txt requirements.txt | $(BIN)/python
	@echo "installing the tests' packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(BIN)/.run

frontend/node_modules/.installed: frontend/package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' \
		|| { echo "the page needs Node 20 or newer" >&2; exit 1; }
	@echo "installing the page's packages"
	@cd frontend && npm ci --silent --no-audit --no-fund
	@touch $@

frontend/out/index.html: frontend/node_modules/.installed $(PAGE)
	@echo "building the page"
	@cd frontend && npm run --silent build >.build.log 2>&1 || { cat .build.log; exit 1; }
	@touch $@
