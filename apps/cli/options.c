#include "cli/cli.h"

#include "base/near.h"

#include <getopt.h>
#include <string.h>

enum { OPTIONS_MAX = 24, HELP = 1000, WHAT_LEN = 320 };

/* The nearest so far. */
struct nearest {
    struct pixi_cur typed;
    const char *name;
    size_t least;
};

static void compare(struct nearest *n, const char *name)
{
    size_t far = pixi_near_distance(n->typed, pixi_cur_str(name));

    if (!n->name || far < n->least) {
        n->least = far;
        n->name = name;
    }
}

static bool is_near(const struct nearest *n)
{
    return n->name && pixi_near_enough(n->least, pixi_cur_str(n->name));
}

int cli_unknown_command(const char *name)
{
    struct nearest n = {.typed = pixi_cur_str(name)};

    for (const struct cli_command *c = cli_program.commands; c->name; c++)
        compare(&n, c->name);
    if (is_near(&n))
        fprintf(stderr, "%s: unknown command \"%s\"; did you mean \"%s\"?\n", cli_program.self.name, name,
                n.name);
    else
        fprintf(stderr, "%s: unknown command \"%s\"; see %s --help\n", cli_program.self.name, name,
                cli_program.self.name);
    return CLI_USAGE;
}

static int run_help(struct app *app, int argc, char **argv)
{
    const struct cli_command *c = argc > 1 ? cli_command_of(argv[1]) : &cli_program.self;

    (void)app;
    if (!c)
        return cli_unknown_command(argv[1]);
    cli_print_help(c);
    return 0;
}

const struct cli_command *cli_command_of(const char *name)
{
    static const struct cli_command help = {"help", "[COMMAND]", "show how it goes", NULL, NULL,
                                            NULL,   run_help};

    for (const struct cli_command *c = cli_program.commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return strcmp(name, help.name) == 0 ? &help : NULL;
}

static bool is_program(const struct cli_command *c)
{
    return c == &cli_program.self;
}

int cli_usage_error(const struct cli_command *c, const char *what)
{
    const char *name = cli_program.self.name;

    if (is_program(c))
        fprintf(stderr, "%s: %s%s %s --help\n", name, what, what[strlen(what) - 1] == '?' ? " See" : "; see",
                name);
    else
        fprintf(stderr, "%s %s: %s\nusage: %s %s%s%s\n       %s %s --help\n", name, c->name, what, name,
                c->name, *c->arguments ? " " : "", c->arguments, name, c->name);
    return CLI_USAGE;
}

static int unknown_option(const struct cli_command *c, const char *word)
{
    const char *equals = strchr(word, '=');
    struct nearest n = {
        .typed = pixi_cur_init((const uint8_t *)word, equals ? (size_t)(equals - word) : strlen(word))};
    char what[WHAT_LEN];

    n.typed.p += 2;
    for (const struct cli_option *o = c->options; o && o->name; o++)
        compare(&n, o->name);
    for (const struct cli_option *o = cli_program.self.options; o && o->name; o++)
        compare(&n, o->name);
    compare(&n, "help");
    if (is_near(&n))
        snprintf(what, sizeof what, "unknown option %s; did you mean --%s?", word, n.name);
    else
        snprintf(what, sizeof what, "unknown option %s", word);
    return cli_usage_error(c, what);
}

/* getopt found fault. optopt: 0 with an unknown word, else the option's value; word: the last one that was read. */
static int bad_option(const struct cli_command *c, int got, const char *word)
{
    char what[WHAT_LEN], letter[3] = {'-', (char)optopt, 0};

    if (got == '?' && optopt == 0)
        return unknown_option(c, word);
    if (got == ':')
        snprintf(what, sizeof what, "an argument is missing after %s", optopt < HELP ? letter : word);
    else if (optopt >= HELP)
        snprintf(what, sizeof what, "%s takes no argument", word);
    else
        snprintf(what, sizeof what, "unknown option %s", letter);
    return cli_usage_error(c, what);
}

static void fill(const struct cli_command *c, struct option *rows, char *letters)
{
    size_t count = 0;

    if (is_program(c))
        *letters++ = '+'; /* what follows the command is the command's */
    *letters++ = ':';
    for (const struct cli_option *o = c->options; o && o->name && count < OPTIONS_MAX; o++, count++) {
        rows[count] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL,
                                      (int)count + HELP + 1};
        if (o->letter)
            *letters++ = o->letter;
        if (o->letter && o->argument)
            *letters++ = ':';
    }
    rows[count] = (struct option){"help", no_argument, NULL, HELP};
    *letters++ = 'h';
    *letters = 0;
}

static int by_letter(const struct cli_command *c, int letter)
{
    int i = 0;

    while (c->options[i].letter != letter)
        i++;
    return i;
}

int cli_next(const struct cli_command *c, int argc, char **argv, int *index, const char **value)
{
    struct option rows[OPTIONS_MAX + 2] = {{0}};
    char letters[2 * OPTIONS_MAX + 5];
    static const struct cli_command *reading;
    int got;

    if (reading != c)
        optind = 0; /* glibc: start anew, on the command's own arguments */
    reading = c;
    fill(c, rows, letters);
    opterr = 0;
    got = getopt_long(argc, argv, letters, rows, NULL);
    *index = optind;
    *value = optarg;
    if (got == -1) {
        reading = NULL; /* who reads them once more starts anew */
        return CLI_END;
    }
    if (got == 'h' || got == HELP) {
        cli_print_help(c);
        return CLI_HELP;
    }
    if (got == '?' || got == ':') {
        bad_option(c, got, argv[optind - 1]);
        return CLI_BAD;
    }
    return got > HELP ? got - HELP - 1 : by_letter(c, got);
}

static const struct cli_option *by_name(const struct cli_command *c, const char *name, size_t len)
{
    for (const struct cli_option *o = c->options; o && o->name; o++)
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

static const struct cli_option *lettered(const struct cli_command *c, char letter)
{
    for (const struct cli_option *o = c->options; o && o->name; o++)
        if (o->letter == letter)
            return o;
    return NULL;
}

/* How many words the option in this word takes, its argument among them; 0: not all in it are options of this command. */
static int words_of(const struct cli_command *c, const char *word)
{
    const struct cli_option *o;

    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");

        o = by_name(c, word + 2, len);
        return !o ? 0 : o->argument && !word[2 + len] ? 2 : 1;
    }
    for (word++; *word; word++) {
        o = lettered(c, *word);
        if (!o)
            return 0;
        if (o->argument)
            return word[1] ? 1 : 2;
    }
    return 1;
}

/* The words from argv[from] on come to argv[to], count of them; those between move up. */
static void move_down(char **argv, int from, int to, int count)
{
    for (; count > 0; count--, from++, to++) {
        char *word = argv[from];

        memmove(argv + to + 1, argv + to, (size_t)(from - to) * sizeof *argv);
        argv[to] = word;
    }
}

int cli_hoist(const struct cli_command *c, int argc, char **argv, int at)
{
    int begin = at, count;

    for (int i = at + 1; i < argc && strcmp(argv[i], "--") != 0; i += count) {
        int own, programs;

        count = 1;
        if (argv[i][0] != '-' || !argv[i][1])
            continue;
        own = words_of(c, argv[i]);
        programs = own ? 0 : words_of(&cli_program.self, argv[i]);
        if (i + programs > argc) {
            optopt = HELP;
            bad_option(c, ':', argv[i]);
            return CLI_BAD;
        }
        if (own)
            count = own;
        if (programs) {
            count = programs;
            move_down(argv, i, at, count);
            at += count;
        }
    }
    return at - begin;
}
