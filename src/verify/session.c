#include "verify/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { CALL_MAX = 65536 };

bool pixi_session_open(struct pixi_verify *v, struct pixi_session *s)
{
    *s = (struct pixi_session){.inbox = pixi_buf_init(PIXI_SESSION_INBOX),
                               .answer = pixi_buf_init(PIXI_WIRE_MESSAGE)};
    return pixi_check_open(v, &s->peer);
}

static void release(struct pixi_session *s)
{
    pixi_buf_clear(&s->inbox);
    pixi_buf_clear(&s->answer);
}

void pixi_session_close(struct pixi_session *s)
{
    pixi_peer_close(&s->peer);
    release(s);
}

void pixi_session_abort(struct pixi_session *s)
{
    pixi_peer_abort(&s->peer);
    release(s);
}

uint64_t pixi_session_send(struct pixi_session *s, const char *method, const char *params, ...)
{
    struct pixi_buf b = pixi_buf_init(CALL_MAX);
    char text[8192];
    va_list args;
    int len;

    va_start(args, params);
    len = vsnprintf(text, sizeof text, params, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof text);
    (void)len;
    pixi_buf_putf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\",\"params\":%s}",
                  (unsigned long long)++s->last_id, method, text);
    pixi_peer_send_text(&s->peer, pixi_buf_cur(&b));
    pixi_buf_clear(&b);
    return s->last_id;
}

/* Keeps a notification for later. Over its ceiling it is lost, and missed by whoever waits for it. */
static void keep(struct pixi_session *s, struct pixi_cur text)
{
    size_t len = pixi_cur_left(&text);

    if (s->inbox_at == s->inbox.len) {
        pixi_buf_reset(&s->inbox);
        s->inbox_at = 0;
    }
    if (s->inbox.len + sizeof len + len > s->inbox.max)
        return;
    pixi_buf_put(&s->inbox, &len, sizeof len);
    pixi_buf_put(&s->inbox, text.p, len);
}

static bool take(struct pixi_session *s, struct pixi_cur *out)
{
    struct pixi_cur c = pixi_cur_init(s->inbox.bytes, s->inbox.len), head;
    size_t len;

    c.p += s->inbox_at;
    if (!pixi_cur_cut(&c, sizeof len, &head))
        return false;
    memcpy(&len, head.p, sizeof len);
    if (!pixi_cur_cut(&c, len, out))
        return false;
    s->inbox_at += sizeof len + len;
    return true;
}

static void blame_json(struct pixi_verify *v, struct pixi_cur text, int rc)
{
    char shown[PIXI_SHOWN];

    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, pixi_err_clause(rc), "the server sent no JSON (%s): %s",
                    pixi_err_text(rc), pixi_check_show(v, text, shown));
    pixi_check_fix(v, "let the server send one JSON-RPC object or batch in each text frame on pixi.v1");
}

/* One object: kept when it is a notification, given when it is an answer. */
static bool sort(struct pixi_session *s, struct pixi_cur object, struct pixi_cur *answer)
{
    enum pixi_json_type type;
    struct pixi_cur raw;

    if (pixi_member_get(object, "method", &type, &raw)) {
        keep(s, object);
        return false;
    }
    *answer = object;
    return true;
}

/* A batch holds notifications (batch_ms) as far as we are concerned; an answer in one is taken all the same. */
static bool sort_batch(struct pixi_session *s, struct pixi_cur text, struct pixi_cur *answer)
{
    struct pixi_json r;
    struct pixi_json_token t;
    bool found = false;

    pixi_json_init(&r, text.p, pixi_cur_left(&text), PIXI_JSON_DEPTH_MAX);
    if (pixi_json_next(&r, &t) != PIXI_OK || t.type != PIXI_JSON_ARRAY)
        return sort(s, text, answer);
    while (pixi_json_next(&r, &t) == PIXI_OK && t.type == PIXI_JSON_OBJECT) {
        struct pixi_cur object;

        if (pixi_json_skip(&r, &t, &object) == PIXI_OK && sort(s, object, answer))
            found = true;
    }
    return found;
}

/* Reads one text message. PIXI_OK: an answer, in answer. PIXI_MORE: notifications only. Else told. */
static int read_text(struct pixi_verify *v, struct pixi_session *s, uint64_t deadline, const char *awaited,
                     struct pixi_cur *answer)
{
    struct pixi_event e;
    int rc;

