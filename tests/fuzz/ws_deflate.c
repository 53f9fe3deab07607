/* ws_deflate.c -- compressed messages: however one is cut, and into whatever pieces it is inflated, the same bytes; and what is
 * deflated inflates again. Input: limit, room for a piece, cut, message. */
#include "fuzz/fuzz.h"

#include "proto/ws/deflate.h"

struct how {
    uint64_t message_max;
    size_t room;
};

static void *get(void *ctx, unsigned count, unsigned size)
{
    (void)ctx;
    return calloc(count, size);
}

static void give_back(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static const struct pixi_ws_memory memory = {get, give_back, NULL};
static struct pixi_ws_inflater inflater;
static struct pixi_ws_deflater deflater;

static int inflate_piece(const struct how *how, struct pixi_cur in, enum pixi_ws_end end,
                         struct pixi_buf *out)
{
    uint8_t *room = malloc(how->room);
    size_t len;
    int rc;

    fuzz_must(room != NULL, "memory");
    do {
        rc = pixi_ws_inflate(&inflater, &in, end, room, how->room, &len);
        fuzz_must(len <= how->room, "it stays in its room");
        pixi_buf_put(out, room, len);
    } while (rc == PIXI_MORE && len == how->room);
    fuzz_must(rc != PIXI_MORE || (in.p == in.end && end == PIXI_WS_GOES_ON), "MORE has read all");
    free(room);
    return rc;
}

static void run(const void *ctx, struct fuzz_pieces *pieces, struct pixi_buf *out)
{
    const struct how *how = ctx;
    struct pixi_buf message = pixi_buf_init(1 << 24);
    int rc = PIXI_MORE;
    uint8_t *piece;
    size_t len;

    pixi_ws_inflater_begin(&inflater, how->message_max);
    while (rc == PIXI_MORE && (piece = fuzz_piece(pieces, &len)) != NULL)
        rc = inflate_piece(how, pixi_cur_init(piece, len), PIXI_WS_GOES_ON, &message);
    if (rc == PIXI_MORE)
        rc = inflate_piece(how, pixi_cur_init(NULL, 0), PIXI_WS_ENDS, &message);
    fuzz_must(message.len <= how->message_max, "no message is over the limit");
    fuzz_put_hex(out, pixi_buf_cur(&message));
    pixi_buf_putf(out, " %s", pixi_err_name(rc));
    pixi_buf_clear(&message);
}

static void round_trip(struct pixi_cur message, size_t room_len)
{
    size_t most = (size_t)pixi_ws_deflate_bound(pixi_cur_left(&message)), len;
    struct pixi_buf packed = pixi_buf_init(most), again = pixi_buf_init(pixi_cur_left(&message) + 1);
    struct how how = {pixi_cur_left(&message), room_len};
    struct pixi_cur in = message;
    uint8_t room[PIXI_WS_DEFLATE_ROOM + 256];
    int rc;

    pixi_ws_deflater_begin(&deflater);
    do {
        rc = pixi_ws_deflate(&deflater, &in, PIXI_WS_ENDS, room, PIXI_WS_DEFLATE_ROOM + room_len, &len);
        pixi_buf_put(&packed, room, len);
    } while (rc == PIXI_MORE);
    fuzz_must(rc == PIXI_OK && packed.err == PIXI_OK && packed.len, "what is deflated has its bound");
    pixi_ws_inflater_begin(&inflater, how.message_max);
    fuzz_must(inflate_piece(&how, pixi_buf_cur(&packed), PIXI_WS_ENDS, &again) == PIXI_OK,
              "it inflates again");
    fuzz_same("to the same message", message, pixi_buf_cur(&again));
    pixi_buf_clear(&packed);
    pixi_buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    struct how how;
    uint8_t choices[3];

    if (!inflater.z.state)
        fuzz_must(pixi_ws_inflater_init(&inflater, &memory) == PIXI_OK &&
                      pixi_ws_deflater_init(&deflater, 6, &memory) == PIXI_OK,
                  "memory");
    fuzz_choices(&in, choices, sizeof choices);
    how = (struct how){.message_max = (uint64_t)choices[0] * choices[0] * 4, .room = 1 + choices[1]};
    fuzz_chunks(run, &how, in, choices[2]);
    round_trip(in, 1 + choices[1]);
    return 0;
}
