#include "verify/check.h"

#include "verify/text.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>

void pixi_check_pass(struct pixi_verify *v, const char *measured, ...)
{
    va_list args;

    v->r->verdict = PIXI_VERIFY_PASSED;
    v->r->exit_code = 0;
    v->r->cause[0] = v->r->fix[0] = 0;
    va_start(args, measured);
    vsnprintf(v->r->measured, sizeof v->r->measured, measured, args);
    va_end(args);
}

void pixi_check_skip(struct pixi_verify *v, const char *reason, ...)
{
    va_list args;

    v->r->verdict = PIXI_VERIFY_SKIPPED;
    v->r->exit_code = 0;
    v->r->clause = "";
    v->r->cause[0] = v->r->fix[0] = v->r->measured[0] = 0;
    va_start(args, reason);
    vsnprintf(v->r->reason, sizeof v->r->reason, reason, args);
    va_end(args);
}

void pixi_check_fail(struct pixi_verify *v, int exit_code, const char *clause, const char *cause, ...)
{
    va_list args;

    v->r->verdict = PIXI_VERIFY_FAILED;
    v->r->exit_code = exit_code;
    v->r->clause = clause;
    va_start(args, cause);
    vsnprintf(v->r->cause, sizeof v->r->cause, cause, args);
    va_end(args);
}

void pixi_check_warn(struct pixi_verify *v, const char *warning, ...)
{
    va_list args;

    va_start(args, warning);
    vsnprintf(v->r->warning, sizeof v->r->warning, warning, args);
    va_end(args);
}

void pixi_check_fix(struct pixi_verify *v, const char *fix, ...)
{
    va_list args;

    va_start(args, fix);
    vsnprintf(v->r->fix, sizeof v->r->fix, fix, args);
    va_end(args);
}

const char *pixi_check_show(const struct pixi_verify *v, struct pixi_cur bytes, char out[PIXI_SHOWN])
{
    pixi_vtext_show(bytes, v->s.api_key, out, PIXI_SHOWN);
    return out;
}

const char *pixi_check_key_origin(const struct pixi_verify *v)
{
    return v->s.key_origin ? v->s.key_origin : "the settings";
}

const char *pixi_check_settings_name(const struct pixi_verify *v)
{
    return v->s.settings_file ? v->s.settings_file : "the settings";
}

void pixi_check_random(size_t len, char *out)
{
    uint8_t bytes[64] = {0};

    RAND_bytes(bytes, (int)(len < sizeof bytes ? len : sizeof bytes));
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i % sizeof bytes]);
}

void pixi_check_choose_topic(char topic[PIXI_CHECK_TOPIC])
{
    snprintf(topic, PIXI_CHECK_TOPIC, "event/verify/");
    pixi_check_random(8, topic + strlen(topic));
}

int pixi_check_try(struct pixi_verify *v, struct pixi_peer *p, const char *extensions)
{
    const struct pixi_peer_offer offer = {
        .authority = v->url.authority,
        .target = v->url.target,
        .subprotocol = v->subprotocol,
        .api_key = v->s.api_key,
        .extensions = extensions,
        .connect_ms = v->s.connect_ms,
        .upgrade_ms = v->s.upgrade_ms,
    };

    return pixi_peer_open(p, &v->wires, &offer);
}

bool pixi_check_open(struct pixi_verify *v, struct pixi_peer *p)
{
    int rc = pixi_check_try(v, p, NULL);

    if (rc == PIXI_OK)
        return true;
    pixi_blame_open(v, p, rc);
    pixi_peer_close(p);
    return false;
}

bool pixi_check_await(struct pixi_verify *v, struct pixi_peer *p, uint8_t opcode, uint64_t deadline,
                      const char *awaited, struct pixi_event *out)
{
    for (;;) {
        int rc = pixi_peer_next(p, deadline, out);

        if (rc) {
            pixi_blame_next(v, rc, awaited);
            return false;
        }
        if (out->opcode == opcode)
            return true;
        if (out->opcode == PIXI_VFRAME_CLOSE) {
            pixi_blame_close(v, out, awaited);
            return false;
        }
    }
}
