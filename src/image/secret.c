#include "image/secret.h"

#include <ctype.h>

static bool is_base64url(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '_';
}

static bool is_alnum_upper(uint8_t c)
{
    return isdigit(c) || isupper(c);
}

static bool is_word(uint8_t c)
{
    return isalnum(c) || c == '_';
}

/* Tokens that say what they are: a word, and then so many characters of a kind, no more. */
static const struct {
    const char *begin, *name;
    size_t count;
    bool (*is_of)(uint8_t c);
} tokens[] = {
    {"pk_", "a Pixi API key (pk_...)", 43, is_base64url}, /* 256 bits */
    {"AKIA", "an AWS access key (AKIA...)", 16, is_alnum_upper},
    {"ghp_", "a GitHub token (ghp_...)", 36, is_word},
    {"glpat-", "a GitLab token (glpat-...)", 20, is_base64url},
};

static bool is_token(struct pixi_cur file, const uint8_t *at, size_t i)
{
    size_t len = strlen(tokens[i].begin), count = 0;
    const uint8_t *p = at + len;

    if (at != file.p && is_word(at[-1]))
        return false;
    while (p != file.end && tokens[i].is_of(*p)) {
        count++;
        p++;
    }
    return count == tokens[i].count;
}

static const uint8_t *find(struct pixi_cur c, const char *text)
{
    return memmem(c.p, pixi_cur_left(&c), text, strlen(text));
}

/* Does a line of base64, or a head such as "Proc-Type: 4,ENCRYPTED", follow the line that ends at c? */
static bool has_key_lines(struct pixi_cur c)
{
    size_t count = 0;

    while (c.p != c.end && (*c.p == '\r' || *c.p == '\n'))
        c.p++;
    while (c.p != c.end && (isalnum(*c.p) || strchr("+/=", *c.p))) {
        count++;
        c.p++;
    }
    return count >= 32;
}

/* RFC 7468: "-----BEGIN ... PRIVATE KEY-----", and the key. An encrypted one is not everybody's. */
static bool has_private_key(struct pixi_cur c)
{
    static const char end[] = "PRIVATE KEY-----";
    const uint8_t *p, *q, *line_end;

    while ((p = find(c, "-----BEGIN ")) != NULL) {
        line_end = memchr(p, '\n', (size_t)(c.end - p));
        c.p = line_end ? line_end : c.end;
        q = find((struct pixi_cur){p, c.p}, end);
        if (q && !find((struct pixi_cur){p, c.p}, "ENCRYPTED") && has_key_lines(c))
            return true;
    }
    return false;
}

const char *pixi_secret_find(struct pixi_cur file)
{
    struct pixi_cur rest;
    const uint8_t *at;

    if (pixi_cur_left(&file) == 0 || pixi_cur_left(&file) > PIXI_SECRET_FILE_MAX)
        return NULL;
    if (has_private_key(file))
        return "a private key (PEM)";
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        rest = file;
        while ((at = find(rest, tokens[i].begin)) != NULL) {
            if (is_token(file, at, i))
                return tokens[i].name;
            rest.p = at + 1;
        }
    }
    return NULL;
}
