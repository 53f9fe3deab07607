#include "geom-image/trial.h"

#include "base/member.h"
#include "image/spool.h"
#include "net/loop.h"

#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAIL_LINES = 12, JSON_DEPTH = 64 };

/* --- what a check says ---------------------------------------------------------------------------------------- */

#define SAY(t, format, verdict)                                                                              \
    do {                                                                                                     \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        vsnprintf((t)->said, sizeof(t)->said, format, args);                                                 \
        va_end(args);                                                                                        \
        return verdict;                                                                                      \
    } while (0)

enum verdict trial_ok(struct trial *t, const char *format, ...)
{
    SAY(t, format, VERDICT_OK);
}

enum verdict trial_failed(struct trial *t, const char *format, ...)
{
    SAY(t, format, VERDICT_FAILED);
}

enum verdict trial_skipped(struct trial *t, const char *format, ...)
{
    SAY(t, format, VERDICT_SKIPPED);
}

enum verdict trial_waited(struct trial *t, enum wait_end end, const char *what)
{
    switch (end) {
    case WAIT_STOPPED: return trial_failed(t, "stopped while waiting for %s", what);
    case WAIT_ENDED: return trial_failed(t, "it ended with exit code %d before %s", t->subject.code, what);
    default: return trial_failed(t, "time is over, still waiting for %s", what);
    }
}

/* --- JSON ----------------------------------------------------------------------------------------------------- */

size_t trial_milli(struct pixi_cur object, const char *name)
{
    enum pixi_json_type type;
    struct pixi_cur raw;
    char text[32];
    double number;

    if (!pixi_member_get(object, name, &type, &raw) || type != PIXI_JSON_NUMBER)
        return SIZE_MAX;
    snprintf(text, sizeof text, "%.*s", (int)pixi_cur_left(&raw), (const char *)raw.p);
    number = strtod(text, NULL);
    return number >= 0 && number <= 1e9 ? (size_t)(number * 1000 + 0.5) : SIZE_MAX;
}

static void put_failed_check(struct trial *t, struct pixi_cur check)
{
    char verdict[16], id[64], text[512];

    if (!pixi_member_string(check, "verdict", verdict, sizeof verdict) || strcmp(verdict, "failed") != 0 ||
        !pixi_member_string(check, "id", id, sizeof id))
        return;
    if (pixi_member_string(check, "cause", text, sizeof text))
        pixi_buf_putf(&t->details, "%s: %s\n", id, text);
    if (pixi_member_string(check, "fix", text, sizeof text))
        pixi_buf_putf(&t->details, "%s: fix: %s\n", id, text);
}

enum verdict trial_take_verify(struct trial *t, struct pixi_cur report, int64_t exit_code, int64_t attempt)
{
    struct pixi_cur checks, check;
    enum pixi_json_type type;
    struct pixi_json r;
    struct pixi_json_token token;
    int64_t passed, failed, skipped;

    if (!pixi_member_int(report, "passed", &passed) || !pixi_member_int(report, "failed", &failed) ||
        !pixi_member_int(report, "skipped", &skipped) || !pixi_member_get(report, "checks", &type, &checks))
        return trial_failed(t, "pixi-ws-client verify ended with exit code %lld and without a report",
                            (long long)exit_code);
    pixi_json_init(&r, checks.p, pixi_cur_left(&checks), JSON_DEPTH);
    pixi_json_next(&r, &token);
    while (pixi_json_next(&r, &token) == PIXI_OK && token.type == PIXI_JSON_OBJECT &&
           pixi_json_skip(&r, &token, &check) == PIXI_OK)
        put_failed_check(t, check);
    if (exit_code || failed || !passed)
        return trial_failed(t, "exit code %lld, %lld ok, %lld failed", (long long)exit_code,
                            (long long)passed, (long long)failed);
    return trial_ok(t, "inside: %lld ok, %lld skipped%s", (long long)passed, (long long)skipped,
                    attempt > 1 ? ", after a time-out" : "");
}

void trial_settings_sha256(const struct trial *t, char out[PIXI_SHA256_HEX])
{
    uint8_t sum[PIXI_SHA256_LEN];

    SHA256(t->desc->settings.bytes, t->desc->settings.len, sum);
    pixi_image_hex(sum, out);
}

