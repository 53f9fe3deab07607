/* Completion for bash and zsh. */
#include "cli/cli.h"

#include <string.h>

/* "_pixi_ws_client" */
static void put_function(FILE *out)
{
    fputc('_', out);
    for (const char *p = cli_program.self.name; *p; p++)
        fputc(*p == '-' ? '_' : *p, out);
}

static bool is_path(const char *argument)
{
    return strcmp(argument, "FILE") == 0 || strcmp(argument, "DIR") == 0;
}

/* --- bash ---------------------------------------------------------------------------------------------------- */

/* "-s | --settings", the pattern of a case */
static void put_pattern(FILE *out, const struct cli_option *o)
{
    if (o->letter)
        fprintf(out, "-%c | ", o->letter);
    fprintf(out, "--%s", o->name);
}

/* One case for each option that takes an argument: what that may be. */
static void bash_arguments(FILE *out, const struct cli_command *c)
{
    for (const struct cli_option *o = c->options; o && o->name; o++) {
        if (!o->argument)
            continue;
        fputs("                ", out);
        put_pattern(out, o);
        fputs(") ", out);
        if (o->values)
            fprintf(out, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")); ", o->values);
        else if (is_path(o->argument))
            fprintf(out, "_pixi_ws_paths %s \"$cur\"; ", *o->argument == 'D' ? "-d" : "-f");
        fputs("return ;;\n", out);
    }
}

static void bash_options(FILE *out, const struct cli_command *c)
{
    for (const struct cli_option *o = c->options; o && o->name; o++)
        fprintf(out, "--%s ", o->name);
    fputs("--help", out);
}

static void bash_case(FILE *out, const struct cli_command *c, const char *pattern)
{
    bool has_dir = c->words && strstr(c->arguments, "DIR");

    fprintf(out, "        %s)\n            case $prev in\n", pattern);
    bash_arguments(out, c);
    fputs("            esac\n            options='", out);
    bash_options(out, c);
    fputs("' ", out);
    if (c == &cli_program.self) {
        fputs("words='", out);
        for (const struct cli_command *o = cli_program.commands; o->name; o++)
            fprintf(out, "%s%s", o == cli_program.commands ? "" : " ", o->name);
        fputs("'\n", out);
    } else {
        fprintf(out, "words='%s' first=$((at + 1))%s\n", c->words ? c->words : "", has_dir ? " rest=-d" : "");
    }
    fputs("            ;;\n", out);
}

static void bash_skip(FILE *out)
{
    const char *bar = "";

    fputs("            ", out);
    for (const struct cli_option *o = cli_program.self.options; o->name; o++)
        if (o->argument) {
            fputs(bar, out);
            put_pattern(out, o);
            bar = " | ";
        }
    fputs(") at=$((at + 1)) ;;\n", out);
}

void cli_print_bash(FILE *out)
{
    fprintf(out,
            "# Completion of %s for bash, made from the table that its --help is printed from.\n"
            "# shellcheck shell=bash disable=SC2207\n\n"
            "_pixi_ws_paths() {\n"
            "    compopt -o filenames 2>/dev/null\n"
            "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$2\")\n"
            "}\n\n",
            cli_program.self.name);
    put_function(out);
    fputs("() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local command='' options='' words='' first=0 rest='' at\n"
          "    COMPREPLY=()\n"
          "    # --option=value comes as three words\n"
          "    if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - "
          "2]}; fi\n"
          "    # the command is the first word that is neither an option nor an option's argument\n"
          "    for ((at = 1; at < COMP_CWORD; at++)); do\n"
          "        case ${COMP_WORDS[at]} in\n",
          out);
    bash_skip(out);
    fputs("            -* | =) ;;\n"
          "            *) command=${COMP_WORDS[at]} && break ;;\n"
          "        esac\n"
          "    done\n"
          "    case $command in\n",
          out);
    bash_case(out, &cli_program.self, "''");
    for (const struct cli_command *c = cli_program.commands; c->name; c++)
        bash_case(out, c, c->name);
    fputs("        *) return ;;\n"
          "    esac\n"
          "    if [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
          "    elif [[ -z $command || $COMP_CWORD == \"$first\" ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "    elif [[ -n $rest ]]; then\n"
          "        _pixi_ws_paths \"$rest\" \"$cur\"\n"
          "    fi\n"
          "}\n\n"
          "complete -F ",
          out);
    put_function(out);
    fprintf(out, " %s\n", cli_program.self.name);
}

