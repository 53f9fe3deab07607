#include "pixi-ws-client/page.h"

#include "base/near.h"
#include "base/wrap.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 80, LINE_MAX_LEN = 2048, LITERAL = 4 };

static const char *without_prefix(const char *asked)
{
    return strncasecmp(asked, "PIXI_E_", 7) == 0 ? asked + 7 : asked;
}

/* '_' and '-' are one, as are large and small letters. */
static bool is_same(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        int x = *a == '_' ? '-' : tolower((unsigned char)*a),
            y = *b == '_' ? '-' : tolower((unsigned char)*b);

        if (x != y)
            return false;
    }
    return *a == *b;
}

static bool has_name(const struct page *p, const char *name)
{
    for (size_t i = 0; i < p->key_count; i++)
        if (p->keys[i].name && is_same(p->keys[i].name, name))
            return true;
    return is_same(p->name, name);
}

/* Of codes alone first, then of several at once: a page of its own comes before that of its family. */
static bool has_number(const struct page *p, long number, bool in_range)
{
    for (size_t i = 0; i < p->key_count; i++) {
        const struct page_key *k = &p->keys[i];

        if (!k->name && k->kind != PAGE_CASE && (k->first != k->last) == in_range && number >= k->first &&
            number <= k->last)
            return true;
    }
    return false;
}

const struct page *page_find(const char *asked)
{
    const char *name = without_prefix(asked);
    char *end;
    long number = strtol(asked, &end, 10);
    bool is_number = end != asked && !*end;

    for (size_t i = 0; i < page_count; i++)
        if (is_number ? has_number(&pages[i], number, false) : has_name(&pages[i], name))
            return &pages[i];
    for (size_t i = 0; is_number && i < page_count; i++)
        if (has_number(&pages[i], number, true))
            return &pages[i];
    return NULL;
}

const char *page_nearest(const char *asked, char out[64])
{
    struct pixi_cur typed = pixi_cur_str(without_prefix(asked));
    const char *word = page_words;
    size_t least = SIZE_MAX;

    *out = 0;
    while (*word) {
        size_t len = strcspn(word, " "), far;
        struct pixi_cur candidate = pixi_cur_init((const uint8_t *)word, len);

        far = pixi_near_distance(typed, candidate);
        if (far < least && len < 64 && pixi_near_enough(far, candidate)) {
            least = far;
            memcpy(out, word, len);
            out[len] = 0;
        }
        word += len + (word[len] == ' ');
    }
    return *out ? out : NULL;
}

/* "[text](link)" becomes "text". */
static void drop_links(char *text)
{
    char *to = text;

    for (const char *p = text; *p; p++) {
        const char *middle = *p == '[' ? strstr(p, "](") : NULL, *end = middle ? strchr(middle, ')') : NULL;

        if (!end) {
            *to++ = *p;
            continue;
        }
        memmove(to, p + 1, (size_t)(middle - p) - 1);
        to += middle - p - 1;
        p = end;
    }
    *to = 0;
}

/* A paragraph, or an item of a list, gathered from its lines. */
struct gathered {
    char text[LINE_MAX_LEN];
    int indent;
};

static void flush(struct gathered *g)
{
    if (!*g->text)
        return;
    drop_links(g->text);
    pixi_wrap(stdout, 0, g->indent, COLUMNS, g->text);
    putchar('\n');
    *g->text = 0;
    g->indent = 0;
}

static void gather(struct gathered *g, const char *line, size_t len)
{
    size_t at = strlen(g->text);

    snprintf(g->text + at, sizeof g->text - at, "%s%.*s", at ? " " : "", (int)len, line);
}

static void print_heading(const char *text, size_t len, enum page_look look)
{
    printf("%s%.*s%s\n", look == PAGE_BOLD ? "\033[1m" : "", (int)len, text,
           look == PAGE_BOLD ? "\033[0m" : "");
}

/* What a program prints stands as it is, unless it is too wide. */
static void print_literal(const char *line, size_t len)
{
    char text[LINE_MAX_LEN];
    int lead = (int)strspn(line, " ");

    snprintf(text, sizeof text, "%.*s", (int)len, line);
    if (LITERAL + pixi_wrap_columns(text, len) <= COLUMNS) {
        printf("%*s%s\n", len ? LITERAL : 0, "", text);
        return;
    }
    printf("%*s", LITERAL + lead, "");
    pixi_wrap(stdout, LITERAL + lead, LITERAL + lead + 2, COLUMNS, text + lead);
    putchar('\n');
}

static bool print_line(struct gathered *g, const char *line, size_t len, enum page_look look)
{
    if (len >= 3 && strncmp(line, "```", 3) == 0) {
        flush(g);
        return true;
    }
    if (len == 0 || strncmp(line, "## ", 3) == 0 || strncmp(line, "- ", 2) == 0)
        flush(g);
    if (len == 0)
        putchar('\n');
    else if (strncmp(line, "## ", 3) == 0)
        print_heading(line + 3, len - 3, look);
    else
        gather(g, line, len);
    if (strncmp(line, "- ", 2) == 0)
        g->indent = 2;
    return false;
}

void page_print(const struct page *p, enum page_look look)
{
    struct gathered g = {0};
    const char *line = p->text;
    bool is_literal = false;

    print_heading(p->title, strlen(p->title), look);
    putchar('\n');
    while (*line) {
        size_t len = strcspn(line, "\n");

        if (is_literal && strncmp(line, "```", 3) != 0)
            print_literal(line, len);
        else if (print_line(&g, line, len, look))
            is_literal = !is_literal;
        line += len + (line[len] == '\n');
    }
    flush(&g);
}
