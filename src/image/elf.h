/* elf.h -- what a program or shared library needs to run: its interpreter, and libraries by name. ELF of 64 bits, little
 * endian (System V ABI, gABI chapters 4 and 5). */
#ifndef PIXI_IMAGE_ELF_H
#define PIXI_IMAGE_ELF_H

#include "base/cur.h"

#include <elf.h>

/* Everything is borrowed from the file's bytes. */
struct pixi_elf {
    uint16_t machine;        /* EM_X86_64 ... */
    const char *interpreter; /* NULL: none */
    const char *runpath;     /* DT_RUNPATH, else DT_RPATH: folders with ':' between them; NULL: none */
    struct pixi_cur dynamic; /* Elf64_Dyn each; empty: a static program */
    struct pixi_cur strings;
};

enum pixi_elf_is {
    PIXI_ELF_NOT,    /* something else, or ELF of another kind (32 bits, big endian) */
    PIXI_ELF_BROKEN, /* an offset or a length leads out of the file */
    PIXI_ELF_GOOD,
};

/* pixi_elf_read -- out is written on PIXI_ELF_GOOD only. */
enum pixi_elf_is pixi_elf_read(struct pixi_cur file, struct pixi_elf *out);

/* pixi_elf_needed -- the name of the next library that is needed (DT_NEEDED); NULL: no more.
 *   at   0 to begin with; moved on */
const char *pixi_elf_needed(const struct pixi_elf *e, size_t *at);

#endif
