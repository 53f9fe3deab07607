# pixi-ws. Everything that is made goes under build/.
#
#   make            the programs, in build/bin, and root file system and OCI layout, in build/image
#   make verify     the main job: server, settings, client, and the proof that the link works
#   make test       unit tests and process tests, with ASan and UBSan
#   make rust       the Rust crates' client, in build/bin, too
#   make python     the Python module's wheel, in build/python/dist
#   make image      the GeometryOS image with its kernel and initramfs, in build/image
#   make test-reproducible two builds of the image in two folders: the same bytes
#   make verify-image the same image started as a machine and as a container, and the proof that its link works
#   make test-image the tests of images: they need QEMU, and builders of containers
#   make test-container those of the Dockerfile and compose.yaml alone
#   make steps      each step asked for, run: ok, FAILED or not yet
#   make lint       modules, format, static checks, both compilers
#   make run        a server with the page and a city in motion, until Ctrl-C
#   make man        the manual pages, in build/man
#   make completion what bash and zsh complete, in build/completion
#   make test-fresh the README's commands on a fresh Debian 12
#   make page       the page for browsers, in web/dist; build the server after it
#   make test-page  the page's tests, in headless Chromium
#   make bench-page how fast the page is, in headless Chromium
#   make test-windows the batch files, under Wine
#   make test-metrics /metrics, read by Prometheus' own promtool
#   make valgrind   the unit tests under valgrind
#   make hostile    hostile peers beside honest clients, of WebSocket and then of MQTT, for HOSTILE_S=60 seconds each
#   make soak       ten minutes (SOAK_S=600) of clients that come, go and are killed, and keys that change; then programs
#                   that write to a daemon, while it or its server is killed, 1,000 times (SOAK_ROUNDS=1000); then soak-mqtt
#   make fuzz       libFuzzer on every reader, for FUZZ_S=60 seconds each
#   make soak-mqtt  SOAK_ROUNDS=1000 kill -9 under MQTT: nothing is lost, nothing of QoS 2 comes twice
#   make test-system the systemd unit in a booted Debian 12
#   make bench      topic index, store, fan-out and QoS 1 on disk in MQTT, measured beside what they are compared to

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
VERSION  := $(shell cat VERSION)
WARN     := -std=c17 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Werror
CPPFLAGS += -D_GNU_SOURCE -Isrc -Iinclude -Iapps -DPIXI_VERSION='"$(VERSION)"'
HARDEN   := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
SAN      := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDLIBS   := -lssl -lcrypto -lcares -lz
JOBS     := $(shell nproc)

