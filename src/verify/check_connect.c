/* From the settings to a WebSocket connection. */
#include "verify/checks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PROBE_MS = 1000 }; /* how long an endpoint that selected pixi.v1 may take to turn out to be an echo */

/* What a Bearer field can carry: RFC 6750 §2.1. */
static bool is_key(const char *key)
{
    return strlen(key) <= 4096 &&
           key[strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                           "-._~+/=")] == 0;
}

void pixi_check_settings(struct pixi_verify *v)
{
    const struct pixi_vurl_fault *fault = pixi_vurl_parse(v->s.url, &v->url);

    if (fault) {
        pixi_check_fail(v, PIXI_EXIT_SETTINGS, "", "%s", fault->cause);
        pixi_check_fix(v, "%s", fault->fix);
        return;
    }
    if (v->s.api_key && !is_key(v->s.api_key)) {
        pixi_check_fail(
            v, PIXI_EXIT_SETTINGS, "RFC 6750 §2.1",
            "the API key from %s holds a character that no key has, or is longer than 4,096 bytes",
            pixi_check_key_origin(v));
        pixi_check_fix(v, "put the key alone into %s: letters, digits and -._~+/= only, no line break inside",
                       pixi_check_key_origin(v));
        return;
    }
    if (v->s.api_key && strstr(v->s.url, v->s.api_key)) {
        pixi_check_fail(v, PIXI_EXIT_SETTINGS, "", "the URL holds the API key");
        pixi_check_fix(v, "take the key out of \"url\": URLs end up in logs; it is sent in a header");
        return;
    }
    v->facts |= PIXI_FACT_URL | (v->s.api_key ? PIXI_FACT_HAS_KEY : PIXI_FACT_ADMITTED);
    if (v->s.api_key)
        pixi_check_pass(v, "%s port %u, key from %s", v->url.host, v->url.port, pixi_check_key_origin(v));
    else if (v->s.key_kept_for)
        pixi_check_pass(v, "%s port %u, no API key: the settings' is for %s", v->url.host, v->url.port,
                        v->s.key_kept_for);
    else
        pixi_check_pass(v, "%s port %u, no API key", v->url.host, v->url.port);
}

void pixi_check_name(struct pixi_verify *v)
{
    const struct pixi_addrs *a = &v->wires.addrs;
    const struct pixi_proxy *proxy = v->s.proxy;
    const char *host = proxy ? proxy->host : v->url.host;
    char text[PIXI_ADDR_TEXT];

    if (pixi_wires_resolve(&v->wires, host, proxy ? proxy->port : v->url.port, v->s.connect_ms) != PIXI_OK) {
        pixi_check_fail(v, PIXI_EXIT_NAME, "", "no address for %s%s", proxy ? "the proxy " : "",
                        v->wires.dns.text);
        pixi_check_fix(
            v, "correct the host in \"%s\", or make its name known: DNS, /etc/hosts, the container's network",
            proxy ? "proxy.url" : "url");
        return;
    }
    v->facts |= PIXI_FACT_ADDRESS;
    pixi_addr_text(&a->at[0], text);
    if (a->count == 1)
        pixi_check_pass(v, "%s%s", proxy ? "the proxy's: " : "", text);
    else
        pixi_check_pass(v, "%s%s and %u more", proxy ? "the proxy's: " : "", text, a->count - 1);
}

/* Does it all stay on this machine? Behind a proxy only names tell. */
static bool is_private(const struct pixi_verify *v)
{
    const struct pixi_addrs *a = &v->wires.addrs;

    for (unsigned i = 0; i < a->count; i++)
        if (!pixi_addr_is_loopback(&a->at[i]))
            return false;
    return !v->s.proxy || pixi_proxy_is_loopback(v->url.host);
}

void pixi_check_plaintext(struct pixi_verify *v)
{
    const char *why = !v->s.api_key          ? "no API key"
                      : is_private(v)        ? "this machine only"
                      : v->s.allow_plaintext ? "in clear, as allow_plaintext says"
                                             : NULL;

    if (v->url.is_tls) {
        v->facts |= PIXI_FACT_KEY_SAFE;
        pixi_check_skip(v, "wss:// encrypts");
        return;
    }
    if (!why) {
        pixi_check_fail(v, PIXI_EXIT_SETTINGS, "",
                        "the API key would travel in clear over ws:// to %s, another machine; "
                        "it was not sent",
                        v->url.host);
        pixi_check_fix(
            v,
            "write wss:// in \"url\", or, on a network that you trust, set \"allow_plaintext\": true in %s",
            pixi_check_settings_name(v));
        return;
    }
    v->facts |= PIXI_FACT_KEY_SAFE;
    pixi_check_pass(v, "%s", why);
}

static const char *fix_for(int sys_errno, bool has_proxy)
{
    switch (sys_errno) {
    case ECONNREFUSED:
        return has_proxy ? "start the proxy, or correct \"proxy.url\""
                         : "start the server (pixi-ws-server), or correct the port in \"url\"";
    case ENETUNREACH:
    case EHOSTUNREACH: return "see that this machine has a network and a route to the host";
    default:
        return "see that the host is up and no firewall drops the port; correct host and port in \"url\"";
    }
}

