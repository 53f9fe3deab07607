/* report.h -- how a verification is told: to people, line by line, or to programs, as one JSON object. */
#ifndef PIXI_VERIFY_REPORT_H
#define PIXI_VERIFY_REPORT_H

#include "base/json.h"
#include "verify/verify.h"

#include <stdio.h>

enum pixi_verify_color { PIXI_VERIFY_PLAIN, PIXI_VERIFY_COLOR };

/* Lines of at most 80 columns where words allow it, as results come; the last one is the verdict. */
struct pixi_verify_text {
    struct pixi_verify_report report; /* give &text.report to pixi_verify_run */
    FILE *out;                        /* borrowed */
    enum pixi_verify_color color;
    char reason[PIXI_VERIFY_TEXT]; /* of skipped checks that are not told yet: neighbours share a line */
    char skipped[PIXI_VERIFY_TEXT];
    unsigned count; /* of them */
};

void pixi_verify_text_init(struct pixi_verify_text *t, FILE *out, enum pixi_verify_color color);

/* One object and a line break, written at the end:
 * {"url", "verdict": "verified" | "not verified", "exit", "passed", "failed", "skipped", "warnings", "stopped", "ms",
 *  "checks": [{"id", "layer", "title", "verdict": "ok" | "failed" | "skipped", "ms", "measured"?,
 *              "cause"?, "fix"?, "clause"?, "exit"?, "reason"?, "warning"?,
 *              "tls"?: {"version", "cipher", "chain": [{"subject", "issuer"}], "not_after", "days_left"}}]} */
struct pixi_verify_json {
    struct pixi_verify_report report;
    FILE *out;       /* borrowed */
    const char *url; /* borrowed */
    struct pixi_buf checks;
    struct pixi_json_out w;
};

void pixi_verify_json_init(struct pixi_verify_json *j, FILE *out, const char *url);

/* pixi_verify_json_clear -- release; to be called whether or not the run got to its end. */
void pixi_verify_json_clear(struct pixi_verify_json *j);

/* pixi_verify_verdict_name -- "ok", "FAILED", "skipped". Static. */
const char *pixi_verify_verdict_name(enum pixi_verify_verdict v);

#endif
