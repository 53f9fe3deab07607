# The GeometryOS image. Included by Makefile.

I := $(B)/image

# What goes into it, without what only a debugger wants.
$(I)/bin/%: $(B)/bin/%
	@mkdir -p $(@D)
	@strip -o $@ $<
$(I)/lib/libpixiws.so.$(LIBVERSION): $(L)/libpixiws.so
	@mkdir -p $(@D)
	@strip -o $@ $(L)/libpixiws.so.$(VERSION)

IMAGE_PROGRAMS := $(I)/bin/pixi-ws-client $(I)/bin/pixi-ws-server $(I)/lib/libpixiws.so.$(LIBVERSION)
IMAGE_SOURCES  := $(B)/bin/geom-image $(IMAGE_PROGRAMS) bin/pixi-ws-client.sh tools/build-image $(wildcard config/geom_os_image.yaml)

.PHONY: image image-programs image-rootfs deps-image
deps-image: deps-build
	@tools/install-deps image rust
image: deps-image
	@$(MAKE) --no-print-directory -j$(JOBS) programs rust-programs
	@$(MAKE) --no-print-directory image-programs
	@tools/get-kernel
	@tools/build-image
image-programs: $(IMAGE_PROGRAMS)
	@:

# Bare make: what needs no kernel.
image-rootfs: $(I)/.made
	@:
$(I)/.made: $(IMAGE_SOURCES)
	@mkdir -p $(@D)
	@tools/build-image --no-kernel

.PHONY: test-reproducible
test-reproducible: deps-image
	@tools/test-reproducible