    if (!pixi_check_await(v, &s->peer, PIXI_VFRAME_TEXT, deadline, awaited, &e))
        return PIXI_E_RPC_ERROR;
    rc = pixi_json_check(e.bytes.p, pixi_cur_left(&e.bytes), PIXI_JSON_DEPTH_MAX, NULL);
    if (rc) {
        blame_json(v, e.bytes, rc);
        return rc;
    }
    return sort_batch(s, e.bytes, answer) ? PIXI_OK : PIXI_MORE;
}

/* Has the answer the shape of one, and whose is it?                  JSON-RPC 2.0 §5 */
static bool read_answer(struct pixi_verify *v, struct pixi_cur text, int64_t *id, struct pixi_answer *out)
{
    enum pixi_json_type type;
    struct pixi_cur error;
    char shown[PIXI_SHOWN], version[8] = "", message[PIXI_SHOWN] = "";
    bool has_result = pixi_member_get(text, "result", &type, &out->result);
    bool has_error = pixi_member_get(text, "error", &type, &error);
    bool has_id = pixi_member_int(text, "id", id);

    out->is_error = has_error;
    if (has_result != has_error && has_id && pixi_member_string(text, "jsonrpc", version, sizeof version) &&
        strcmp(version, "2.0") == 0 && (!has_error || pixi_member_int(error, "code", &out->code))) {
        if (has_error)
            (void)pixi_member_string(error, "message", message, sizeof message);
        pixi_check_show(v, pixi_cur_str(message), out->message);
        return true;
    }
    pixi_check_fail(v, PIXI_EXIT_PROTOCOL, "JSON-RPC 2.0 §5", "the server's answer is no JSON-RPC answer: %s",
                    pixi_check_show(v, text, shown));
    pixi_check_fix(
        v,
        "let every answer hold \"jsonrpc\": \"2.0\", the call's \"id\", and either \"result\" or \"error\"");
    return false;
}

/* The next answer, whoever asked. */
static bool next_answer(struct pixi_verify *v, struct pixi_session *s, uint64_t deadline, const char *method,
                        int64_t *id, struct pixi_answer *out)
{
    char awaited[64];
    struct pixi_cur text;
    int rc;

    snprintf(awaited, sizeof awaited, "the answer to \"%s\"", method);
    do {
        rc = read_text(v, s, deadline, awaited, &text);
    } while (rc == PIXI_MORE);
    if (rc)
        return false;
    pixi_buf_reset(&s->answer); /* the answer outlives the next message */
    pixi_buf_put_cur(&s->answer, text);
    return read_answer(v, pixi_buf_cur(&s->answer), id, out);
}

bool pixi_session_answer(struct pixi_verify *v, struct pixi_session *s, uint64_t id, const char *method,
                         struct pixi_answer *out)
{
    uint64_t deadline = pixi_wires_deadline(v->s.request_ms);
    int64_t whose;

    do {
        if (!next_answer(v, s, deadline, method, &whose, out))
            return false;
    } while (whose != (int64_t)id);
    return true;
}

static const struct {
    int64_t code;
    int exit_code;
    const char *fix;
} errors[] = {
    {-32700, PIXI_EXIT_PROTOCOL, "the server could not read correct JSON: correct its JSON reader"},
    {-32600, PIXI_EXIT_PROTOCOL,
     "the server refused a correct JSON-RPC call: correct its reading of JSON-RPC 2.0 §4"},
    {-32601, PIXI_EXIT_CHECK, "run a server that has this method: pixi.v1 requires it"},
    {-32602, PIXI_EXIT_CHECK, "let the server take this method's parameters as pixi.v1 says"},
    {-32603, PIXI_EXIT_CHECK, "see the server's log for the internal error"},
    {-32001, PIXI_EXIT_KEY, "give the key publish and subscribe on event/verify/# and request/verify/#"},
    {-32002, PIXI_EXIT_CHECK, "raise the server's message limit: this check sends less than 2 kB"},
    {-32003, PIXI_EXIT_CHECK, "raise the key's rate limit, or wait and verify again"},
    {-32004, PIXI_EXIT_NO_RESPONDER,
     "let the server hand a request to a subscriber of its topic, on any connection"},
    {-32005, PIXI_EXIT_TIMEOUT,
     "see why the request did not reach its responder, or the reply its requester"},
    {-32006, PIXI_EXIT_CHECK, "free space in the server's store, or raise its limit"},
    {-32007, PIXI_EXIT_CHECK, "let the server accept topics by MQTT's grammar (MQTT 5 §4.7)"},
};

