# The page that browsers get: built from web/ by Node and npm (`make page`), and put into pixi-ws-server. Included by
# Makefile.
#
# Without web/dist the server is built all the same; its page then says how to build one.

.PHONY: page run deps-browser test-page bench-page
page: deps-build
	@tools/install-deps page
	@$(MAKE) --no-print-directory -s web/dist/index.html

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@echo '  NPM   web/node_modules'
	@cd web && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

PAGESRC := $(wildcard web/*.json web/*.mjs web/src/* web/src/*/* bindings/js/*.json bindings/js/*.ts bindings/js/src/*)
web/dist/index.html: web/node_modules/.package-lock.json $(PAGESRC)
	@echo '  PAGE  web/dist'
	@cd web && npm run --silent build
	@find web/dist -type f \( -name '*.js' -o -name '*.css' -o -name '*.html' -o -name '*.json' -o -name '*.svg' \) \
	    -exec gzip -9nkf {} +

# The page in headless Chromium. `make test` runs these tests too where PIXI_TEST_PAGE is set.
deps-browser:
	@tools/install-deps browser
test-page: deps-test deps-browser page
	@$(MAKE) --no-print-directory -j$(JOBS) san
	@PIXI_TEST_PAGE=1 PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -n 2 -p no:cacheprovider \
	    --import-mode=importlib tests/page

# Frames a second and latency with moving objects, into build/bench/page.json. BENCH: options of tests/page/bench.py.
BENCH ?=
bench-page: deps-test deps-browser page
	@$(MAKE) --no-print-directory -j$(JOBS) programs
	@tests/page/bench.py $(BENCH)

# DEMO: options of `pixi-ws-client scene demo`.
DEMO ?=
run: page all
	@tools/run $(DEMO)

# Made anew each time, which is quick, and kept where nothing has changed.
.PHONY: look-at-page
look-at-page:
$(B)/gen/web.c: tools/embed-web apps/pixi-ws-server/web.h look-at-page
	@mkdir -p $(@D)
	@tools/embed-web web/dist >$@.part
	@cmp -s $@.part $@ && rm $@.part || mv $@.part $@

$(foreach f,rel san val,$(eval $(B)/$(f)/bin/pixi-ws-server: $(B)/$(f)/obj/gen/web.o))
