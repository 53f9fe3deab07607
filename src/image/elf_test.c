#include "image/elf.h"
#include "invariants.h"

/* A program with an interpreter, two libraries and a RUNPATH, in one loaded segment. */
struct program {
    Elf64_Ehdr head;
    Elf64_Phdr parts[3];
    Elf64_Dyn dynamic[6];
    char interpreter[16], strings[48];
};

static struct program make_program(void)
{
    static const char strings[] = "\0libone.so.1\0libtwo.so\0$ORIGIN/../lib";
    struct program p = {.head = {.e_type = ET_DYN,
                                 .e_machine = EM_X86_64,
                                 .e_phoff = offsetof(struct program, parts),
                                 .e_phentsize = sizeof(Elf64_Phdr),
                                 .e_phnum = 3}};

    memcpy(p.head.e_ident, ELFMAG, SELFMAG);
    p.head.e_ident[EI_CLASS] = ELFCLASS64;
    p.head.e_ident[EI_DATA] = ELFDATA2LSB;
    p.parts[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof p};
    p.parts[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                              .p_offset = offsetof(struct program, interpreter),
                              .p_filesz = sizeof p.interpreter};
    p.parts[2] = (Elf64_Phdr){
        .p_type = PT_DYNAMIC, .p_offset = offsetof(struct program, dynamic), .p_filesz = sizeof p.dynamic};
    p.dynamic[0] = (Elf64_Dyn){DT_NEEDED, {1}};
    p.dynamic[1] = (Elf64_Dyn){DT_STRTAB, {0x1000 + offsetof(struct program, strings)}};
    p.dynamic[2] = (Elf64_Dyn){DT_STRSZ, {sizeof p.strings}};
    p.dynamic[3] = (Elf64_Dyn){DT_NEEDED, {13}};
    p.dynamic[4] = (Elf64_Dyn){DT_RUNPATH, {23}};
    memcpy(p.interpreter, "/lib64/ld.so", 13);
    memcpy(p.strings, strings, sizeof strings);
    return p;
}

static void test_what_it_needs(void **state)
{
    struct program p = make_program();
    struct pixi_elf e;
    size_t at = 0;

    (void)state;
    assert_int_equal(pixi_elf_read(pixi_cur_init(&p, sizeof p), &e), PIXI_ELF_GOOD);
    assert_int_equal(e.machine, EM_X86_64);
    assert_string_equal(e.interpreter, "/lib64/ld.so");
    assert_string_equal(e.runpath, "$ORIGIN/../lib");
    assert_string_equal(pixi_elf_needed(&e, &at), "libone.so.1");
    assert_string_equal(pixi_elf_needed(&e, &at), "libtwo.so");
    assert_null(pixi_elf_needed(&e, &at));
}

/* Looks at everything that a reading gives, so that a pointer out of the file is found. */
static enum pixi_elf_is use(const uint8_t *bytes, size_t len)
{
    struct inv_guard g = inv_guard(bytes, len);
    struct pixi_elf e;
    enum pixi_elf_is is = pixi_elf_read(pixi_cur_init(g.bytes, len), &e);
    size_t at = 0, sum = 0;

    if (is == PIXI_ELF_GOOD) {
        sum += e.interpreter ? strlen(e.interpreter) : 0;
        sum += e.runpath ? strlen(e.runpath) : 0;
        for (const char *name; (name = pixi_elf_needed(&e, &at)) != NULL;)
            sum += strlen(name);
        assert_true(sum < len);
    }
    inv_guard_free(&g);
    return is;
}

static void test_cut_short(void **state)
{
    struct program p = make_program();

    (void)state;
    for (size_t len = 0; len < sizeof p - 8; len++)
        assert_int_equal(use((const uint8_t *)&p, len), len < SELFMAG ? PIXI_ELF_NOT : PIXI_ELF_BROKEN);
}

/* Every byte wrong in several ways: a wrong answer is fine, a look outside is not. */
static void test_any_byte_wrong(void **state)
{
    struct program p = make_program();
    uint8_t *bytes = (uint8_t *)&p;
    static const uint8_t wrong[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    (void)state;
    for (size_t i = 0; i < sizeof p; i++)
        for (size_t w = 0; w < sizeof wrong; w++) {
            uint8_t kept = bytes[i];

            bytes[i] = wrong[w];
            use(bytes, sizeof p);
            bytes[i] = kept;
        }
}

static void test_others(void **state)
{
    struct program p = make_program();
    struct pixi_elf e;

    (void)state;
    assert_int_equal(use((const uint8_t *)"#!/bin/sh\n", 10), PIXI_ELF_NOT);
    p.head.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(use((const uint8_t *)&p, sizeof p), PIXI_ELF_NOT);
    p = make_program();
    p.head.e_phnum = 1; /* static: nothing but what is loaded */
    assert_int_equal(pixi_elf_read(pixi_cur_init(&p, sizeof p), &e), PIXI_ELF_GOOD);
    assert_null(e.interpreter);
    assert_int_equal(pixi_cur_left(&e.dynamic), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_needs),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_any_byte_wrong),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests_name("image/elf", tests, NULL, NULL);
}
