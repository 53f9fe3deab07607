#include "pixi-ws-client/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int payload_read_file(const struct app *app, struct payload *p, const char *path, size_t max)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "standard input" : path;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;

    p->bytes = pixi_buf_init(max);
    while (n > 0) {
        uint8_t *room = pixi_buf_reserve(
            &p->bytes, p->bytes.max - p->bytes.len < 65536 ? p->bytes.max - p->bytes.len : 65536);

        if (!room || p->bytes.len == max)
            break;
        n = read(fd, room, p->bytes.max - p->bytes.len < 65536 ? p->bytes.max - p->bytes.len : 65536);
        if (n > 0)
            p->bytes.len += (size_t)n;
    }
    if (n < 0)
        tell(app, PIXI_EXIT_USAGE, "disk", "name a file that is there and may be read",
             "%s cannot be read: %s", name, strerror(errno));
    else if (n > 0)
        tell(app, PIXI_EXIT_USAGE, "limits", "send less at a time", "%s has more than %zu bytes", name, max);
    if (fd > STDIN_FILENO)
        close(fd);
    return n == 0 ? 0 : PIXI_EXIT_USAGE;
}

static void put_text(struct pixi_buf *b, const char *text, size_t len)
{
    uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};

    pixi_buf_put(b, head, sizeof head);
    pixi_buf_put(b, text, len);
}

int payload_add_header(struct payload *p, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = strlen(text);

    if (!equals || equals == text || len > UINT16_MAX || !pixi_utf8_is_valid((const uint8_t *)text, len)) {
        note("--header: found \"%s\", expected NAME=VALUE in UTF-8", text);
        return PIXI_EXIT_USAGE;
    }
    if (!p->headers.max)
        p->headers = pixi_buf_init(1 << 20);
    put_text(&p->headers, text, (size_t)(equals - text));
    put_text(&p->headers, equals + 1, strlen(equals + 1));
    return p->headers.err ? PIXI_EXIT_USAGE : 0;
}

void payload_clear(struct payload *p)
{
    pixi_buf_clear(&p->bytes);
    pixi_buf_clear(&p->headers);
}
