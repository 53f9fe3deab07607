#include "verify/report.h"

#include "verify/text.h"

enum { REPORT_MAX = 1 << 20 };

static struct pixi_verify_json *of(struct pixi_verify_report *report)
{
    return (struct pixi_verify_json *)(void *)report; /* its first member */
}

/* A member, where there is something to say. What is no UTF-8 (an operating system's message in another
 * encoding) is escaped rather than lost. */
static void put_text(struct pixi_json_out *w, const char *name, const char *text)
{
    char shown[4 * PIXI_VERIFY_TEXT];

    if (!text || !*text)
        return;
    pixi_json_name(w, name);
    if (pixi_vtext_is_utf8(pixi_cur_str(text))) {
        pixi_json_text(w, text);
        return;
    }
    pixi_vtext_show(pixi_cur_str(text), NULL, shown, sizeof shown);
    pixi_json_text(w, shown);
}

static void put_number(struct pixi_json_out *w, const char *name, uint64_t v)
{
    pixi_json_name(w, name);
    pixi_json_number(w, v);
}

static void put_ms(struct pixi_json_out *w, uint64_t us)
{
    pixi_json_name(w, "ms");
    pixi_json_milli(w, us);
}

static void put_tls(struct pixi_json_out *w, const struct pixi_tls_info *info)
{
    pixi_json_name(w, "tls");
    pixi_json_open_object(w);
    put_text(w, "version", info->version);
    put_text(w, "cipher", info->cipher);
    pixi_json_name(w, "chain");
    pixi_json_open_array(w);
    for (unsigned i = 0; i < info->chain_len && i < PIXI_TLS_CHAIN; i++) {
        pixi_json_open_object(w);
        put_text(w, "subject", info->chain[i].subject);
        put_text(w, "issuer", info->chain[i].issuer);
        pixi_json_close_object(w);
    }
    pixi_json_close_array(w);
    put_text(w, "not_after", info->not_after);
    put_number(w, "days_left", info->days_left > 0 ? (uint64_t)info->days_left : 0);
    pixi_json_close_object(w);
}

static void on_result(struct pixi_verify_report *report, const struct pixi_verify_result *r)
{
    static const char *const names[] = {"ok", "failed", "skipped"};
    struct pixi_json_out *w = &of(report)->w;

    pixi_json_open_object(w);
    put_text(w, "id", r->id);
    put_text(w, "layer", r->layer);
    put_text(w, "title", r->title);
    put_text(w, "verdict", names[r->verdict]);
    put_ms(w, r->us);
    put_text(w, "measured", r->measured);
    put_text(w, "cause", r->cause);
    put_text(w, "fix", r->fix);
    put_text(w, "clause", r->clause);
    if (r->verdict == PIXI_VERIFY_FAILED)
        put_number(w, "exit", (uint64_t)r->exit_code);
    put_text(w, "reason", r->reason);
    put_text(w, "warning", r->warning);
    if (r->tls)
        put_tls(w, r->tls);
    pixi_json_close_object(w);
}

static void on_end(struct pixi_verify_report *report, const struct pixi_verify_summary *s)
{
    struct pixi_verify_json *j = of(report);
    struct pixi_buf text = pixi_buf_init(REPORT_MAX + 4096);
    struct pixi_json_out w = pixi_json_out_init(&text);
    char url[PIXI_VERIFY_TEXT];

    pixi_verify_url_shown(j->url, url, sizeof url);
    pixi_json_close_array(&j->w);
    pixi_json_open_object(&w);
    put_text(&w, "url", url);
    put_text(&w, "verdict", s->exit_code ? "not verified" : "verified");
    put_number(&w, "exit", (uint64_t)s->exit_code);
    put_number(&w, "passed", s->passed);
    put_number(&w, "failed", s->failed);
    put_number(&w, "skipped", s->skipped);
    put_number(&w, "warnings", s->warnings);
    pixi_json_name(&w, "stopped");
    pixi_json_bool(&w, s->is_stopped);
    put_ms(&w, s->us);
    pixi_json_name(&w, "checks");
    pixi_json_raw(&w, pixi_buf_cur(&j->checks));
    pixi_json_close_object(&w);
    fprintf(j->out, "%.*s\n", (int)text.len, (const char *)text.bytes);
    fflush(j->out);
    pixi_buf_clear(&text);
}

void pixi_verify_json_init(struct pixi_verify_json *j, FILE *out, const char *url)
{
    *j = (struct pixi_verify_json){.report = {.on_result = on_result, .on_end = on_end},
                                   .out = out,
                                   .url = url,
                                   .checks = pixi_buf_init(REPORT_MAX)};
    j->w = pixi_json_out_init(&j->checks);
    pixi_json_open_array(&j->w);
}

void pixi_verify_json_clear(struct pixi_verify_json *j)
{
    pixi_buf_clear(&j->checks);
}