bool trial_runs_at_boot(const struct trial *t, const char *name)
{
    const struct pixi_conf_strings *at_boot = &t->desc->ws.run_at_boot;

    for (size_t i = 0; i < at_boot->count; i++)
        if (pixi_cur_equals(at_boot->at[i], pixi_cur_str(name)))
            return true;
    return false;
}

bool trial_restart(struct trial *t)
{
    const char *fault;

    world_stop_server(&t->world);
    fault = world_start_server(&t->world);
    if (fault)
        trial_failed(t, "%s", fault);
    return !fault;
}

/* --- running -------------------------------------------------------------------------------------------------- */

static void put_tail(const struct trial *t)
{
    struct pixi_cur text = pixi_buf_cur(&t->talker->out.text);
    const uint8_t *p = text.end;
    unsigned lines = 0;

    while (p && p != text.p && (p[-1] != '\n' || lines++ <= TAIL_LINES))
        p--;
    if (p == text.end)
        return;
    printf("        the end of %s:\n", world_path(&t->world, t->talker_log));
    for (const uint8_t *end; p < text.end; p = end + 1) {
        end = memchr(p, '\n', (size_t)(text.end - p));
        end = end ? end : text.end;
        fputs("        | ", stdout);
        for (; p < end; p++)
            if ((*p >= ' ' && *p != 0x7f) || *p == '\t')
                putchar(*p);
        putchar('\n');
    }
}

static void put_details(const struct trial *t)
{
    struct pixi_cur rest = pixi_buf_cur(&t->details);
    const uint8_t *end;

    while (pixi_cur_left(&rest) && (end = memchr(rest.p, '\n', pixi_cur_left(&rest)))) {
        printf("        %.*s\n", (int)(end - rest.p), (const char *)rest.p);
        rest.p = end + 1;
    }
}

static void tell_json(struct trial *t, const char *part, const struct trial_check *c, enum verdict v,
                      uint64_t us)
{
    static const char *const names[] = {"ok", "failed", "skipped"}, *const said[] = {"measured", "cause",
                                                                                     "reason"};

    pixi_json_open_object(&t->out);
    pixi_json_name(&t->out, "part");
    pixi_json_text(&t->out, part);
    pixi_json_name(&t->out, "id");
    pixi_json_text(&t->out, c->id);
    pixi_json_name(&t->out, "verdict");
    pixi_json_text(&t->out, names[v]);
    pixi_json_name(&t->out, "ms");
    pixi_json_milli(&t->out, us);
    pixi_json_name(&t->out, said[v]);
    pixi_json_text(&t->out, t->said);
    if (v == VERDICT_FAILED && c->fix) {
        pixi_json_name(&t->out, "fix");
        pixi_json_text(&t->out, c->fix);
    }
    pixi_json_close_object(&t->out);
}

static void tell(struct trial *t, const char *part, const struct trial_check *c, enum verdict v, uint64_t us)
{
    static const char *const words[] = {"ok", "FAILED", "skipped"};

    t->count[v]++;
    if (t->is_json) {
        tell_json(t, part, c, v, us);
        return;
    }
    printf("%-8s%-15s %-52s%7.1f ms\n", words[v], c->id, t->said, (double)us / 1000);
    if (v == VERDICT_FAILED && !pump_signal()) {
        put_details(t);
        if (c->fix)
            printf("        fix: %s\n", c->fix);
        put_tail(t);
    }
    fflush(stdout);
}

void trial_run(struct trial *t, const char *part, const struct trial_check *checks, size_t count,
               const char *reason)
{
    const struct trial_check whole = {part, NULL, NULL};
    enum verdict v = VERDICT_OK;

    if (reason) {
        trial_skipped(t, "%s", reason);
        tell(t, part, &whole, VERDICT_SKIPPED, 0);
        return;
    }
    if (!t->is_json && count > 1)
        printf("as a %s\n", part);
    for (size_t i = 0; i < count && v != VERDICT_FAILED; i++) {
        uint64_t us = pixi_clock_mono_us();

        pixi_buf_reset(&t->details);
        v = checks[i].run(t);
        tell(t, part, &checks[i], v, pixi_clock_mono_us() - us);
    }
}
