#include "cli/cli.h"

#include "base/wrap.h"

#include <string.h>

enum { LEFT_MAX = 32 }; /* columns of what stands left of a text, at most */

static int left_of(const struct cli_option *o, char out[80])
{
    return snprintf(out, 80, "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                    o->letter ? "," : " ", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
}

/* "  left   text", the text in a column of its own. */
static void print_row(const char *left, int column, const char *text)
{
    if (printf("  %-*s", column, left) > column + 2)
        printf("\n%*s", column + 2, "");
    printf("  ");
    pixi_wrap(stdout, column + 4, column + 4, CLI_COLUMNS, text);
    putchar('\n');
}

static const struct cli_option help_option = {"help", 'h', NULL, "show this", NULL};

static int wider(int column, const struct cli_option *o)
{
    char left[80];
    int len = left_of(o, left);

    return len > column && len <= LEFT_MAX ? len : column;
}

static void print_options(const struct cli_command *c)
{
    char left[80];
    int column = wider(0, &help_option);

    for (const struct cli_option *o = c->options; o && o->name; o++)
        column = wider(column, o);
    for (const struct cli_option *o = c->options; o && o->name; o++) {
        left_of(o, left);
        print_row(left, column, o->help);
    }
    left_of(&help_option, left);
    print_row(left, column, help_option.help);
}

static void print_commands(void)
{
    char left[80];
    int column = 0, len;

    for (const struct cli_command *c = cli_program.commands; c->name; c++) {
        len = snprintf(left, sizeof left, "%-8s %s", c->name, c->arguments);
        column = len > column && len <= LEFT_MAX ? len : column;
    }
    for (const struct cli_command *c = cli_program.commands; c->name; c++) {
        snprintf(left, sizeof left, "%-8s %s", c->name, c->arguments);
        print_row(left, column, c->summary);
    }
}

/* "exit codes: 0 done  1 ..." */
static void print_exits(void)
{
    int at = printf("\nexit codes:");

    for (const struct cli_row *r = cli_program.exits; r->name; r++) {
        int len = (int)(strlen(r->name) + strlen(r->text)) + 1;

        if (at + 1 + len > CLI_COLUMNS)
            at = printf("\n ") - 1;
        at += printf(" %s %s%s", r->name, r->text, r[1].name ? "," : "");
    }
    putchar('\n');
}

static void flush(char *paragraph)
{
    if (!*paragraph)
        return;
    pixi_wrap(stdout, 0, 0, CLI_COLUMNS, paragraph);
    putchar('\n');
    *paragraph = 0;
}

/* Paragraphs are filled; what is indented stands as it is. */
static void print_details(const char *text)
{
    char paragraph[2048] = "";

    putchar('\n');
    while (*text) {
        size_t len = strcspn(text, "\n"), at = strlen(paragraph);

        if (len && strncmp(text, "  ", 2) != 0) {
            snprintf(paragraph + at, sizeof paragraph - at, "%s%.*s", at ? " " : "", (int)len, text);
        } else {
            flush(paragraph);
            printf("%.*s\n", (int)len, text);
        }
        text += len + (text[len] == '\n');
    }
    flush(paragraph);
}

static void print_usage(const char *text)
{
    int indent = printf("usage: %s ", cli_program.self.name);

    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", indent, "");
    }
    putchar('\n');
}

static void print_program_help(void)
{
    printf("%s -- ", cli_program.self.name);
    pixi_wrap(stdout, (int)strlen(cli_program.self.name) + 4, 4, CLI_COLUMNS, cli_program.self.summary);
    puts("\n");
    print_usage(cli_program.self.arguments);
    putchar('\n');
    print_commands();
    putchar('\n');
    print_options(&cli_program.self);
    if (cli_program.self.details)
        print_details(cli_program.self.details);
    print_exits();
}

void cli_print_help(const struct cli_command *c)
{
    if (c == &cli_program.self) {
        print_program_help();
        return;
    }
    printf("%s %s%s%s\n", cli_program.self.name, c->name, *c->arguments ? " " : "", c->arguments);
    printf("    %s\n\n", c->summary);
    print_options(c);
    if (c->details)
        print_details(c->details);
}

int cli_print(const char *what)
{
    static const struct {
        const char *name;
        void (*print)(FILE *);
    } rows[] = {{"man", cli_print_man}, {"bash", cli_print_bash}, {"zsh", cli_print_zsh}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, what) == 0) {
            rows[i].print(stdout);
            return 0;
        }
    return cli_usage_error(&cli_program.self, "--print takes man, bash or zsh");
}
