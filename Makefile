# make demo: see all of it in minutes · make test: the suite · make check: what CI checks besides · make bench: speed

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: install demo bench bench-docs bench-gpu test test-ranks test-cluster test-browser test-container check format clean

install: $(INSTALLED)

# the stamp is written last, so a broken install is taken up again
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install -c constraints.txt --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/pianogen demo

# each file stays in one process, which makes its fixtures once; the long files start first (tests/conftest.py), and
# processes that tests start read compiled bytecode, even where the environment says to write none
test: export PYTHONDONTWRITEBYTECODE :=
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not ranks and not cluster and not browser and not container"
	@echo "not part of this: more configurations of several ranks (make test-ranks), a real Slurm (test-cluster),"
	@echo "a browser (test-browser), the image's install (test-container)"

# several ranks in configurations beyond the one that `make test` has of each behaviour: some two minutes
test-ranks: export PYTHONDONTWRITEBYTECODE :=
test-ranks: $(INSTALLED)
	$(BIN)/python -m pytest tests/train -m ranks -p no:xdist

# the tables of docs/performance.md for this machine: seven to eleven minutes
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# the same, written into the page
bench-docs: $(INSTALLED)
	$(BIN)/python -m benchmarks --write docs/performance.md

# writes the GPU tables of docs/performance.md: the training step on one GPU, and all GPUs of this machine over NCCL
bench-gpu: $(INSTALLED)
	$(BIN)/python -m benchmarks gpu_step --write docs/performance.md
	$(BIN)/python -m benchmarks gpu_ranks --write docs/performance.md

# a real Slurm of two nodes on this machine; needs root on Debian, and says so where it skips
test-cluster: $(INSTALLED)
	$(BIN)/python -m pytest tests/cluster -m cluster -p no:xdist

# the pages of studies, of play and of MLflow in a real Chromium; PIANOGEN_SCREENSHOT=docs/images/mlflow.png renews that
# picture in the documents
test-browser: $(INSTALLED)
	$(BIN)/python -m pytest tests/browser -m browser -p no:xdist

# the Dockerfile's install steps in an empty folder: some five minutes, and a package registry
test-container: $(INSTALLED)
	$(BIN)/python -m pytest tests/container -m container -p no:xdist

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
