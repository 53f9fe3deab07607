# libpixiws: shared, static, pkg-config, install. Included by Makefile.

LIBVERSION := $(firstword $(subst ., ,$(VERSION)))
LIBSRC  := $(filter-out %_test.c src/net/signals.c src/net/listen.c src/net/notify.c,$(wildcard src/base/*.c src/proto/http/*.c src/proto/ws/*.c src/proto/rpc/*.c src/proto/mqtt/*.c \
             src/net/*.c src/link/*.c src/client/*.c))
LIBMAP  := src/client/libpixiws.map
LIBSYMS  = $(shell sed -n 's/^ *\(pixi_[a-z_]*\);.*/\1/p' $(LIBMAP))
LIBHEADERS := $(wildcard include/pixiws/*.h)
L       := $(B)/lib

# Position independent, everything hidden but PIXI_API. tsan: what the thread tests run.
FLAGS_pic   := -O2 -g -ffile-prefix-map=$(CURDIR)=. -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -fstack-protector-strong \
               -D_FORTIFY_SOURCE=2
FLAGS_tsan  := -O1 -g -fsanitize=thread
LFLAGS_tsan := -fsanitize=thread
$(eval $(call flavour,pic))
$(eval $(call flavour,tsan))

.PHONY: library
library: $(L)/libpixiws.so $(L)/libpixiws.a $(L)/pixiws.pc

$(L)/libpixiws.so.$(VERSION): $(LIBSRC:%.c=$(B)/pic/obj/%.o) $(LIBMAP) library.mk
	@mkdir -p $(@D)
	@echo '  LD    $@'
	@$(CC) -shared -Wl,-soname,libpixiws.so.$(LIBVERSION) -Wl,--version-script=$(LIBMAP) -Wl,--gc-sections \
	    -Wl,-z,relro,-z,now,-z,defs $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS) -pthread

$(L)/libpixiws.so: $(L)/libpixiws.so.$(VERSION)
	@ln -sf libpixiws.so.$(VERSION) $(L)/libpixiws.so.$(LIBVERSION)
	@ln -sf libpixiws.so.$(LIBVERSION) $@

# One object, in which only the public names are global: a static link meets none of the others.
$(L)/libpixiws.a: $(LIBSRC:%.c=$(B)/pic/obj/%.o) $(LIBMAP) library.mk
	@mkdir -p $(@D)
	@echo '  AR    $@'
	@ld -r --gc-sections $(LIBSYMS:%=-u %) -o $(L)/pixiws.o $(filter %.o,$^)
	@objcopy $(LIBSYMS:%=--keep-global-symbol=%) $(L)/pixiws.o
	@rm -f $@
	@ar rcs $@ $(L)/pixiws.o

# --- installing --------------------------------------------------------------------------------------------------

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
BASHDIR := share/bash-completion/completions
ZSHDIR  := share/zsh/vendor-completions
DEST     = $(DESTDIR)$(PREFIX)
DESTLIB  = $(DESTDIR)$(LIBDIR)

# $(1): where to.
define put-pc
@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$${prefix}/include' '' \
	    'Name: pixiws' 'Description: A link to a Pixi server, over WebSocket' 'Version: $(VERSION)' \
	    'Requires.private: openssl libcares zlib' 'Libs: -L$${libdir} -lpixiws' 'Libs.private: -pthread' \
	    'Cflags: -I$${includedir}' > $(1)
endef

$(L)/pixiws.pc: library.mk VERSION
	@mkdir -p $(L)
	$(call put-pc,$@)

# Only copies: building is `make`, so that installing as root leaves nothing of root's in the tree.
.PHONY: install uninstall
install:
	@test -e $(L)/libpixiws.so || { echo "install: nothing is built: run make first" >&2; exit 1; }
	install -d $(DEST)/bin $(DEST)/include/pixiws $(DESTLIB)/pkgconfig
	install $(APPS:%=$(B)/bin/%) bin/pixi-ws-client.sh bin/pixi-ws-client.py $(DEST)/bin
	install -m 644 $(LIBHEADERS) $(DEST)/include/pixiws
	install -m 755 $(L)/libpixiws.so.$(VERSION) $(DESTLIB)
	cp -d $(L)/libpixiws.so.$(LIBVERSION) $(L)/libpixiws.so $(DESTLIB)
	install -m 644 $(L)/libpixiws.a $(DESTLIB)
	@$(MAKE) --no-print-directory man completion
	$(call put-pc,$(DESTLIB)/pkgconfig/pixiws.pc)
	@chmod 644 $(DESTLIB)/pkgconfig/pixiws.pc
	install -d $(DEST)/share/man/man1 $(DEST)/$(BASHDIR) $(DEST)/$(ZSHDIR)
	install -m 644 $(MAN) $(DEST)/share/man/man1
	install -m 644 $(APPS:%=$(B)/completion/bash/%) $(DEST)/$(BASHDIR)
	install -m 644 $(APPS:%=$(B)/completion/zsh/_%) $(DEST)/$(ZSHDIR)

uninstall:
	rm -f $(APPS:%=$(DEST)/bin/%) $(DEST)/bin/pixi-ws-client.sh $(DEST)/bin/pixi-ws-client.py $(LIBHEADERS:include/%=$(DEST)/include/%)
	rm -f $(DESTLIB)/libpixiws.so $(DESTLIB)/libpixiws.so.$(LIBVERSION) $(DESTLIB)/libpixiws.so.$(VERSION) $(DESTLIB)/libpixiws.a
	rm -f $(DESTLIB)/pkgconfig/pixiws.pc $(APPS:%=$(DEST)/share/man/man1/%.1)
	rm -f $(APPS:%=$(DEST)/$(BASHDIR)/%) $(APPS:%=$(DEST)/$(ZSHDIR)/_%)
	-rmdir $(DEST)/include/pixiws

# --- tests -------------------------------------------------------------------------------------------------------

# Programs that speak to the library as any other program does, with each flavour of it.
LIBTESTS := answers loop slow threads
define libtest
$(B)/$(1)/test/library/%: tests/library/%.c $(B)/$(1)/libpixi-client.a $(LIBHEADERS)
	@mkdir -p $$(@D)
	@echo '  TEST  $$@'
	@$$(CC) $$(WARN) -D_GNU_SOURCE -Iinclude $$(CFLAGS) $$(FLAGS_$(1)) -o $$@ $$< $(B)/$(1)/libpixi-client.a $$(LDLIBS) -pthread

$(B)/$(1)/libpixi-client.a: $(LIBSRC:%.c=$(B)/$(1)/obj/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	@echo '  AR    $$@'
	@ar rcs $$@ $$^
endef
$(eval $(call libtest,rel))
$(eval $(call libtest,san))
$(eval $(call libtest,tsan))
.PHONY: library-tests
library-tests: $(LIBTESTS:%=$(B)/san/test/library/%) $(B)/tsan/test/library/threads

# The same programs under valgrind, optimised: some minutes.
.PHONY: test-valgrind
test-valgrind: deps-test
	@tools/install-deps valgrind
	@$(MAKE) --no-print-directory -j$(JOBS) programs $(LIBTESTS:%=$(B)/rel/test/library/%)
	@PIXI_VALGRIND=1 PIXI_BIN=$(B)/rel/bin /usr/bin/python3 -m pytest --import-mode=importlib -p no:cacheprovider -q -n 2 \
	    tests/library/test_answers.py tests/library/test_loop.py
