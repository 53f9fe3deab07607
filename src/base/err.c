#include "base/err.h"

static const struct {
    int err;
    const char *name, *text, *clause;
} table[] = {{PIXI_OK, "OK", "done", ""},
             {PIXI_MORE, "MORE", "not enough input", ""},
#define X(name, value, text, clause) {PIXI_E_##name, #name, text, clause},
             PIXI_ERRORS(X)
#undef X
};

enum { COUNT = sizeof table / sizeof table[0] };

static unsigned row(int err)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (table[i].err == err)
            return i;
    return COUNT;
}

const char *pixi_err_name(int err)
{
    unsigned i = row(err);

    return i < COUNT ? table[i].name : "UNKNOWN";
}

const char *pixi_err_text(int err)
{
    unsigned i = row(err);

    return i < COUNT ? table[i].text : "unknown error";
}

const char *pixi_err_clause(int err)
{
    unsigned i = row(err);

    return i < COUNT ? table[i].clause : "";
}
