#include "image/elf.h"

/* len bytes at an offset of the file. */
static bool cut_at(struct pixi_cur file, uint64_t offset, uint64_t len, struct pixi_cur *out)
{
    struct pixi_cur skipped;

    return offset <= pixi_cur_left(&file) && pixi_cur_cut(&file, (size_t)offset, &skipped) &&
           len <= pixi_cur_left(&file) && pixi_cur_cut(&file, (size_t)len, out);
}

static bool read_struct(struct pixi_cur file, uint64_t offset, void *out, size_t len)
{
    struct pixi_cur c;

    if (!cut_at(file, offset, len, &c))
        return false;
    memcpy(out, c.p, len);
    return true;
}

/* A string that ends inside c; NULL: it does not. */
static const char *text_at(struct pixi_cur c, uint64_t offset)
{
    if (offset >= pixi_cur_left(&c) || !memchr(c.p + offset, 0, pixi_cur_left(&c) - (size_t)offset))
        return NULL;
    return (const char *)c.p + offset;
}

/* Where in the file an address of the memory image is. */
static bool find_address(struct pixi_cur file, const Elf64_Ehdr *head, uint64_t address, uint64_t len,
                         struct pixi_cur *out)
{
    Elf64_Phdr p;

    for (uint64_t i = 0; i < head->e_phnum; i++)
        if (read_struct(file, head->e_phoff + i * sizeof p, &p, sizeof p) && p.p_type == PT_LOAD &&
            address >= p.p_vaddr && address - p.p_vaddr <= p.p_filesz &&
            len <= p.p_filesz - (address - p.p_vaddr))
            return cut_at(file, p.p_offset + (address - p.p_vaddr), len, out);
    return false;
}

static bool dyn_at(const struct pixi_elf *e, size_t i, Elf64_Dyn *out)
{
    return read_struct(e->dynamic, i * sizeof *out, out, sizeof *out) && out->d_tag != DT_NULL;
}

/* Strings of the dynamic section: where they are, and the path in them. */
static enum pixi_elf_is read_dynamic(struct pixi_cur file, const Elf64_Ehdr *head, struct pixi_elf *e)
{
    uint64_t table = 0, size = 0, rpath = UINT64_MAX, runpath = UINT64_MAX;
    Elf64_Dyn d;

    for (size_t i = 0; dyn_at(e, i, &d); i++) {
        if (d.d_tag == DT_STRTAB)
            table = d.d_un.d_ptr;
        else if (d.d_tag == DT_STRSZ)
            size = d.d_un.d_val;
        else if (d.d_tag == DT_RPATH)
            rpath = d.d_un.d_val;
        else if (d.d_tag == DT_RUNPATH)
            runpath = d.d_un.d_val;
    }
    if (!find_address(file, head, table, size, &e->strings))
        return PIXI_ELF_BROKEN;
    runpath = runpath == UINT64_MAX ? rpath : runpath;
    if (runpath != UINT64_MAX && !(e->runpath = text_at(e->strings, runpath)))
        return PIXI_ELF_BROKEN;
    for (size_t i = 0; dyn_at(e, i, &d); i++)
        if (d.d_tag == DT_NEEDED && !text_at(e->strings, d.d_un.d_val))
            return PIXI_ELF_BROKEN;
    return PIXI_ELF_GOOD;
}

static bool read_segment(struct pixi_cur file, const Elf64_Phdr *p, struct pixi_elf *e)
{
    struct pixi_cur c;

    if (p->p_type != PT_INTERP && p->p_type != PT_DYNAMIC)
        return true;
    if (!cut_at(file, p->p_offset, p->p_filesz, &c))
        return false;
    if (p->p_type == PT_DYNAMIC)
        e->dynamic = c;
    else
        e->interpreter = text_at(c, 0);
    return p->p_type == PT_DYNAMIC || e->interpreter;
}

enum pixi_elf_is pixi_elf_read(struct pixi_cur file, struct pixi_elf *out)
{
    struct pixi_elf e = {0};
    Elf64_Ehdr head;
    Elf64_Phdr p;
    enum pixi_elf_is is = PIXI_ELF_GOOD;

    if (pixi_cur_left(&file) < SELFMAG || memcmp(file.p, ELFMAG, SELFMAG) != 0)
        return PIXI_ELF_NOT;
    if (!read_struct(file, 0, &head, sizeof head))
        return PIXI_ELF_BROKEN;
    if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB)
        return PIXI_ELF_NOT;
    if (head.e_phoff > pixi_cur_left(&file) || (head.e_phnum && head.e_phentsize != sizeof p))
        return PIXI_ELF_BROKEN;
    e.machine = head.e_machine;
    for (uint64_t i = 0; i < head.e_phnum; i++)
        if (!read_struct(file, head.e_phoff + i * sizeof p, &p, sizeof p) || !read_segment(file, &p, &e))
            return PIXI_ELF_BROKEN;
    if (pixi_cur_left(&e.dynamic))
        is = read_dynamic(file, &head, &e);
    if (is == PIXI_ELF_GOOD)
        *out = e;
    return is;
}

const char *pixi_elf_needed(const struct pixi_elf *e, size_t *at)
{
    Elf64_Dyn d;

    while (dyn_at(e, *at, &d)) {
        ++*at;
        if (d.d_tag == DT_NEEDED)
            return text_at(e->strings, d.d_un.d_val);
    }
    return NULL;
}
