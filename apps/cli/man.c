/* The man page, in the macros of man(7). */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

/* Text as roff takes it literally. is_start: of a line, where '.' and '\'' would be requests. */
static void put(FILE *out, const char *text, size_t len, bool is_start)
{
    if (is_start && len && (*text == '.' || *text == '\''))
        fputs("\\&", out);
    for (; len--; text++)
        switch (*text) {
        case '\\': fputs("\\e", out); break;
        case '-': fputs("\\-", out); break;
        case '\'': fputs("\\(aq", out); break;
        case '`': fputs("\\(ga", out); break;
        case '^': fputs("\\(ha", out); break;
        case '~': fputs("\\(ti", out); break;
        default: fputc(*text, out);
        }
}

static void put_all(FILE *out, const char *text)
{
    put(out, text, strlen(text), true);
}

static void put_line(FILE *out, const char *text)
{
    put_all(out, text);
    fputc('\n', out);
}

static bool is_literal(const char *line)
{
    return strncmp(line, "  ", 2) == 0;
}

enum part { START, TEXT, LITERAL, GAP };

/* From one part of a text to another: GAP is an empty line. */
static void turn(FILE *out, enum part from, enum part to)
{
    if (from == LITERAL && to != LITERAL)
        fputs(".fi\n.RE\n", out);
    if (to == TEXT && (from == GAP || from == LITERAL))
        fputs(".PP\n", out);
    if (to == LITERAL && from != LITERAL)
        fputs(from == START ? ".RS 4\n.nf\n" : ".PP\n.RS 4\n.nf\n", out);
}

/* The same text that --help prints: indented lines stand as they are. */
static void put_details(FILE *out, const char *text, enum part part)
{
    while (*text) {
        size_t len = strcspn(text, "\n"), lead = is_literal(text) ? 2 : 0;
        enum part next = !len ? GAP : lead ? LITERAL : TEXT;

        turn(out, part, next);
        if (len) {
            put(out, text + lead, len - lead, true);
            fputc('\n', out);
        }
        part = next;
        text += len + (text[len] == '\n');
    }
    turn(out, part, START);
}

static void put_option(FILE *out, const struct cli_option *o)
{
    fputs(".TP\n\\fB", out);
    if (o->letter)
        fprintf(out, "\\-%c\\fR, \\fB", o->letter);
    fputs("\\-\\-", out);
    put(out, o->name, strlen(o->name), false);
    fputs("\\fR", out);
    if (o->argument) {
        fputs(" \\fI", out);
        put(out, o->argument, strlen(o->argument), false);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put_line(out, o->help);
}

static void put_options(FILE *out, const struct cli_command *c)
{
    static const struct cli_option help = {"help", 'h', NULL, "show a summary", NULL};

    for (const struct cli_option *o = c->options; o && o->name; o++)
        put_option(out, o);
    put_option(out, &help);
}

static void put_usage(FILE *out, const char *words, const char *arguments)
{
    fputs("\\fB", out);
    put(out, words, strlen(words), false);
    fputs("\\fR ", out);
    for (; *arguments;
         arguments += strcspn(arguments, "\n") + (arguments[strcspn(arguments, "\n")] == '\n')) {
        put(out, arguments, strcspn(arguments, "\n"), false);
        fputc(strchr(arguments, '\n') ? ' ' : '\n', out);
        if (!strchr(arguments, '\n'))
            return;
    }
    fputc('\n', out);
}

static void put_command(FILE *out, const struct cli_command *c)
{
    char words[80];

    snprintf(words, sizeof words, "%s %s", cli_program.self.name, c->name);
    fprintf(out, ".SS %s\n", c->name);
    put_usage(out, words, c->arguments);
    fputs(".PP\n", out);
    fputc(toupper((unsigned char)*c->summary), out);
    put(out, c->summary + 1, strlen(c->summary + 1), false);
    fputs(".\n", out);
    put_options(out, c);
    if (c->details)
        put_details(out, c->details, GAP);
}

static void put_rows(FILE *out, const char *heading, const struct cli_row *rows)
{
    if (!rows)
        return;
    fprintf(out, ".SH %s\n", heading);
    for (; rows->name; rows++) {
        fputs(".TP\n\\fB", out);
        put(out, rows->name, strlen(rows->name), false);
        fputs("\\fR\n", out);
        put_line(out, rows->text);
    }
}

static void put_see_also(FILE *out, const struct cli_row *rows)
{
    fputs(".SH SEE ALSO\n", out);
    for (; rows->name; rows++) {
        fputs("\\fB", out);
        put(out, rows->name, strlen(rows->name), false);
        fprintf(out, "\\fR(%s)%s\n", rows->text, rows[1].name ? "," : "");
    }
}

void cli_print_man(FILE *out)
{
    const struct cli_command *self = &cli_program.self;

    fputs(".TH ", out);
    for (const char *p = self->name; *p; p++)
        fprintf(out, "%s%c", *p == '-' ? "\\" : "", toupper((unsigned char)*p));
    /* no date: the same table gives the same page */
    fprintf(out, " 1 \"\" \"pixi\\-ws %s\" \"User Commands\"\n.SH NAME\n", PIXI_VERSION);
    put(out, self->name, strlen(self->name), false);
    fputs(" \\- ", out);
    put(out, self->summary, strlen(self->summary), false);
    fputs("\n.SH SYNOPSIS\n", out);
    put_usage(out, self->name, self->arguments);
    fputs(".SH OPTIONS\n", out);
    put_options(out, self);
    if (self->details) {
        fputs(".SH DESCRIPTION\n", out);
        put_details(out, self->details, START);
    }
    fputs(".SH COMMANDS\n", out);
    for (const struct cli_command *c = cli_program.commands; c->name; c++)
        put_command(out, c);
    put_rows(out, "EXIT STATUS", cli_program.exits);
    put_rows(out, "FILES", cli_program.files);
    put_rows(out, "ENVIRONMENT", cli_program.environment);
    put_see_also(out, cli_program.see_also);
}