SRC   := $(filter-out %_test.c,$(wildcard src/*/*.c src/*/*/*.c))
TESTS := $(wildcard src/*/*_test.c src/*/*/*_test.c)
APPS  := pixi-ws-client pixi-ws-server geom-image
APPSRC := $(wildcard apps/*/*.c)

B := build
# Flavours of the same sources: rel (what users get), san (what tests run), val (what valgrind runs).
# Paths in it are of the sources' folder, wherever that is: two builds give the same bytes.
FLAGS_rel   := -O2 -g -ffile-prefix-map=$(CURDIR)=. $(HARDEN)
FLAGS_san   := -O1 -g $(SAN) -DPIXI_CRASH_POINTS
FLAGS_val   := -O1 -g
WRAP_val    := -DPIXI_WRAP_MALLOC -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
LFLAGS_rel  := -pie -Wl,-z,relro,-z,now
LFLAGS_san  := $(SAN)

.PHONY: all san deps-build deps-test deps-lint verify test test-unit test-process lint print-flags test-fresh test-system test-windows test-metrics test-image test-container verify-image hostile soak valgrind clean help test-answers steps
all: deps-build
	@$(MAKE) --no-print-directory -j$(JOBS) programs
	@$(MAKE) --no-print-directory image-rootfs

.PHONY: programs
programs: $(APPS:%=$(B)/bin/%) library
	@:
san: $(APPS:%=$(B)/san/bin/%)
	@:

define flavour
$(B)/$(1)/obj/%.o: %.c Makefile VERSION
	@mkdir -p $$(@D)
	@echo '  CC    $$@'
	@$$(CC) $$(WARN) $$(CPPFLAGS) $$(CFLAGS) $$(FLAGS_$(1)) -MMD -MP -c -o $$@ $$<

$(B)/$(1)/libpixi-core.a: $$(SRC:%.c=$(B)/$(1)/obj/%.o) $(B)/$(1)/obj/gen/guest.o
	@mkdir -p $$(@D)
	@rm -f $$@
	@echo '  AR    $$@'
	@ar rcs $$@ $$^

$(B)/$(1)/bin/%: $(B)/$(1)/libpixi-core.a
	@mkdir -p $$(@D)
	@echo '  LD    $$@'
	@$$(CC) $$(LFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$< $$(LDLIBS)

$$(foreach a,$$(APPS),$$(eval $(B)/$(1)/bin/$$(a): $$(patsubst %.c,$(B)/$(1)/obj/%.o,$$(wildcard apps/cli/*.c apps/$$(a)/*.c))))

# Line editing is in `connect` alone, the database in `daemon`; sines, in `scene` alone.
$(B)/$(1)/bin/pixi-ws-client: LDLIBS += -ledit -lm -lsqlite3

# What `explain` shows is made from docs/errors/.
$(B)/$(1)/bin/pixi-ws-client: $(B)/$(1)/obj/gen/pages.o
$(B)/$(1)/obj/gen/%.o: $(B)/gen/%.c Makefile VERSION
	@mkdir -p $$(@D)
	@echo '  CC    $$@'
	@$$(CC) $$(WARN) $$(CPPFLAGS) $$(CFLAGS) $$(FLAGS_$(1)) -c -o $$@ $$<
endef
# geom-image alone needs the libraries of YAML and of archives.
$(B)/%/bin/geom-image: LDLIBS += -lfyaml -larchive
$(foreach f,san val,$(eval $(B)/$(f)/test/src/image/%: LDLIBS += -lfyaml -larchive))
# The server alone keeps messages in SQLite, and the tests of what does that.
$(B)/%/bin/pixi-ws-server: LDLIBS += -lsqlite3
SQLITE_TESTS := src/sqlite/% src/store/% src/outbox/% src/hub/model_test
$(foreach f,san val tsan,$(foreach t,$(SQLITE_TESTS),$(eval $(B)/$(f)/test/$(t): LDLIBS += -lsqlite3)))
$(eval $(call flavour,rel))
$(eval $(call flavour,san))
$(eval $(call flavour,val))
include library.mk
include page.mk
include rust.mk
include python.mk
include image.mk
include bench.mk
include fuzz.mk
.SECONDARY:
-include $(wildcard $(foreach f,rel san val pic tsan,$(B)/$(f)/obj/*/*/*.d $(B)/$(f)/obj/*/*/*/*.d) $(foreach f,san val tsan,$(B)/$(f)/test/*/*/*.d \
                    $(B)/$(f)/test/*/*/*/*.d))

$(B)/bin/%: $(B)/rel/bin/%
	@mkdir -p $(@D)
	@cp -f $< $@

PAGES := $(sort $(wildcard docs/errors/*.md))
$(B)/gen/pages.c: tools/embed-pages docs/errors $(PAGES) apps/pixi-ws-client/page.h
	@mkdir -p $(@D)
	@tools/embed-pages $(PAGES) >$@

# What runs inside an image.
GUEST := $(sort $(wildcard src/image/guest/*.sh))
$(B)/gen/guest.c: tools/embed-guest src/image/guest $(GUEST) src/image/guest_scripts.h
	@mkdir -p $(@D)
	@tools/embed-guest $(GUEST) >$@

# From the same table as --help: the programs print them.
MAN := $(APPS:%=$(B)/man/%.1)
COMPLETION := $(APPS:%=$(B)/completion/bash/%) $(APPS:%=$(B)/completion/zsh/_%)
.PHONY: man completion
man: deps-build
	@$(MAKE) --no-print-directory -j$(JOBS) $(MAN)
completion: deps-build
	@$(MAKE) --no-print-directory -j$(JOBS) $(COMPLETION)
$(B)/man/%.1: $(B)/bin/%
	@mkdir -p $(@D)
	@$< --print man >$@
$(B)/completion/bash/%: $(B)/bin/%
	@mkdir -p $(@D)
	@$< --print bash >$@
$(B)/completion/zsh/_%: $(B)/bin/%
	@mkdir -p $(@D)
	@$< --print zsh >$@

# Unit tests: x_test.c beside x.c, each a program of its own.
define unit
$(B)/$(1)/test/%: %.c $(B)/$(1)/libpixi-core.a
	@mkdir -p $$(@D)
	@echo '  TEST  $$@'
	@$$(CC) $$(WARN) $$(CPPFLAGS) $$(CFLAGS) $$(FLAGS_$(1)) $(if $(WRAP_$(1)),$$$$(! grep -q alloc_test.h $$< || echo $(WRAP_$(1)))) -Itests -MMD -MP -o $$@ $$< $(B)/$(1)/libpixi-core.a $$(LDLIBS) -lcmocka
endef
$(eval $(call unit,san))
$(eval $(call unit,val))
$(eval $(call unit,tsan))

UNIT := $(TESTS:%.c=$(B)/san/test/%) $(FUZZ_TESTS)
# Those that have threads run under ThreadSanitizer as well: tests/unit/test_threads.py.
TSAN_UNIT := $(B)/tsan/test/src/sqlite/worker_test $(B)/tsan/test/src/store/sqlite_thread_test
.PHONY: unit-programs
unit-programs: $(UNIT) $(TSAN_UNIT)
	@:

deps-build:
	@tools/install-deps build
deps-test: deps-build
	@tools/install-deps test rust python
deps-lint: deps-build
	@tools/install-deps test rust python lint

verify: all
	@tools/verify

verify-image: image
	@$(B)/bin/geom-image verify

test: deps-test $(if $(PIXI_TEST_PAGE),deps-browser page)
	@$(MAKE) --no-print-directory -j$(JOBS) programs san unit-programs library-tests rust-programs python-wheel helpers image-programs
	@tools/run-tests $(UNIT)

test-unit: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) unit-programs
	@tools/run-tests --unit $(UNIT)

# What each call answers, in every language.
test-answers: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) programs san library-tests rust-programs python-wheel
	@/usr/bin/python3 -m pytest --import-mode=importlib -p no:cacheprovider -n 4 -q tests/library -k what_each_call_answers

steps: all
	@tools/steps

lint: deps-lint
	@tools/lint

# What lint gives to clang, quoted for the shell.
print-flags:
	$(info $(WARN) $(CPPFLAGS))
	@:

test-fresh:
	@tools/test-fresh

test-windows: deps-test
	@tools/install-deps windows
	@$(MAKE) --no-print-directory -j$(JOBS) san
	@PIXI_TEST_WINDOWS=1 PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider \
	    --import-mode=importlib tests/e2e/test_launchers.py -k batch

# What runs inside images: QEMU, and containers without a Docker engine.
test-image: image
	@tools/install-deps test image-test
	@$(MAKE) --no-print-directory -j$(JOBS) san
	@PIXI_TEST_IMAGE=1 PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider -n 2 \
	    --import-mode=importlib tests/image

test-container: deps-test
	@tools/install-deps rootfs image-test
	@$(MAKE) --no-print-directory -j$(JOBS) san image-programs
	@PIXI_TEST_IMAGE=1 PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider \
	    --import-mode=importlib tests/image/test_container.py

test-metrics: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) san
	@promtool=$$(tools/get-promtool) && PIXI_PROMTOOL=$$promtool PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q \
	    -p no:cacheprovider --import-mode=importlib tests/e2e/test_metrics.py

test-system: all
	@tools/test-system

# Programs that tests start: release builds, so that they are no bottleneck.
HELPERS := $(B)/rel/tests/hostile/honest $(B)/rel/tests/hostile/peers
$(B)/rel/tests/hostile/peers: tests/hostile/mqtt_kinds.c tests/hostile/peers.h
$(B)/rel/tests/%: tests/%.c $(B)/rel/libpixi-core.a
	@mkdir -p $(@D)
	@echo '  LD    $@'
	@$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) $(FLAGS_rel) $(LFLAGS_rel) -Itests -MMD -MP -o $@ $(filter %.c,$^) $(B)/rel/libpixi-core.a $(LDLIBS)
-include $(wildcard $(B)/rel/tests/*/*.d)
# And what tests preload into programs.
$(B)/tests/%.so: tests/%.c src/sqlite/fault_test.h
	@mkdir -p $(@D)
	@echo '  LD    $@'
	@$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) -O2 -g -fPIC -fvisibility=hidden -shared -o $@ $< -lsqlite3
