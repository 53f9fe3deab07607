# The Python module pixi_ws and its wheel, which holds build/lib/libpixiws.so. Included by Makefile. Nothing is fetched.

PY      := $(B)/python
PYTHON  := PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3
WHEEL    = $(PY)/dist/pixi_ws-$(VERSION)-py3-none-linux_$(shell uname -m).whl
PYFILES := $(wildcard bindings/python/*.py bindings/python/*.toml bindings/python/pixi_ws/*.py bindings/python/pixi_ws/py.typed)

.PHONY: python python-wheel python-lint deps-python
deps-python:
	@tools/install-deps build python
python: deps-python
	@$(MAKE) --no-print-directory -j$(JOBS) programs python-wheel
	@echo $(WHEEL)
python-wheel: $(PY)/.made

$(PY)/.made: $(L)/libpixiws.so $(PYFILES) VERSION
	@rm -rf $(PY)
	@mkdir -p $(PY)
	@echo '  WHEEL $(WHEEL)'
	@$(PYTHON) -m pip --disable-pip-version-check wheel --quiet --no-build-isolation --no-deps --no-index --wheel-dir $(PY)/dist \
	    bindings/python >$(PY)/pip.log 2>&1 || { cat $(PY)/pip.log; exit 1; }
	@test -e $(WHEEL)
	@touch $@

# Each example is a program of its own.
python-lint:
	@export MYPYPATH=bindings/python; for each in bindings/python/pixi_ws bin/pixi-ws-client.py examples/python/*.py; do \
	    $(PYTHON) -m mypy --strict --no-error-summary --cache-dir $(B)/lint/mypy $$each || exit 1; done
