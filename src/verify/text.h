/* text.h -- bytes of strangers as text: what is UTF-8, and what may be shown. */
#ifndef PIXI_VERIFY_TEXT_H
#define PIXI_VERIFY_TEXT_H

#include "base/cur.h"

/* pixi_vtext_is_utf8 -- whole, valid UTF-8: shortest forms, no surrogates, at most U+10FFFF. RFC 3629 §4 */
bool pixi_vtext_is_utf8(struct pixi_cur text);

/* pixi_vtext_show -- bytes as one line of printable ASCII, the rest as \xNN; cut with "…" where it does not fit.
 * Where secret (may be NULL or empty) occurs in bytes, or starts at their end, "***" stands instead. out: len bytes, NUL included. */
void pixi_vtext_show(struct pixi_cur bytes, const char *secret, char *out, size_t len);

#endif
