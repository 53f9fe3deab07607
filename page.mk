# The page that browsers get: built from web/ by Node and npm (`make page`), and put into pixi-ws-server. Included by
# Makefile.
#
# Without web/dist the server is built all the same; its page then says how to build one.

.PHONY: page run
page: deps-build
	@tools/install-deps page
	@cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run build
	@find web/dist -type f \( -name '*.js' -o -name '*.css' -o -name '*.html' -o -name '*.json' -o -name '*.svg' \) \
	    -exec gzip -9nkf {} +

# DEMO: options of `pixi-ws-client scene demo`.
DEMO ?=
run: all
	@tools/run $(DEMO)

# Made anew each time, which is quick, and kept where nothing has changed.
.PHONY: look-at-page
look-at-page:
$(B)/gen/web.c: tools/embed-web apps/pixi-ws-server/web.h look-at-page
	@mkdir -p $(@D)
	@tools/embed-web web/dist >$@.part
	@cmp -s $@.part $@ && rm $@.part || mv $@.part $@

$(foreach f,rel san val,$(eval $(B)/$(f)/bin/pixi-ws-server: $(B)/$(f)/obj/gen/web.o))
