/* Calls of pixi.v1, and requests from one connection to another. */
#include "verify/checks.h"
#include "verify/session.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUESTS = 3 };

void pixi_check_info(struct pixi_verify *v)
{
    struct pixi_session s;
    struct pixi_answer a;
    char name[64], version[64], shown_name[PIXI_SHOWN], shown_version[PIXI_SHOWN];

    if (!pixi_session_open(v, &s))
        return;
    if (pixi_session_result(v, &s, pixi_session_send(&s, "info", "{}"), "info", &a)) {
        if (pixi_member_string(a.result, "name", name, sizeof name) &&
            pixi_member_string(a.result, "version", version, sizeof version)) {
            v->facts |= PIXI_FACT_CALLS | PIXI_FACT_ANSWERS;
            pixi_check_pass(v, "%s %s", pixi_check_show(v, pixi_cur_str(name), shown_name),
                            pixi_check_show(v, pixi_cur_str(version), shown_version));
        } else {
            pixi_check_fail(v, PIXI_EXIT_CHECK, "",
                            "the result of \"info\" has no \"name\" or no \"version\": %s",
                            pixi_check_show(v, a.result, shown_name));
            pixi_check_fix(v, "let the server's info hold name, version, dialects, limits and features");
        }
    }
    pixi_session_close(&s);
}

void pixi_check_ping_call(struct pixi_verify *v)
{
    struct pixi_session s;
    struct pixi_answer a;
    char shown[PIXI_SHOWN];
    int64_t time_ms;

    if (!pixi_session_open(v, &s))
        return;
    if (pixi_session_result(v, &s, pixi_session_send(&s, "ping", "{}"), "ping", &a)) {
        if (pixi_member_int(a.result, "time_ms", &time_ms)) {
            int64_t ahead = time_ms - (int64_t)pixi_clock_wall_ms();

            pixi_check_pass(v, "answered, its clock is %lld ms %s", (long long)llabs(ahead),
                            ahead < 0 ? "behind" : "ahead");
        } else {
            pixi_check_fail(v, PIXI_EXIT_CHECK, "",
                            "the result of \"ping\" has no whole number \"time_ms\": %s",
                            pixi_check_show(v, a.result, shown));
            pixi_check_fix(v, "let the server answer ping with {\"time_ms\": milliseconds since 1970}");
        }
    }
    pixi_session_close(&s);
}

/* The request at b. Where it does not come, an error at a says more than that. */
static bool await_request(struct pixi_verify *v, struct pixi_session *a, struct pixi_session *b,
                          uint64_t asked, struct pixi_note *note)
{
    struct pixi_answer answer;

    if (pixi_session_note(v, b, "the request at its responder", note))
        return true;
    if (a->peer.wire.in.len)
        (void)pixi_session_result(v, a, asked, "request", &answer);
    return false;
}

/* One request and its reply: asks on a, answers on b. */
static bool ask(struct pixi_verify *v, struct pixi_session *a, struct pixi_session *b, const char *topic,
                int n)
{
    struct pixi_note note;
    struct pixi_answer answer;
    struct pixi_cur got;
    enum pixi_json_type type;
    char want[64], shown[PIXI_SHOWN];
    uint64_t asked = pixi_session_send(a, "request",
                                       "{\"topic\":\"%s\",\"payload\":{\"question\":%d},\"timeout_ms\":%u}",
                                       topic, n, v->s.request_ms),
             replied;

    if (!await_request(v, a, b, asked, &note))
        return false;
    if (strcmp(note.topic, topic) != 0 || note.request.p == note.request.end) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "", "the responder got a message that is not the request: %s",
                        pixi_check_show(v, note.params, shown));
        pixi_check_fix(v, "let the server hand requests on with their topic, and a \"request\" to reply to");
        return false;
    }
    snprintf(want, sizeof want, "{\"answer\": %d.50, \"\\u00e9\": \"✓\"}", n);
    replied = pixi_session_send(b, "reply", "{\"request\":%.*s,\"payload\":%s}",
                                (int)pixi_cur_left(&note.request), (const char *)note.request.p, want);
    if (!pixi_session_result(v, a, asked, "request", &answer))
        return false;
    if (!pixi_member_get(answer.result, "payload", &type, &got) ||
        !pixi_cur_equals(got, pixi_cur_str(want))) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "", "the reply's payload was changed on its way: %s",
                        pixi_check_show(v, answer.result, shown));
        pixi_check_fix(v, "let the server pass a reply's payload on as its exact source bytes");
        return false;
    }
    return pixi_session_result(v, b, replied, "reply", &answer);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void ask_all(struct pixi_verify *v, struct pixi_session *a, struct pixi_session *b)
{
    char topic[64] = "request/verify/";
    uint64_t us[REQUESTS];
    struct pixi_answer answer;
    int count = v->s.quick ? 1 : REQUESTS;

    pixi_check_random(8, topic + strlen(topic));
    if (!pixi_session_subscribe(v, b, topic, "", &answer))
        return;
    for (int i = 0; i < count; i++) {
        uint64_t start = pixi_clock_mono_us();

        if (!ask(v, a, b, topic, i))
            return;
        us[i] = pixi_clock_mono_us() - start;
    }
    qsort(us, (size_t)count, sizeof *us, compare);
    if (count == 1)
        pixi_check_pass(v, "a reply, %.2f ms", (double)us[0] / 1000);
    else
        pixi_check_pass(v, "%d replies, median %.2f ms", count, (double)us[count / 2] / 1000);
}

void pixi_check_request(struct pixi_verify *v)
{
    struct pixi_session a, b;

    if (!pixi_session_open(v, &a))
        return;
    if (pixi_session_open(v, &b)) {
        ask_all(v, &a, &b);
        pixi_session_close(&b);
    }
    pixi_session_close(&a);
}

static void judge_nobody(struct pixi_verify *v, const struct pixi_answer *a)
{
    if (!a->is_error) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "",
                        "a request on a topic that nobody subscribes to got a result");
        pixi_check_fix(v, "let the server answer such a request with error -32004");
    } else if (a->code == -32001) {
        pixi_session_blame(v, a, "request");
    } else if (a->code != -32004) {
        pixi_check_fail(v, PIXI_EXIT_CHECK, "", "a request that nobody answers got error %lld, not -32004",
                        (long long)a->code);
        pixi_check_fix(v, "let the server answer such a request with error -32004 at once");
    } else {
        pixi_check_pass(v, "error -32004");
    }
}

void pixi_check_request_nobody(struct pixi_verify *v)
{
    struct pixi_session s;
    struct pixi_answer a;
    char topic[64] = "request/verify/";
    uint64_t id;

    if (!pixi_session_open(v, &s))
        return;
    pixi_check_random(8, topic + strlen(topic));
    id = pixi_session_send(&s, "request", "{\"topic\":\"%s\",\"payload\":null,\"timeout_ms\":%u}", topic,
                           v->s.request_ms * 2);
    if (pixi_session_answer(v, &s, id, "request", &a))
        judge_nobody(v, &a);
    pixi_session_close(&s);
}
