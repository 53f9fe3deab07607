# Fuzzing: tests/fuzz. `make fuzz` runs libFuzzer on each target; `make test` feeds each its seeds and needs no clang.
# Included by Makefile.

FUZZ_S ?= 60
FUZZ := ws_reader ws_deflate http_head json rpc mqtt_reader topic image_yaml oracle_ws oracle_mqtt
FUZZ_TESTS := $(FUZZ:%=$(B)/san/test/tests/fuzz/%)

# What the targets look at, and what that needs.
FUZZ_SRC := $(filter src/base/% src/proto/% src/verify/% src/net/% src/image/yaml.c,$(SRC))
FUZZ_CC := clang -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g

$(B)/fuzz/seeds/made: tests/fuzz/seeds.py $(wildcard tests/vectors/*/*.txt config/*.yaml) docs/protocol.md
	@tests/fuzz/seeds.py $(@D)

$(B)/fuzz/obj/%.o: %.c Makefile fuzz.mk VERSION
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(FUZZ_CC) $(WARN) $(CPPFLAGS) -Itests -MMD -MP -c -o $@ $<

$(B)/fuzz/bin/%: $(B)/fuzz/obj/tests/fuzz/%.o $(FUZZ_SRC:%.c=$(B)/fuzz/obj/%.o)
	@mkdir -p $(@D)
	@echo '  LD    $@'
	@clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS) -lfyaml

$(FUZZ_TESTS): $(B)/san/test/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/feed.c $(wildcard tests/fuzz/*.h tests/*.h) \
    $(B)/san/libpixi-core.a | $(B)/fuzz/seeds/made
	@mkdir -p $(@D)
	@echo '  TEST  $@'
	@$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) $(FLAGS_san) -Itests -o $@ $< tests/fuzz/feed.c $(B)/san/libpixi-core.a \
	    $(LDLIBS) -lfyaml

-include $(wildcard $(B)/fuzz/obj/*/*/*.d $(B)/fuzz/obj/*/*/*/*.d)

.PHONY: fuzz fuzz-programs
fuzz-programs: $(FUZZ:%=$(B)/fuzz/bin/%) $(B)/fuzz/seeds/made
	@:
fuzz: deps-build
	@tools/install-deps fuzz
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-programs
	@tools/fuzz --seconds $(FUZZ_S) $(FUZZ)
