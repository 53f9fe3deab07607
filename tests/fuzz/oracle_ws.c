/* oracle_ws.c -- two readings of RFC 6455, src/proto's and src/verify's, agree on the same bytes. Input: role and
 * whether compression was agreed on, stream. */
#include "fuzz/fuzz.h"

#include "base/utf8.h"
#include "proto/ws/close.h"
#include "proto/ws/frame.h"
#include "verify/frame.h"
#include "verify/text.h"

static void compare_payload(const struct pixi_ws_frame *f, const struct pixi_vframe *v)
{
    size_t len = (size_t)f->payload_len;
    uint8_t *ours = fuzz_copy(v->payload.p, len), *theirs = malloc(len + 1);
    struct pixi_cur payload = pixi_cur_init(ours, len), reason = {0}, text = {0};
    uint16_t code = 0, vcode = 0;
    int rc;

    fuzz_must(theirs != NULL, "memory");
    pixi_ws_mask(ours, len, f->mask, 0);
    pixi_vframe_unmask(v, theirs);
    fuzz_same("the same payload", payload, pixi_cur_init(theirs, len));
    fuzz_must(pixi_utf8_is_valid(ours, len) == pixi_vtext_is_utf8(payload), "the same UTF-8");
    if (f->opcode == PIXI_WS_CLOSE) {
        rc = pixi_ws_close_decode(payload, &code, &reason);
        fuzz_must(rc == pixi_vframe_check_close(payload, &vcode, &text), "the same verdict on a close");
        fuzz_must(rc != PIXI_OK || (code == vcode && pixi_cur_equals(reason, text)), "the same close");
    }
    free(ours);
    free(theirs);
}

/* One frame; false when there is no more. */
static bool compare(struct pixi_cur *in, enum pixi_role from, bool is_packed)
{
    struct pixi_cur p = *in, v = *in;
    struct pixi_ws_frame f;
    struct pixi_vframe vf;
    int rc = pixi_ws_frame_decode(&p, from, is_packed ? PIXI_WS_DEFLATED : PIXI_WS_PLAIN, &f);
    int vrc =
        pixi_vframe_read(&v, from, is_packed ? PIXI_VFRAME_DEFLATED : PIXI_VFRAME_PLAIN, INT64_MAX, &vf);

    if (rc == PIXI_OK && pixi_cur_left(&p) < f.payload_len)
        rc = PIXI_MORE;
    fuzz_must(rc == vrc, "the same verdict");
    if (rc != PIXI_OK)
        return false;
    fuzz_must(p.p == vf.payload.p && f.payload_len == pixi_cur_left(&vf.payload), "the same place");
    fuzz_must(f.opcode == vf.opcode && f.is_final == vf.is_final && f.is_compressed == vf.is_compressed &&
                  memcmp(f.mask, vf.mask, 4) == 0,
              "the same frame");
    compare_payload(&f, &vf);
    *in = v;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pixi_cur in = pixi_cur_init(bytes, len);
    uint8_t choices[2];

    fuzz_choices(&in, choices, sizeof choices);
    while (compare(&in, choices[0] & 1 ? PIXI_SERVER : PIXI_CLIENT, choices[0] & 2))
        ;
    return 0;
}