void pixi_check_tcp(struct pixi_verify *v)
{
    struct pixi_wire w;
    char text[PIXI_ADDR_TEXT];

    if (pixi_wire_dial(&w, &v->wires, v->s.connect_ms) != PIXI_OK) {
        pixi_check_fail(v, PIXI_EXIT_CONNECT, "", "%s", v->wires.dial.text);
        pixi_check_fix(v, "%s", fix_for(v->wires.dial.sys_errno, v->s.proxy));
        return;
    }
    pixi_wire_close(&w);
    v->facts |= PIXI_FACT_TCP;
    pixi_addr_text(&v->wires.addrs.at[0], text);
    pixi_check_pass(v, "%s", text);
}

/* From here on every connection goes through it. */
void pixi_check_proxy(struct pixi_verify *v)
{
    struct pixi_wire w;
    char text[PIXI_PROXY_TEXT];

    v->wires.proxy = v->s.proxy;
    v->wires.host = v->url.host;
    v->wires.port = v->url.port;
    if (v->s.proxy && pixi_wire_dial(&w, &v->wires, v->s.connect_ms) != PIXI_OK) {
        pixi_blame_proxy(v);
        return;
    }
    v->facts |= PIXI_FACT_THROUGH;
    if (!v->s.proxy) {
        pixi_check_skip(v, "no proxy");
        return;
    }
    pixi_wire_close(&w);
    pixi_proxy_text(v->s.proxy, text);
    pixi_check_pass(v, "%s", text);
}

/* Some servers select whatever is offered first. One that sends a call back as it was is an echo. */
static bool is_echo(struct pixi_peer *p)
{
    struct pixi_cur call = pixi_cur_str("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    struct pixi_event e;

    pixi_peer_send_text(p, call);
    return pixi_peer_next(p, pixi_wires_deadline(PROBE_MS), &e) == PIXI_OK && e.opcode == PIXI_VFRAME_TEXT &&
           pixi_cur_equals(e.bytes, call);
}

/* Refused for the subprotocol, perhaps: 400 is what a server without pixi.v1 may say; some just hang up. */
static bool is_worth_another(const struct pixi_peer *p, int rc)
{
    if (rc == PIXI_E_WS_NO_CLOSE || rc == PIXI_E_RESET)
        return p->wire.in.len == 0;
    return rc == PIXI_E_WS_STATUS &&
           (p->head.status == 400 || p->head.status == 406 || p->head.status == 501);
}

static int open_offering(struct pixi_verify *v, struct pixi_peer *p, const char *subprotocol)
{
    const struct pixi_peer_offer offer = {.authority = v->url.authority,
                                          .target = v->url.target,
                                          .subprotocol = subprotocol,
                                          .api_key = v->s.api_key,
                                          .connect_ms = v->s.connect_ms,
                                          .upgrade_ms = v->s.upgrade_ms};

    return pixi_peer_open(p, &v->wires, &offer);
}

static void pass_upgrade(struct pixi_verify *v, struct pixi_peer *p)
{
    const char *kind = "no subprotocol";
    struct pixi_cur selected;

    v->facts |= PIXI_FACT_UPGRADED;
    v->r->us = p->us;
    if (pixi_vhttp_get(&p->head, "Sec-WebSocket-Protocol", 0, &selected)) {
        v->subprotocol = kind = p->offer.subprotocol;
        if (strcmp(kind, "pixi.v1") == 0 && is_echo(p)) {
            kind = "an echo (says pixi.v1)";
            v->subprotocol = NULL;
        } else if (strcmp(kind, "pixi.v1") == 0) {
            v->facts |= PIXI_FACT_PIXI;
        }
    }
    if (!pixi_check_has(v, PIXI_FACT_PIXI))
        v->facts |= PIXI_FACT_ADMITTED; /* whatever key it wanted, it let us in */
    pixi_check_pass(v, "101, %s, HTTP/1.1", kind);
}

/* Selected without being asked for: a fault, but MQTT may work. */
static bool insists_on_mqtt(const struct pixi_peer *p, int rc)
{
    struct pixi_cur selected;

    return rc == PIXI_E_WS_PROTOCOL && pixi_vhttp_get(&p->head, "Sec-WebSocket-Protocol", 0, &selected) &&
           pixi_vhttp_is(selected, "mqtt");
}

void pixi_check_upgrade(struct pixi_verify *v)
{
    static const char *const offers[] = {"pixi.v1", NULL, "mqtt"};
    struct pixi_peer p;
    int rc = open_offering(v, &p, offers[0]);
    bool insists = insists_on_mqtt(&p, rc);

    for (size_t i = insists ? 2 : 1;
         i < sizeof offers / sizeof *offers && (insists || is_worth_another(&p, rc)); i++) {
        pixi_peer_close(&p);
        rc = open_offering(v, &p, offers[i]);
    }
    if (rc == PIXI_OK)
        pass_upgrade(v, &p);
    else
        pixi_blame_open(v, &p, rc);
    if (rc == PIXI_OK && insists)
        pixi_check_warn(v, "the server selects the subprotocol mqtt where it was not offered; let it refuse "
                           "(RFC 6455 §4.2.2)");
    pixi_peer_close(&p);
}
