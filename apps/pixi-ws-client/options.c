#include "pixi-ws-client/cmd.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPTIONS_MAX = 24, HELP = 1000 };

const struct command *command_of(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_option(const struct option_row *o)
{
    char left[64];

    snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    printf("  %-26s %s\n", left, o->help);
}

void print_command_help(const struct command *command)
{
    static const struct option_row help = {"help", 'h', NULL, "show this"};

    printf("pixi-ws-client %s%s%s -- %s\n\n", command->name, *command->arguments ? " " : "",
           command->arguments, command->summary);
    for (const struct option_row *o = command->options; o && o->name; o++)
        print_option(o);
    print_option(&help);
    if (command->details)
        printf("\n%s", command->details);
}

int usage_error(const struct command *command, const char *what)
{
    fprintf(stderr, "pixi-ws-client %s: %s\nusage: pixi-ws-client %s%s%s\n       pixi-ws-client %s --help\n",
            command->name, what, command->name, *command->arguments ? " " : "", command->arguments,
            command->name);
    return PIXI_EXIT_USAGE;
}

static size_t fill(const struct command *command, struct option *rows, char *letters)
{
    size_t count = 0;

    *letters++ = ':';
    for (const struct option_row *o = command->options; o && o->name && count < OPTIONS_MAX; o++, count++) {
        rows[count] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL,
                                      (int)count + HELP + 1};
        if (o->letter)
            *letters++ = o->letter;
        if (o->letter && o->argument)
            *letters++ = ':';
    }
    rows[count++] = (struct option){"help", no_argument, NULL, HELP};
    *letters++ = 'h';
    *letters = 0;
    return count;
}

static int by_letter(const struct command *command, int letter)
{
    int i = 0;

    while (command->options[i].letter != letter)
        i++;
    return i;
}

int options_next(const struct command *command, int argc, char **argv, int *index, const char **value)
{
    struct option rows[OPTIONS_MAX + 2] = {{0}};
    char letters[2 * OPTIONS_MAX + 4], what[160];
    int got;

    fill(command, rows, letters);
    opterr = 0;
    got = getopt_long(argc, argv, letters, rows, NULL);
    *index = optind;
    *value = optarg;
    if (got == -1)
        return -1;
    if (got == 'h' || got == HELP) {
        print_command_help(command);
        return -3;
    }
    if (got == '?' || got == ':') {
        snprintf(what, sizeof what, "%s %s", got == '?' ? "unknown option" : "an argument is missing after",
                 argv[optind - 1]);
        usage_error(command, what);
        return -2;
    }
    return got > HELP ? got - HELP - 1 : by_letter(command, got);
}

bool read_seconds(const char *option, const char *text, uint64_t *ms)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v > 0) || v > 86400) {
        note("%s: found \"%s\", expected seconds, more than 0, at most 86400", option, text);
        return false;
    }
    *ms = (uint64_t)(v * 1000);
    return true;
}

bool read_count(const char *option, const char *text, uint64_t *out)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);

    if (end == text || *end || *text == '-' || v == 0 || v > UINT32_MAX) {
        note("%s: found \"%s\", expected a whole number, at least 1", option, text);
        return false;
    }
    *out = v;
    return true;
}
