/* mqtt_reader.c -- the reader of MQTT, both roles and versions: however a stream is cut, the same packets, and each of them
 * written and read again is the same. Input: role and version and beginning, cut, stream. */
#include "fuzz/fuzz.h"

#include "mqtt_text.h"
#include "proto/mqtt/reader.h"

enum { PACKET_MAX = 70000, TEXT_MAX = 1 << 24 };

struct how {
    enum pixi_role from;
    unsigned version;
    bool is_begun; /* CONNECT or CONNACK has come */
};

struct run {
    struct pixi_mqtt_reader reader;
    struct pixi_buf rest, *out;
    bool is_closed;
};

static void check_round_trip(const struct pixi_mqtt_reader *r, const struct pixi_mqtt_packet *p,
                             struct pixi_cur want)
{
    struct pixi_buf wire = pixi_buf_init(TEXT_MAX), got = pixi_buf_init(TEXT_MAX);
    struct pixi_mqtt_head head;
    struct pixi_mqtt_packet again;
    struct pixi_cur c;

    pixi_mqtt_packet_encode(&wire, r->version, p);
    c = pixi_buf_cur(&wire);
    fuzz_must(wire.err == PIXI_OK, "a packet that was read can be written");
    fuzz_must(pixi_mqtt_head_decode(&c, r->from, r->version, &head) == PIXI_OK,
              "its header can be read again");
    fuzz_must(head.len == pixi_cur_left(&c), "its header has its length");
    fuzz_must(pixi_mqtt_packet_decode(&head, c, r->from, r->version, &again) == PIXI_OK, "its body, too");
    mqtt_text_put(&got, &again);
    fuzz_same("decode(encode(x)) = x", want, pixi_buf_cur(&got));
    pixi_buf_clear(&wire);
    pixi_buf_clear(&got);
}

static int feed(struct run *r, const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    struct pixi_mqtt_packet p;
    int rc;

    while ((rc = pixi_mqtt_reader_next(&r->reader, &in, &r->rest, &p)) == PIXI_OK) {
        size_t start = r->out->len;

        fuzz_must(!r->is_closed, "DISCONNECT is the last packet");
        r->is_closed = p.type == PIXI_MQTT_DISCONNECT;
        mqtt_text_put(r->out, &p);
        check_round_trip(&r->reader, &p, pixi_cur_init(r->out->bytes + start, r->out->len - start));
        pixi_buf_put_str(r->out, " ");
    }
    fuzz_must(rc != PIXI_MORE || in.p == in.end, "MORE has read all");
    return rc;
}

static void begin(struct run *r, const struct how *how)
{
    static const uint8_t connect3[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, 'c'},
                         connect5[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'c'},
                         connack3[] = {0x20, 2, 0, 0}, connack5[] = {0x20, 3, 0, 0, 0};
    bool is_5 = how->version == PIXI_MQTT_V5;
    int rc;

    pixi_mqtt_reader_init(&r->reader, how->from, how->from == PIXI_CLIENT ? 0 : how->version, PACKET_MAX);
    if (!how->is_begun)
        return;
    if (how->from == PIXI_CLIENT)
        rc = feed(r, is_5 ? connect5 : connect3, is_5 ? sizeof connect5 : sizeof connect3);
    else
        rc = feed(r, is_5 ? connack5 : connack3, is_5 ? sizeof connack5 : sizeof connack3);
    fuzz_must(rc == PIXI_MORE, "it begins");
}

static void run(const void *how, struct fuzz_pieces *pieces, struct pixi_buf *out)
{
    struct run r = {.rest = pixi_buf_init(PACKET_MAX), .out = out};
    static const uint8_t more[] = {0xd0, 0};
    const uint8_t *piece;
    int rc = PIXI_MORE;
    size_t len;

    begin(&r, how);
    while (rc >= 0 && (piece = fuzz_piece(pieces, &len)) != NULL)
        rc = feed(&r, piece, len);
    pixi_buf_putf(out, "%s at %ju, version %u, idle %d", pixi_err_name(rc), (uintmax_t)r.reader.fault.offset,
                  r.reader.version, rc >= 0 && pixi_mqtt_reader_is_idle(&r.reader));
    if (rc < 0)
        fuzz_must(feed(&r, more, sizeof more) == rc, "an error is final");
    pixi_buf_clear(&r.rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    uint8_t choices[2];
    struct how how;

    fuzz_choices(&in, choices, sizeof choices);
    how = (struct how){choices[0] & 1 ? PIXI_SERVER : PIXI_CLIENT,
                       choices[0] & 2 ? PIXI_MQTT_V5 : PIXI_MQTT_V3, choices[0] & 4};
    fuzz_chunks(run, &how, in, choices[1]);
    return 0;
}
