#include "geom-image/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool change(unsigned long request, struct ifreq *r)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc, sys_errno;

    if (fd < 0)
        return false;
    rc = ioctl(fd, request, r);
    sys_errno = errno;
    close(fd);
    errno = sys_errno;
    return rc == 0;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return is_written;
}

/* Who is not root may make a network where users may make namespaces: root of that namespace is then who they were. */
static bool map_user(unsigned uid, unsigned gid)
{
    char map[64];

    snprintf(map, sizeof map, "0 %u 1", uid);
    if (!write_text("/proc/self/uid_map", map) || !write_text("/proc/self/setgroups", "deny"))
        return false;
    snprintf(map, sizeof map, "0 %u 1", gid);
    return write_text("/proc/self/gid_map", map);
}

enum network network_enter(void)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    unsigned uid = getuid(), gid = getgid();

    if (unshare(CLONE_NEWNET) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
            return NETWORK_SHARED;
        if (!map_user(uid, gid))
            return NETWORK_BROKEN;
    }
    return change(SIOCSIFFLAGS, &r) ? NETWORK_OWN : NETWORK_BROKEN;
}

bool network_add_address(const char *address)
{
    struct ifreq r = {.ifr_name = "lo:1"};
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, address, &in.sin_addr) != 1) {
        errno = EINVAL;
        return false;
    }
    memcpy(&r.ifr_addr, &in, sizeof in);
    if (!change(SIOCSIFADDR, &r))
        return false;
    in.sin_addr.s_addr = 0xffffffff;
    memcpy(&r.ifr_netmask, &in, sizeof in);
    return change(SIOCSIFNETMASK, &r);
}
