/* cli.h -- a program's command line, written down once, as a table. What is read, --help, the man page and the completion
 * of bash and zsh all come from it, so that they cannot disagree. */
#ifndef PIXI_CLI_CLI_H
#define PIXI_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct app; /* the program's own */

struct cli_option {
    const char *name;     /* "retain": --retain */
    char letter;          /* 'r': -r; 0: none */
    const char *argument; /* "SECONDS"; NULL: a switch. FILE and DIR are completed as what they are */
    const char *help;
    const char *values; /* what the argument may be, by blanks; NULL: anything */
};

/* Texts of several lines end with a line break. A line that begins with two blanks stands as it is; others make up
 * paragraphs, divided by empty lines. */
struct cli_command {
    const char *name;                 /* of a program: its own */
    const char *arguments;            /* "TOPIC [PAYLOAD|-]"; a program's may have several lines */
    const char *summary;              /* one phrase */
    const struct cli_option *options; /* ends with a row without a name; NULL: none */
    const char *details;              /* more help, with examples; NULL: none */
    const char *words;                /* what the first argument may be, by blanks; NULL: anything */
    int (*run)(struct app *app, int argc,
               char **argv); /* argv[0] is the command; the answer is the exit code */
};

struct cli_row {
    const char *name, *text;
};

struct cli_program {
    struct cli_command self;            /* the options that stand before a command */
    const struct cli_command *commands; /* ends with a row without a name */
    /* Each ends with a row without a name. Of the man page only, but for the exit codes. */
    const struct cli_row *exits, *files, *environment, *see_also;
};

extern const struct cli_program cli_program; /* each program has its own */

enum { CLI_COLUMNS = 80, CLI_USAGE = 2 };

/* cli_next -- the index of the next option in the command's table, with *value its argument, or one of these. --help is
 * every command's. */
enum {
    CLI_END = -1,  /* no more: *index is where the other arguments begin (they are moved to the end) */
    CLI_BAD = -2,  /* unknown or incomplete, told on standard error: the exit code is CLI_USAGE */
    CLI_HELP = -3, /* --help was asked for, and printed */
};
int cli_next(const struct cli_command *c, int argc, char **argv, int *index, const char **value);

/* cli_hoist -- the program's own options may stand behind the command, too: move them before it, argv[at]. Where both have
 * an option of that name it is the command's; what follows `--` stays. How many words were moved, or CLI_BAD. */
int cli_hoist(const struct cli_command *c, int argc, char **argv, int at);

/* cli_command_of -- NULL: there is none of that name. Every program has `help [COMMAND]`, the same as --help behind it. */
const struct cli_command *cli_command_of(const char *name);
/* cli_unknown_command -- says so, and which was meant. CLI_USAGE. */
int cli_unknown_command(const char *name);
/* cli_usage_error -- says what is wrong, and how it goes. CLI_USAGE. */
int cli_usage_error(const struct cli_command *c, const char *what);

/* terminal.c */

/* cli_wants_color -- is out a terminal, and nothing says otherwise (NO_COLOR, TERM=dumb)? */
bool cli_wants_color(FILE *out);
/* cli_fold -- len bytes of text; where out is a terminal, lines are broken at blanks so that they fit into 80 columns, and
 * what is broken off is indented. Elsewhere a line stays a line. */
void cli_fold(FILE *out, const char *text, size_t len);

/* help.c */
void cli_print_help(const struct cli_command *c);

/* cli_print -- what `--print WHAT` asks for: "man", "bash" or "zsh", made from the table. The exit code. Used by the
 * build; no option that --help names. */
int cli_print(const char *what);
void cli_print_man(FILE *out);  /* man.c */
void cli_print_bash(FILE *out); /* completion.c */
void cli_print_zsh(FILE *out);

#endif