void pixi_session_blame(struct pixi_verify *v, const struct pixi_answer *a, const char *method)
{
    int exit_code = PIXI_EXIT_CHECK;
    const char *fix = "see the server's log for this error";

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].code != a->code)
            continue;
        exit_code = errors[i].exit_code;
        fix = errors[i].fix;
    }
    if (exit_code == PIXI_EXIT_KEY)
        v->r->layer = "key";
    pixi_check_fail(v, exit_code, "", "\"%s\" was answered with error %lld%s%s", method, (long long)a->code,
                    a->message[0] ? ": " : "", a->message);
    pixi_check_fix(v, "%s", fix);
}

bool pixi_session_result(struct pixi_verify *v, struct pixi_session *s, uint64_t id, const char *method,
                         struct pixi_answer *out)
{
    if (!pixi_session_answer(v, s, id, method, out))
        return false;
    if (!out->is_error)
        return true;
    pixi_session_blame(v, out, method);
    return false;
}

bool pixi_session_results(struct pixi_verify *v, struct pixi_session *s, uint64_t first, size_t count,
                          const char *method)
{
    uint64_t deadline = pixi_wires_deadline(v->s.request_ms);
    size_t left = count;

    while (left) {
        struct pixi_answer a;
        int64_t id;

        if (!next_answer(v, s, deadline, method, &id, &a))
            return false;
        if (id < (int64_t)first || id >= (int64_t)(first + count))
            continue;
        if (a.is_error) {
            pixi_session_blame(v, &a, method);
            return false;
        }
        left--;
    }
    return true;
}

bool pixi_session_subscribe(struct pixi_verify *v, struct pixi_session *s, const char *filter,
                            const char *since, struct pixi_answer *out)
{
    uint64_t id = pixi_session_send(s, "subscribe", "{\"filter\":\"%s\"%s}", filter, since);

    return pixi_session_result(v, s, id, "subscribe", out);
}

bool pixi_session_publish(struct pixi_verify *v, struct pixi_session *s, const char *topic,
                          const char *payload)
{
    struct pixi_answer a;
    uint64_t id = pixi_session_send(s, "publish", "{\"topic\":\"%s\",\"payload\":%s}", topic, payload);

    return pixi_session_result(v, s, id, "publish", &a);
}

/* The next kept notification that is a `message`; others (synced, going_away) are dropped. */
bool pixi_session_has_note(struct pixi_session *s, struct pixi_note *out)
{
    struct pixi_cur text;
    enum pixi_json_type type;
    char method[32];

    while (take(s, &text)) {
        if (!pixi_member_string(text, "method", method, sizeof method) || strcmp(method, "message") != 0 ||
            !pixi_member_get(text, "params", &type, &out->params))
            continue;
        if (!pixi_member_string(out->params, "topic", out->topic, sizeof out->topic))
            out->topic[0] = 0;
        if (!pixi_member_string(out->params, "filter", out->filter, sizeof out->filter))
            out->filter[0] = 0;
        pixi_member_get(out->params, "payload", &type, &out->payload);
        pixi_member_get(out->params, "payload_base64", &type, &out->payload_base64);
        pixi_member_get(out->params, "epoch", &type, &out->epoch);
        pixi_member_get(out->params, "offset", &type, &out->offset);
        pixi_member_get(out->params, "request", &type, &out->request);
        return true;
    }
    return false;
}

bool pixi_session_note(struct pixi_verify *v, struct pixi_session *s, const char *awaited,
                       struct pixi_note *out)
{
    uint64_t deadline = pixi_wires_deadline(v->s.request_ms);

    while (!pixi_session_has_note(s, out)) {
        struct pixi_cur answer;
        int rc = read_text(v, s, deadline, awaited, &answer);

        if (rc != PIXI_OK && rc != PIXI_MORE)
            return false;
    }
    return true;
}