/* --- zsh ----------------------------------------------------------------------------------------------------- */

/* Inside single quotes and a part of _arguments' specification, where ':', '[' and ']' mean something. */
static void put_spec(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
}

static void zsh_option(FILE *out, const struct cli_option *o)
{
    /* may it come several times? */
    const char *many = strstr(o->help, "repeated") || strstr(o->help, "several times") ? "*" : "";

    if (o->letter && !*many)
        fprintf(out, "'(-%c --%s)'{-%c,--%s}'", o->letter, o->name, o->letter, o->name);
    else if (o->letter)
        fprintf(out, "'*'{-%c,--%s}'", o->letter, o->name);
    else
        fprintf(out, "'%s--%s", many, o->name);
    fputs("[", out);
    put_spec(out, o->help);
    fputs("]", out);
    if (o->argument) {
        fputs(":", out);
        put_spec(out, o->argument);
        if (o->values)
            fprintf(out, ":(%s)", o->values);
        else if (is_path(o->argument))
            fprintf(out, ":_files%s", *o->argument == 'D' ? " -/" : "");
        else
            fputs(": ", out);
    }
    fputs("' \\\n            ", out);
}

static void zsh_options(FILE *out, const struct cli_command *c)
{
    for (const struct cli_option *o = c->options; o && o->name; o++)
        zsh_option(out, o);
    fputs("'(-h --help)'{-h,--help}'[show a summary]'", out);
}

static void zsh_command(FILE *out, const struct cli_command *c)
{
    fprintf(out, "            %s)\n                _arguments -s -S \\\n            ", c->name);
    zsh_options(out, c);
    if (c->words)
        fprintf(out, " \\\n            '1:what:(%s)'", c->words);
    else if (*c->arguments)
        fputs(" \\\n            '1: : '", out);
    if (c->words && strstr(c->arguments, "DIR"))
        fputs(" \\\n            '2:DIR:_files -/'", out);
    else if (*c->arguments)
        fputs(" \\\n            '*: : '", out);
    fputs("\n                ;;\n", out);
}

void cli_print_zsh(FILE *out)
{
    fprintf(out,
            "#compdef %s\n"
            "# Completion of %s for zsh, made from the table that its --help is printed from.\n\n",
            cli_program.self.name, cli_program.self.name);
    put_function(out);
    fputs("() {\n"
          "    local curcontext=$curcontext state\n"
          "    local -a line commands\n"
          "    typeset -A opt_args\n"
          "    commands=(\n",
          out);
    for (const struct cli_command *c = cli_program.commands; c->name; c++) {
        fprintf(out, "        '%s:", c->name);
        put_spec(out, c->summary);
        fputs("'\n", out);
    }
    fputs("    )\n    _arguments -s -S -C \\\n            ", out);
    zsh_options(out, &cli_program.self);
    fputs(" \\\n            '1:command:->command' \\\n"
          "            '*::argument:->argument' && return\n"
          "    case $state in\n"
          "    command) _describe -t commands command commands ;;\n"
          "    argument)\n"
          "        curcontext=${curcontext%:*:*}:",
          out);
    fprintf(out, "%s-$words[1]:\n        case $words[1] in\n", cli_program.self.name);
    for (const struct cli_command *c = cli_program.commands; c->name; c++)
        zsh_command(out, c);
    fputs("        esac\n        ;;\n    esac\n}\n\n", out);
    put_function(out);
    fputs(" \"$@\"\n", out);
}
