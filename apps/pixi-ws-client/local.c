#include "pixi-ws-client/local.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 10, PIECE = 4096 };

int local_open(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), kept;

    if (fd < 0)
        return -1;
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

static int send_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN ? PIXI_E_TIMEOUT : PIXI_E_WS_CLOSED;
        bytes += n;
        len -= (size_t)n;
    }
    return PIXI_OK;
}

int local_call(int fd, const char *method, const char *params, struct pixi_buf *answer)
{
    struct pixi_buf b = pixi_buf_init(SIZE_MAX / 2);
    int rc;

    pixi_buf_putf(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method,
                  params ? params : "{}");
    rc = b.err ? b.err : send_all(fd, b.bytes, b.len);
    pixi_buf_clear(&b);
    while (rc == PIXI_OK && (answer->len == 0 || answer->bytes[answer->len - 1] != '\n')) {
        uint8_t *room = pixi_buf_reserve(answer, PIECE);
        ssize_t n = room ? recv(fd, room, PIECE, 0) : -1;

        if (!room)
            rc = answer->err;
        else if (n <= 0)
            rc = n < 0 && errno == EAGAIN ? PIXI_E_TIMEOUT : PIXI_E_WS_CLOSED;
        else
            answer->len += (size_t)n;
    }
    if (rc == PIXI_OK)
        answer->len--;
    return rc;
}
