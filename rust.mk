# The crates pixi-ws-sys and pixi-ws, on build/lib/libpixiws.so. Included by Makefile. Nothing is fetched.

R     := $(B)/rust
CRATES := $(wildcard bindings/rust/Cargo.* bindings/rust/*/Cargo.toml bindings/rust/*/build.rs bindings/rust/*/src/*.rs)
# Debian's compiler where there is one; programs find the library in ../lib, beside their folder.
CARGO := PATH="/usr/bin:$$PATH" CARGO_HOME=$(CURDIR)/$(R)/home CARGO_TARGET_DIR=$(CURDIR)/$(R) \
         PIXIWS_LIB_DIR=$(CURDIR)/$(L) LD_LIBRARY_PATH=$(CURDIR)/$(L) \
         RUSTFLAGS='-D warnings --remap-path-prefix=$(CURDIR)=. -C link-arg=-Wl,-rpath,$$ORIGIN/../lib' cargo
CRATE := --manifest-path bindings/rust/Cargo.toml --offline --locked --quiet

.PHONY: rust rust-programs rust-test rust-lint deps-rust
deps-rust:
	@tools/install-deps build rust
rust: deps-rust
	@$(MAKE) --no-print-directory -j$(JOBS) rust-programs
rust-programs: $(B)/bin/pixi-ws-client-rust

$(R)/release/examples/pixi-ws-client: $(L)/libpixiws.so $(CRATES) examples/rust/pixi-ws-client.rs tests/library/answers.rs
	@mkdir -p $(R)
	@echo '  CARGO $@'
	@$(CARGO) build $(CRATE) --release --examples
	@touch $@

$(B)/bin/pixi-ws-client-rust: $(R)/release/examples/pixi-ws-client
	@mkdir -p $(@D)
	@cp -f $< $@

# Unit tests and the examples in the documentation.
rust-test: $(L)/libpixiws.so
	@$(CARGO) test $(CRATE)

rust-lint: $(L)/libpixiws.so
	@$(CARGO) fmt --manifest-path bindings/rust/Cargo.toml --all --check
	@$(CARGO) clippy $(CRATE) --all-targets
