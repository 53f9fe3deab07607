#include "verify/checks.h"

/* What a row needs. Each step of the way to a connection needs the one before. */
#define F(name)   PIXI_FACT_##name
#define NAMED     (F(URL) | F(ADDRESS))
#define SAFE      (NAMED | F(KEY_SAFE))
#define REACHED   (SAFE | F(TCP))
#define THROUGH   (REACHED | F(THROUGH))
#define STREAM    (THROUGH | F(STREAM))
#define OPEN      (STREAM | F(UPGRADED))
#define ADMITTED  (OPEN | F(ADMITTED))
#define PIXI      (ADMITTED | F(PIXI))
#define CALLS     (PIXI | F(CALLS))
#define PUBLISHES (CALLS | F(PUBLISHES))
#define RESUMES   (PUBLISHES | F(RECONNECTS))
#define QUICK     PIXI_VERIFY_QUICK
#define INVALID   PIXI_VERIFY_INVALID
#define BROKEN(id, title)                                                                                    \
    {                                                                                                        \
        id, "protocol", title, ADMITTED, INVALID, pixi_check_broken                                          \
    }

/* In the order in which they run. */
static const struct pixi_verify_row rows[] = {
    {"settings", "settings", "the settings are usable", 0, QUICK, pixi_check_settings},
    {"name", "name", "the host has an address", F(URL), QUICK, pixi_check_name},
    {"plaintext", "settings", "the API key does not travel in clear", NAMED, QUICK, pixi_check_plaintext},
    {"tcp", "tcp", "the port answers", SAFE, QUICK, pixi_check_tcp},
    {"proxy", "proxy", "the proxy lets us through", REACHED, QUICK, pixi_check_proxy},
    {"tls", "tls", "the connection is encrypted", THROUGH, QUICK, pixi_check_tls},
    {"tls-resume", "tls", "a TLS session is taken up again", STREAM | F(TLS), QUICK, pixi_check_tls_resume},
    {"upgrade", "upgrade", "the server speaks WebSocket", STREAM, QUICK, pixi_check_upgrade},
    {"key", "key", "the API key is accepted", OPEN | F(PIXI) | F(HAS_KEY), QUICK, pixi_check_key},
    {"key-missing", "key", "no key is refused", PIXI | F(HAS_KEY), QUICK, pixi_check_key_missing},
    {"key-wrong", "key", "a wrong key is refused", PIXI | F(HAS_KEY), QUICK, pixi_check_key_wrong},
    {"info", "request", "the server says what it is", PIXI, QUICK, pixi_check_info},
    {"request", "request", "a request is answered by its responder", CALLS, QUICK, pixi_check_request},
    {"request-nobody", "request", "a request that nobody answers fails at once", CALLS, QUICK,
     pixi_check_request_nobody},
    {"publish", "publish", "messages come in order, once each, byte for byte", CALLS, QUICK,
     pixi_check_publish},
    {"publish-binary", "publish", "payloads of any bytes come as they were sent", PUBLISHES, QUICK,
     pixi_check_publish_binary},
    {"unsubscribe", "publish", "nothing comes after unsubscribe", PUBLISHES, QUICK, pixi_check_unsubscribe},
    {"echo-text", "request", "a text message comes back", OPEN, QUICK, pixi_check_echo_text},
    {"echo-binary", "request", "a binary message comes back", OPEN | F(ECHOES), QUICK,
     pixi_check_echo_binary},
    {"ping", "ping", "a ping is answered by the same pong", ADMITTED, QUICK, pixi_check_ping},
    {"ping-call", "ping", "the ping method tells the time", CALLS, QUICK, pixi_check_ping_call},
    {"close", "close", "a close is answered, then the connection ends", ADMITTED, 0, pixi_check_close},
    {"fragments", "protocol", "a fragmented message is understood", ADMITTED | F(ANSWERS), 0,
     pixi_check_fragments},
    {"ping-between", "protocol", "a ping between fragments is answered",
     ADMITTED | F(ANSWERS) | F(PONGS) | F(JOINS), 0, pixi_check_ping_between},
    BROKEN("unmasked", "a frame without mask is refused"),
    BROKEN("opcode", "a reserved opcode is refused"),
    BROKEN("opcode-control", "a reserved control opcode is refused"),
    BROKEN("reserved-bit", "a reserved bit is refused"),
    BROKEN("text-utf8", "text that is not UTF-8 is refused"),
    BROKEN("ping-fragmented", "a fragmented ping is refused"),
    BROKEN("ping-long", "a ping of 126 bytes is refused"),
    BROKEN("continuation", "a continuation without a start is refused"),
    BROKEN("start-inside", "a start inside a message is refused"),
    BROKEN("close-code", "a close with code 1005 is refused"),
    BROKEN("close-short", "a close of one byte is refused"),
    BROKEN("close-utf8", "a close whose reason is not UTF-8 is refused"),
    {"length", "protocol", "a length that is not in its shortest form is refused", CALLS, INVALID,
     pixi_check_broken},
    {"reconnect", "reconnect", "after a lost connection a new one works", ADMITTED | F(PONGS), 0,
     pixi_check_reconnect},
    {"resume", "reconnect", "what was missed while away comes, once", RESUMES, 0, pixi_check_resume},
    {"resume-cut", "reconnect", "the same after a connection that was cut", RESUMES, 0,
     pixi_check_resume_cut},
    {"resume-beyond", "reconnect", "a position that never was is not called recovered", RESUMES, 0,
     pixi_check_resume_beyond},
};

const struct pixi_verify_row *pixi_verify_table(size_t *count)
{
    *count = sizeof rows / sizeof *rows;
    return rows;
}
