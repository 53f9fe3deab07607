#include "proto/http/head.h"

static bool is_token_char(uint8_t ch)
{
    static const uint8_t others[] = "!#$%&'*+-.^_`|~";

    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           (ch && memchr(others, ch, sizeof others - 1));
}

bool pixi_http_is_token(struct pixi_cur c)
{
    if (c.p == c.end)
        return false;
    while (c.p != c.end)
        if (!is_token_char(*c.p++))
            return false;
    return true;
}

static uint8_t lower(uint8_t ch)
{
    return ch >= 'A' && ch <= 'Z' ? (uint8_t)(ch | 0x20) : ch;
}

bool pixi_http_equals(struct pixi_cur c, const char *text)
{
    while (c.p != c.end && *text)
        if (lower(*c.p++) != lower((uint8_t)*text++))
            return false;
    return c.p == c.end && !*text;
}

static bool is_control(uint8_t ch)
{
    return (ch < 0x20 && ch != '\t') || ch == 0x7f;
}

/* Cuts one line, without its CRLF. head: how many bytes the whole head may still take. The line is looked over to its
 * end before anything in it is understood, so that a prefix of it never gets another answer. */
static int cut_line(struct pixi_cur *in, size_t left, struct pixi_cur *line)
{
    const uint8_t *p = in->p;

    for (; p != in->end; p++) {
        if ((size_t)(p - in->p) >= left)
            return PIXI_E_HTTP_SIZE;
        if (*p == '\r')
            break;
        if (is_control(*p))
            return PIXI_E_HTTP_LINE;
    }
    if (p == in->end)
        return PIXI_MORE;
    if ((size_t)(p + 1 - in->p) >= left)
        return PIXI_E_HTTP_SIZE;
    if (p + 1 == in->end)
        return PIXI_MORE;
    if (p[1] != '\n')
        return PIXI_E_HTTP_LINE;
    *line = (struct pixi_cur){in->p, p};
    in->p = p + 2;
    return PIXI_OK;
}

static struct pixi_cur trim(struct pixi_cur c)
{
    while (c.p != c.end && (*c.p == ' ' || *c.p == '\t'))
        c.p++;
    while (c.p != c.end && (c.end[-1] == ' ' || c.end[-1] == '\t'))
        c.end--;
    return c;
}

/* Cuts what stands before the next ch, and steps over ch. */
static bool cut_until(struct pixi_cur *c, uint8_t ch, struct pixi_cur *before)
{
    const uint8_t *at = c->p == c->end ? NULL : memchr(c->p, ch, pixi_cur_left(c));

    if (!at)
        return false;
    *before = (struct pixi_cur){c->p, at};
    c->p = at + 1;
    return true;
}

static int check_version(struct pixi_cur v)
{
    if (pixi_cur_left(&v) != 8 || memcmp(v.p, "HTTP/", 5) != 0 || v.p[6] != '.')
        return PIXI_E_HTTP_START;
    if (v.p[5] < '0' || v.p[5] > '9' || v.p[7] < '0' || v.p[7] > '9')
        return PIXI_E_HTTP_START;
    return v.p[5] == '1' && v.p[7] == '1' ? PIXI_OK : PIXI_E_HTTP_VERSION;
}

static bool starts_with(struct pixi_cur c, const char *text)
{
    size_t len = strlen(text);

    return pixi_cur_left(&c) >= len && memcmp(c.p, text, len) == 0;
}

static bool is_target(struct pixi_cur t)
{
    if (!starts_with(t, "/") && !starts_with(t, "http://") && !starts_with(t, "https://"))
        return false;
    for (; t.p != t.end; t.p++)
        if (*t.p <= ' ' || *t.p >= 0x7f || *t.p == '#')
            return false;
    return true;
}

static int read_request_line(struct pixi_cur line, struct pixi_http_head *out)
{
    if (!cut_until(&line, ' ', &out->method) || !pixi_http_is_token(out->method))
        return PIXI_E_HTTP_START;
    if (!cut_until(&line, ' ', &out->target) || !is_target(out->target))
        return PIXI_E_HTTP_START;
    return check_version(line);
}

static int read_status_line(struct pixi_cur line, struct pixi_http_head *out)
{
    struct pixi_cur version, status;
    int rc;

    if (!cut_until(&line, ' ', &version))
        return PIXI_E_HTTP_START;
    if ((rc = check_version(version)) != PIXI_OK)
        return rc;
    if (!pixi_cur_cut(&line, 3, &status) || status.p[0] < '1' || status.p[0] > '5')
        return PIXI_E_HTTP_START;
    out->status = 0;
    for (; status.p != status.end; status.p++) {
        if (*status.p < '0' || *status.p > '9')
            return PIXI_E_HTTP_START;
        out->status = out->status * 10 + (unsigned)(*status.p - '0');
    }
    /* the space before an empty reason is due too, but many servers leave it out */
    if (line.p != line.end && *line.p++ != ' ')
        return PIXI_E_HTTP_START;
    out->reason = line;
    return PIXI_OK;
}

static int read_field(struct pixi_cur line, struct pixi_http_field *out)
{
    if (!cut_until(&line, ':', &out->name) || !pixi_http_is_token(out->name))
        return PIXI_E_HTTP_FIELD; /* a folded line starts with white space, which is no token either */
    out->value = trim(line);
    return PIXI_OK;
}

