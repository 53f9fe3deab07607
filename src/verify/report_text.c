#include "verify/report.h"

#include "base/wrap.h"

#include <string.h>

enum { COLUMNS = 80, INDENT = 8, ID = 16, TIME = 11 };
enum { LISTED_MAX = 9 }; /* of checks that are skipped for one reason; the others are only counted */

static const char *const names[] = {"ok", "FAILED", "skipped"};
static const char *const colors[] = {"\033[32m", "\033[1;31m", "\033[33m"};

const char *pixi_verify_verdict_name(enum pixi_verify_verdict v)
{
    return names[v];
}

static struct pixi_verify_text *of(struct pixi_verify_report *report)
{
    return (struct pixi_verify_text *)(void *)report; /* its first member */
}

static void put_verdict(const struct pixi_verify_text *t, enum pixi_verify_verdict v)
{
    bool is_colored = t->color == PIXI_VERIFY_COLOR;

    fprintf(t->out, "%s%-7s%s ", is_colored ? colors[v] : "", names[v], is_colored ? "\033[0m" : "");
}

static void put_wrapped(const struct pixi_verify_text *t, int at, int indent, const char *text)
{
    pixi_wrap(t->out, at, indent, COLUMNS, text);
    fputc('\n', t->out);
}

static void put_labelled(const struct pixi_verify_text *t, const char *label, const char *text)
{
    if (!*text)
        return;
    fprintf(t->out, "%*s%-7s", INDENT, "", label);
    put_wrapped(t, INDENT + 7, INDENT + 7, text);
}

/* "skipped tls, upgrade, key and 38 more: there is no TCP connection" */
static void put_skipped(struct pixi_verify_text *t)
{
    char line[2 * PIXI_VERIFY_TEXT + 32], more[24] = "";

    if (!t->count)
        return;
    if (t->count > LISTED_MAX)
        snprintf(more, sizeof more, " and %u more", t->count - LISTED_MAX);
    put_verdict(t, PIXI_VERIFY_SKIPPED);
    snprintf(line, sizeof line, "%s%s: %s", t->skipped, more, t->reason);
    put_wrapped(t, INDENT, INDENT, line);
    t->skipped[0] = 0;
    t->count = 0;
}

static void add_skipped(struct pixi_verify_text *t, const struct pixi_verify_result *r)
{
    size_t len;

    if (strcmp(t->reason, r->reason) != 0)
        put_skipped(t);
    snprintf(t->reason, sizeof t->reason, "%s", r->reason);
    if (++t->count > LISTED_MAX)
        return;
    len = strlen(t->skipped);
    snprintf(t->skipped + len, sizeof t->skipped - len, "%s%s", len ? ", " : "", r->id);
}

static void put_passed(const struct pixi_verify_text *t, const struct pixi_verify_result *r)
{
    int limit = COLUMNS - TIME, at;

    put_verdict(t, r->verdict);
    fprintf(t->out, "%-*s", ID, r->id);
    at = pixi_wrap(t->out, INDENT + ID, INDENT + ID, limit - 1, r->measured);
    fprintf(t->out, "%*s%8.1f ms\n", at < limit ? limit - at : 1, "", (double)r->us / 1000);
    put_labelled(t, "warn:", r->warning);
}

static void put_failed(const struct pixi_verify_text *t, const struct pixi_verify_result *r)
{
    put_verdict(t, r->verdict);
    fprintf(t->out, "%-*swanted: %s\n", ID, r->id, r->title);
    put_labelled(t, "layer:", r->layer);
    put_labelled(t, "cause:", r->cause);
    put_labelled(t, "fix:", r->fix);
    put_labelled(t, "see:", r->clause);
}

static void on_result(struct pixi_verify_report *report, const struct pixi_verify_result *r)
{
    struct pixi_verify_text *t = of(report);

    if (r->verdict == PIXI_VERIFY_SKIPPED) {
        add_skipped(t, r);
        return;
    }
    put_skipped(t);
    if (r->verdict == PIXI_VERIFY_PASSED)
        put_passed(t, r);
    else
        put_failed(t, r);
    fflush(t->out);
}

static void on_end(struct pixi_verify_report *report, const struct pixi_verify_summary *s)
{
    struct pixi_verify_text *t = of(report);
    bool is_good = s->exit_code == 0, is_colored = t->color == PIXI_VERIFY_COLOR;
    char warnings[32] = "";

    put_skipped(t);
    if (s->warnings)
        snprintf(warnings, sizeof warnings, ", %u warning%s", s->warnings, s->warnings == 1 ? "" : "s");
    fprintf(t->out, "%s%s%s: %u ok, %u failed, %u skipped%s in %.2f s%s\n",
            is_colored ? colors[is_good ? PIXI_VERIFY_PASSED : PIXI_VERIFY_FAILED] : "",
            is_good ? "verified" : "NOT verified", is_colored ? "\033[0m" : "", s->passed, s->failed,
            s->skipped, warnings, (double)s->us / 1e6, s->is_stopped ? ", stopped before its end" : "");
    fflush(t->out);
}

void pixi_verify_text_init(struct pixi_verify_text *t, FILE *out, enum pixi_verify_color color)
{
    *t = (struct pixi_verify_text){
        .report = {.on_result = on_result, .on_end = on_end}, .out = out, .color = color};
}
