#include "verify/check.h"

#include <stdio.h>

static const char *const why_skipped[] = {
#define X(name, why) why,
    PIXI_FACTS(X)
#undef X
};

static struct pixi_verify_settings with_defaults(const struct pixi_verify_settings *s)
{
    struct pixi_verify_settings out = *s;

    out.connect_ms = s->connect_ms ? s->connect_ms : 5000;
    out.tls_ms = s->tls_ms ? s->tls_ms : 5000;
    out.upgrade_ms = s->upgrade_ms ? s->upgrade_ms : 5000;
    out.request_ms = s->request_ms ? s->request_ms : 5000;
    out.close_ms = s->close_ms ? s->close_ms : 3000;
    if (out.api_key && !*out.api_key)
        out.api_key = NULL;
    return out;
}

/* Runs the row, or says why it cannot be run. */
static void run_row(struct pixi_verify *v, const struct pixi_verify_row *row, struct pixi_verify_result *r)
{
    unsigned missing = row->needs & ~v->facts;
    uint64_t start = pixi_clock_mono_us();

    *r = (struct pixi_verify_result){.id = row->id, .title = row->title, .layer = row->layer, .clause = ""};
    v->row = row;
    v->r = r;
    if (pixi_wires_are_stopped(&v->wires)) {
        pixi_check_skip(v, "stopped");
        return;
    }
    if (missing) {
        pixi_check_skip(v, "%s", why_skipped[__builtin_ctz(missing)]);
        return;
    }
    pixi_check_fail(v, PIXI_EXIT_INTERNAL, "", "the check came to no verdict");
    pixi_check_fix(v, "report this: it is a fault of the verifier");
    row->run(v);
    r->us = r->us ? r->us : pixi_clock_mono_us() - start;
    if (r->verdict == PIXI_VERIFY_FAILED && pixi_wires_are_stopped(&v->wires))
        pixi_check_skip(v, "stopped");
}

static void count(struct pixi_verify_summary *sum, const struct pixi_verify_result *r)
{
    switch (r->verdict) {
    case PIXI_VERIFY_PASSED:
        sum->passed++;
        sum->warnings += r->warning[0] != 0;
        break;
    case PIXI_VERIFY_SKIPPED: sum->skipped++; break;
    case PIXI_VERIFY_FAILED:
        if (sum->failed++ > 0)
            break;
        sum->exit_code = r->exit_code;
        sum->first_failed = r->id;
        sum->first_layer = r->layer;
    }
}

static void run_rows(struct pixi_verify *v, struct pixi_verify_report *report,
                     struct pixi_verify_summary *sum)
{
    size_t rows;
    const struct pixi_verify_row *row = pixi_verify_table(&rows);

    for (; rows--; row++) {
        struct pixi_verify_result r;

        if (v->s.quick && !(row->flags & PIXI_VERIFY_QUICK))
            continue;
        if (report && report->on_start)
            report->on_start(report, row);
        run_row(v, row, &r);
        count(sum, &r);
        if (report && report->on_result)
            report->on_result(report, &r);
    }
}

int pixi_verify_run(const struct pixi_verify_settings *s, struct pixi_verify_report *report,
                    struct pixi_verify_summary *out)
{
    struct pixi_verify v = {.s = with_defaults(s)};
    struct pixi_verify_summary sum = {0};
    uint64_t start = pixi_clock_mono_us();
    int rc = pixi_wires_init(&v.wires, s->stop);

    if (rc)
        return rc;
    v.wires.on_wait = s->on_wait;
    v.wires.ctx = s->ctx;
    run_rows(&v, report, &sum);
    sum.us = pixi_clock_mono_us() - start;
    sum.is_stopped = pixi_wires_are_stopped(&v.wires);
    if (sum.is_stopped && sum.failed == 0)
        sum.exit_code = PIXI_EXIT_CHECK;
    if (report && report->on_end)
        report->on_end(report, &sum);
    pixi_wires_clear(&v.wires);
    pixi_tls_context_free(v.tls);
    *out = sum;
    return PIXI_OK;
}