.PHONY: helpers
helpers: $(HELPERS) $(B)/tests/daemon/shim.so
	@:

# The unit tests under memcheck; test-valgrind in library.mk is the library's.
valgrind: deps-test
	@tools/install-deps valgrind
	@$(MAKE) --no-print-directory -j$(JOBS) $(TESTS:%.c=$(B)/val/test/%)
	@tools/valgrind $(TESTS:%.c=$(B)/val/test/%)

SOAK_S ?= 600
SOAK_ROUNDS ?= 1000
SOAK_SEED ?=
soak: all
	@$(MAKE) --no-print-directory -j$(JOBS) san
	@tests/soak/run.py --seconds $(SOAK_S) $(SOAK_SEED:%=--seed %)
	@tests/soak/daemon.py --rounds $(SOAK_ROUNDS) $(SOAK_SEED:%=--seed %)
	@$(MAKE) --no-print-directory soak-mqtt

# The server, killed again and again under QoS 1 and 2.
.PHONY: soak-mqtt
soak-mqtt: all
	@tests/soak/mqtt_kills.py --rounds $(SOAK_ROUNDS) $(SOAK_SEED:%=--seed %)

HOSTILE_S ?= 60
hostile: all
	@$(MAKE) --no-print-directory -j$(JOBS) helpers
	@tests/hostile/run.py --seconds $(HOSTILE_S) pixi
	@tests/hostile/run.py --seconds $(HOSTILE_S) mqtt

clean:
	rm -rf $(B)

help:
	@sed -n '1,/^$$/p' Makefile | sed 's/^# \{0,1\}//'