typedef int read_start(struct pixi_cur line, struct pixi_http_head *out);

static int decode(struct pixi_cur *in, const struct pixi_http_limits *limits, read_start *start,
                  struct pixi_http_head *out)
{
    struct pixi_cur c = *in, line;
    int rc = cut_line(&c, limits->head_bytes, &line);

    if (rc != PIXI_OK || (rc = start(line, out)) != PIXI_OK)
        return rc;
    for (out->field_count = 0;;) {
        if ((rc = cut_line(&c, limits->head_bytes - (size_t)(c.p - in->p), &line)) != PIXI_OK)
            return rc;
        if (line.p == line.end)
            break;
        if (out->field_count == limits->field_count || out->field_count == PIXI_HTTP_FIELDS)
            return PIXI_E_HTTP_COUNT;
        if ((rc = read_field(line, &out->fields[out->field_count++])) != PIXI_OK)
            return rc;
    }
    *in = c;
    return PIXI_OK;
}

int pixi_http_request_decode(struct pixi_cur *in, const struct pixi_http_limits *limits,
                             struct pixi_http_head *out)
{
    out->status = 0;
    out->reason = pixi_cur_init(NULL, 0);
    return decode(in, limits, read_request_line, out);
}

int pixi_http_response_decode(struct pixi_cur *in, const struct pixi_http_limits *limits,
                              struct pixi_http_head *out)
{
    out->method = out->target = pixi_cur_init(NULL, 0);
    return decode(in, limits, read_status_line, out);
}

bool pixi_http_find(const struct pixi_http_head *h, const char *name, struct pixi_cur *value, size_t *count)
{
    size_t found = 0;

    for (size_t i = 0; i < h->field_count; i++) {
        if (!pixi_http_equals(h->fields[i].name, name))
            continue;
        *value = h->fields[i].value;
        found++;
    }
    if (count)
        *count = found;
    return found == 1;
}

bool pixi_http_has_body(const struct pixi_http_head *h)
{
    struct pixi_cur value;
    size_t count;

    pixi_http_find(h, "transfer-encoding", &value, &count);
    if (count > 0)
        return true;
    pixi_http_find(h, "content-length", &value, &count);
    return count > 1 || (count == 1 && !pixi_http_equals(value, "0"));
}

int pixi_http_request_check(const struct pixi_http_head *h)
{
    struct pixi_cur host;

    if (!pixi_http_find(h, "host", &host, NULL))
        return PIXI_E_HTTP_HOST;
    return pixi_http_has_body(h) ? PIXI_E_HTTP_BODY : PIXI_OK;
}

struct pixi_cur pixi_http_path(const struct pixi_http_head *h)
{
    struct pixi_cur t = h->target, before;
    const uint8_t *slash;

    if (t.p != t.end && *t.p != '/') { /* absolute form: scheme, "://", authority */
        t.p += starts_with(t, "https") ? 8 : 7;
        slash = t.p == t.end ? NULL : memchr(t.p, '/', pixi_cur_left(&t));
        t.p = slash ? slash : t.end;
    }
    return cut_until(&t, '?', &before) ? before : t;
}

struct pixi_http_list pixi_http_list(const struct pixi_http_head *h, const char *name)
{
    return (struct pixi_http_list){.head = h, .name = name};
}

static const uint8_t *element_end(struct pixi_cur c)
{
    bool is_quoted = false;

    for (; c.p != c.end; c.p++) {
        if (is_quoted && *c.p == '\\' && c.p + 1 != c.end)
            c.p++;
        else if (*c.p == '"')
            is_quoted = !is_quoted;
        else if (*c.p == ',' && !is_quoted)
            break;
    }
    return c.p;
}

bool pixi_http_list_next(struct pixi_http_list *l, struct pixi_cur *element)
{
    const uint8_t *end;

    while (!l->is_inside) {
        if (l->field == l->head->field_count)
            return false;
        l->rest = l->head->fields[l->field].value;
        l->is_inside = pixi_http_equals(l->head->fields[l->field++].name, l->name);
    }
    end = element_end(l->rest);
    *element = trim((struct pixi_cur){l->rest.p, end});
    l->is_inside = end != l->rest.end;
    l->rest.p = l->is_inside ? end + 1 : end;
    return true;
}

bool pixi_http_list_has(const struct pixi_http_head *h, const char *name, const char *token)
{
    struct pixi_http_list l = pixi_http_list(h, name);
    struct pixi_cur element;

    while (pixi_http_list_next(&l, &element))
        if (pixi_http_equals(element, token))
            return true;
    return false;
}

void pixi_http_put_field(struct pixi_buf *b, const char *name, struct pixi_cur value)
{
    for (const uint8_t *p = value.p; p != value.end; p++)
        if (is_control(*p) && b->err == PIXI_OK)
            b->err = PIXI_E_HTTP_FIELD;
    pixi_buf_put_str(b, name);
    pixi_buf_put_str(b, ": ");
    pixi_buf_put_cur(b, value);
    pixi_buf_put_str(b, "\r\n");
}

const char *pixi_http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } table[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].reason;
    return "Unknown";
}
