/* TLS: the handshake, whom it shows, and whether a session is taken up again. */
#include "verify/checks.h"

#include <stdio.h>

enum {
    SETTLE_MS = 300,    /* how long a ticket, or TLS 1.3's verdict on our own certificate, may take */
    SHORT_OF_DAYS = 14, /* fewer than these: it is time to renew */
};

static void blame_settings(struct pixi_verify *v, int rc, const struct pixi_buf *problem)
{
    v->r->layer = "settings";
    pixi_check_fail(v, PIXI_EXIT_SETTINGS, "", "%.*s", (int)problem->len,
                    problem->len ? (const char *)problem->bytes : "");
    if (rc == PIXI_E_SYS)
        pixi_check_fix(v, "give --key-log a file that you may write, not a link");
    else
        pixi_check_fix(v, "correct \"tls\" in %s, or the file that it names", pixi_check_settings_name(v));
}

/* From here on every connection is secured. */
static bool set_up(struct pixi_verify *v)
{
    struct pixi_tls_options options = v->s.tls;
    struct pixi_buf problem = pixi_buf_init(PIXI_VERIFY_TEXT);
    int rc;

    options.role = PIXI_CLIENT;
    rc = pixi_tls_context_new(&options, &v->tls, &problem);
    if (rc == PIXI_OK) {
        v->wires.tls = (struct pixi_wires_tls){v->tls, v->s.tls_for, v->s.tls_ms};
        if (!v->s.tls_for.name)
            v->wires.tls.peer.name = v->url.host;
    } else {
        blame_settings(v, rc, &problem);
    }
    pixi_buf_clear(&problem);
    return rc == PIXI_OK;
}

/* false: the failure is told, the wire is closed. */
static bool dial(struct pixi_verify *v, struct pixi_wire *w)
{
    int rc = pixi_wire_dial(w, &v->wires, v->s.connect_ms);

    if (rc == PIXI_OK)
        return true;
    pixi_blame_open(v, NULL, rc == PIXI_E_TLS ? rc : PIXI_E_CONNECT);
    pixi_wire_close(w);
    return false;
}

/* Waits for what follows a handshake. false: the server has second thoughts, which are told. */
static bool settle(struct pixi_verify *v, struct pixi_wire *w)
{
    pixi_wire_wait_session(w, pixi_wires_deadline(SETTLE_MS));
    if (!w->is_ended || w->end_err != PIXI_E_TLS)
        return true;
    pixi_blame_tls(v);
    return false;
}

/* "AES_256_GCM" of "TLS_AES_256_GCM_SHA384": the rest says nothing that the version does not. */
static void put_cipher(char *out, size_t len, const char *name)
{
    bool is_13 = strncmp(name, "TLS_", 4) == 0;
    const char *from = is_13 ? name + 4 : name, *end = is_13 ? strstr(from, "_SHA") : NULL;

    snprintf(out, len, "%.*s", (int)(end ? end - from : (ptrdiff_t)strlen(from)), from);
}

/* "CN=pixi.example by CN=an issuer by CN=its issuer" */
static void put_chain(const struct pixi_verify *v, char out[PIXI_VERIFY_TEXT])
{
    const struct pixi_tls_info *info = &v->tls_info;
    size_t len = 0;

    out[0] = 0;
    for (unsigned i = 0; i < info->chain_len && i < PIXI_TLS_CHAIN && len < PIXI_VERIFY_TEXT; i++) {
        char subject[PIXI_SHOWN], issuer[PIXI_SHOWN];

        pixi_check_show(v, pixi_cur_str(info->chain[i].subject), subject);
        pixi_check_show(v, pixi_cur_str(info->chain[i].issuer), issuer);
        if (i == 0)
            len += (size_t)snprintf(out, PIXI_VERIFY_TEXT, "%s", subject);
        if (len < PIXI_VERIFY_TEXT && strcmp(subject, issuer) != 0)
            len += (size_t)snprintf(out + len, PIXI_VERIFY_TEXT - len, " by %s", issuer);
    }
}

static void pass(struct pixi_verify *v, const struct pixi_wire *w)
{
    const struct pixi_tls_info *info = &v->tls_info;
    char cipher[64], chain[PIXI_VERIFY_TEXT];
    long long days;

    pixi_tls_info(w->tcp.tls, &v->tls_info);
    v->r->tls = info;
    days = (long long)info->days_left;
    put_cipher(cipher, sizeof cipher, info->cipher);
    put_chain(v, chain);
    pixi_check_pass(v, "%s, %s, %.400s, %lld day%s left", info->version, cipher, chain, days,
                    days == 1 ? "" : "s");
    if (days < SHORT_OF_DAYS)
        pixi_check_warn(v, "the certificate expires on %s, in %lld day%s: renew it on the server",
                        info->not_after, days, days == 1 ? "" : "s");
}

void pixi_check_tls(struct pixi_verify *v)
{
    struct pixi_wire w;

    if (!v->url.is_tls) {
        v->facts |= PIXI_FACT_STREAM;
        pixi_check_skip(v, "ws:// has no TLS");
        return;
    }
    if (!set_up(v) || !dial(v, &w))
        return;
    if (settle(v, &w)) {
        v->facts |= PIXI_FACT_STREAM | PIXI_FACT_TLS;
        pass(v, &w);
    }
    pixi_wire_close(&w);
}

void pixi_check_tls_resume(struct pixi_verify *v)
{
    struct pixi_tls_info info = {.is_resumed = false};
    struct pixi_wire w;

    if (pixi_tls_can_resume(v->tls)) {
        if (!dial(v, &w))
            return;
        pixi_tls_info(w.tcp.tls, &info);
        pixi_wire_close(&w);
    }
    if (info.is_resumed)
        pixi_check_pass(v, "resumed");
    else
        pixi_check_skip(v, "the server resumes no sessions");
}
