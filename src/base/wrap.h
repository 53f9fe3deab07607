/* wrap.h -- text in lines that fit. */
#ifndef PIXI_BASE_WRAP_H
#define PIXI_BASE_WRAP_H

#include <stddef.h>
#include <stdio.h>

/* pixi_wrap_columns -- how many columns len bytes of UTF-8 take, one for a character. */
int pixi_wrap_columns(const char *text, size_t len);

/* pixi_wrap -- text from column `at` on, broken at blanks before column `limit`; further lines begin at `indent`. A word
 * that is too long for a line gets one of its own. No line break follows. Returns the column where it ends. */
int pixi_wrap(FILE *out, int at, int indent, int limit, const char *text);

#endif
