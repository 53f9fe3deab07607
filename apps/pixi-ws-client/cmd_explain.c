#include "pixi-ws-client/cmd.h"
#include "pixi-ws-client/page.h"

#include "base/wrap.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>

enum { NAME_COLUMN = 22 };

static void print_key(const struct page_key *k, char *out, size_t size)
{
    size_t at = strlen(out);
    const char *comma = at ? ", " : "";

    if (k->kind == PAGE_ERROR)
        snprintf(out + at, size - at, "%s%s", comma, k->name);
    else if (k->first != k->last)
        snprintf(out + at, size - at, "%s%ld-%ld", comma, k->first, k->last);
    else if (k->kind == PAGE_EXIT || k->kind == PAGE_CLOSE || k->kind == PAGE_RPC)
        snprintf(out + at, size - at, "%s%ld", comma, k->first);
}

/* "connect   Nobody takes the connection: 5, CONNECT" */
static void print_row(const struct page *p)
{
    char keys[1024] = "", text[1200];
    int at = printf("  %-*s ", NAME_COLUMN, p->name);

    for (size_t i = 0; i < p->key_count; i++)
        print_key(&p->keys[i], keys, sizeof keys);
    snprintf(text, sizeof text, "%s%s%s", p->title, *keys ? ": " : "", keys);
    pixi_wrap(stdout, at, NAME_COLUMN + 3, CLI_COLUMNS, text);
    putchar('\n');
}

/* The page of this kind with the next code after `last`. NULL: no more. */
static const struct page *next_of(enum page_kind kind, long last)
{
    const struct page *best = NULL;

    for (size_t i = 0; i < page_count; i++) {
        const struct page_key *k = pages[i].keys; /* a page stands where its first code belongs */

        if (k->kind == kind && k->first > last && (!best || k->first < best->keys->first))
            best = &pages[i];
    }
    return best;
}

static void print_kind(enum page_kind kind, const char *heading)
{
    printf("%s\n", heading);
    for (const struct page *p = next_of(kind, LONG_MIN); p; p = next_of(kind, p->keys->first))
        print_row(p);
    putchar('\n');
}

static void print_errors(void)
{
    puts("errors");
    for (size_t i = 0; i < page_count; i++)
        if (pages[i].keys->kind == PAGE_ERROR || pages[i].keys->kind == PAGE_CASE)
            print_row(&pages[i]);
}

static int print_all(void)
{
    print_kind(PAGE_EXIT, "exit codes");
    print_kind(PAGE_CLOSE, "close codes");
    print_kind(PAGE_RPC, "codes of JSON-RPC errors");
    print_errors();
    return 0;
}

static int unknown(const char *typed)
{
    char near[64], asked[128];

    pixi_failure_escape(typed, asked, sizeof asked);
    if (page_nearest(typed, near))
        note("explain: nothing is called \"%s\"; did you mean \"%s\"?", asked, near);
    else
        note("explain: nothing is called \"%s\"; pixi-ws-client explain lists all there is", asked);
    return PIXI_EXIT_USAGE;
}

/* -32003 is a code and no option. */
static bool is_code(const char *word)
{
    return word[0] == '-' && isdigit((unsigned char)word[1]);
}

int cmd_explain(struct app *app, int argc, char **argv)
{
    const struct cli_command *command = cli_command_of("explain");
    const struct page *p;
    const char *value;
    int at = 1, option;

    (void)app;
    if (argc < 2 || !is_code(argv[1])) {
        option = cli_next(command, argc, argv, &at, &value);
        if (option != CLI_END)
            return option == CLI_HELP ? 0 : PIXI_EXIT_USAGE;
    }
    if (argc - at > 1)
        return cli_usage_error(command, "expected at most one code or name");
    if (argc == at)
        return print_all();
    p = page_find(argv[at]);
    if (!p)
        return unknown(argv[at]);
    page_print(p, cli_wants_color(stdout) ? PAGE_BOLD : PAGE_PLAIN);
    return 0;
}
