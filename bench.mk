# Benchmarks. Only ratios within one run say something: `make bench` measures each thing beside what it is compared to.
# Included by Makefile.

BENCHES := topics store outbox fanout durable
$(B)/bench/%: bench/%.c bench/bench.h bench/mqtt.h $(B)/rel/libpixi-core.a
	@mkdir -p $(@D)
	@echo '  LD    $@'
	@$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) $(FLAGS_rel) $(LFLAGS_rel) -o $@ $< $(B)/rel/libpixi-core.a $(LDLIBS) -lsqlite3

.PHONY: bench
bench: deps-build
	@$(MAKE) --no-print-directory -j$(JOBS) $(BENCHES:%=$(B)/bench/%) $(B)/bin/pixi-ws-client
	@$(B)/bench/topics | tee $(B)/bench/topics.txt
	@echo
	@$(B)/bench/store $(B)/bench/data | tee $(B)/bench/store.txt
	@echo
	@tools/install-deps bench
	@$(MAKE) --no-print-directory $(B)/bin/pixi-ws-server
	@bench/fanout.py | tee $(B)/bench/fanout.txt
	@echo
	@bench/durable.py | tee $(B)/bench/durable.txt
	@echo
	@set -o pipefail; $(B)/bench/outbox $(B)/bench/data $(B)/bin/pixi-ws-client | tee $(B)/bench/outbox.txt
