#include "client/settings_proxy.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_exempt(const struct pixi_settings *s, const struct pixi_url *u)
{
    for (size_t i = 0; i < s->proxy.no_proxy.count; i++)
        if (pixi_proxy_rule_matches(s->proxy.no_proxy.at[i], u->host, u->port))
            return true;
    return false;
}

/* --- "proxy" in the settings ------------------------------------------------------------------------------------ */

static void read_password(struct pixi_settings *s, struct pixi_proxy *p, struct pixi_buf *mistakes)
{
    static const char member[] = "proxy.password_file";
    const char *path = pixi_conf_path(&s->conf, member, s->proxy.password_file);
    struct pixi_buf bytes = pixi_buf_init(PIXI_PROXY_WORD_MAX + 2);
    unsigned mode = 0;
    int rc;

    if (!path)
        return;
    rc = pixi_file_read(path, &bytes, &mode);
    while (bytes.len > 0 && (bytes.bytes[bytes.len - 1] == '\n' || bytes.bytes[bytes.len - 1] == '\r'))
        bytes.len--;
    if (rc != PIXI_OK)
        pixi_conf_mistake(&s->conf, member, mistakes, "found %s at %s, expected a file with the password",
                          pixi_file_found(rc), path);
    else if (pixi_file_is_open_to_others(mode))
        pixi_conf_mistake(&s->conf, member, mistakes,
                          "%s can be read or changed by others (mode %04o); "
                          "chmod 600 %s",
                          path, mode, path);
    else if (bytes.len > PIXI_PROXY_WORD_MAX || (bytes.len && memchr(bytes.bytes, 0, bytes.len)))
        pixi_conf_mistake(&s->conf, member, mistakes,
                          "found no password in %s, expected one line of 255 bytes at most", path);
    else if (bytes.len)
        memcpy(p->password, bytes.bytes, bytes.len);
    pixi_file_wipe(&bytes);
}

static void take_user(struct pixi_settings *s, struct pixi_proxy *p, struct pixi_buf *mistakes)
{
    if (s->proxy.username && p->has_user) {
        pixi_conf_mistake(&s->conf, "proxy.username", mistakes,
                          "found beside a user name in proxy.url, expected only one of them");
        return;
    }
    if (s->proxy.username) {
        p->has_user = true;
        snprintf(p->user, sizeof p->user, "%s", s->proxy.username);
    }
    if (s->proxy.password_file && !p->has_user)
        pixi_conf_mistake(&s->conf, "proxy.password_file", mistakes,
                          "found without proxy.username, expected both");
    else if (s->proxy.password_file)
        read_password(s, p, mistakes);
}

static struct pixi_proxy *take_proxy(struct pixi_settings *s)
{
    struct pixi_proxy *p = pixi_arena_take(&s->conf.arena, sizeof *p); /* wiped with the rest */

    if (!p)
        s->conf.err = PIXI_E_NOMEM;
    return p;
}

/* NULL: none is set. */
static const struct pixi_proxy *read_own(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    struct pixi_proxy *p;

    if (!s->proxy.url) {
        if (s->proxy.username && !pixi_conf_is_named(&s->conf, "proxy.url"))
            pixi_conf_mistake(&s->conf, "proxy.username", mistakes, "found without proxy.url, expected both");
        return NULL;
    }
    p = take_proxy(s);
    if (!p || pixi_proxy_parse(pixi_cur_str(s->proxy.url), p, NULL) != PIXI_OK) /* checked when it was read */
        return NULL;
    if (*p->password && pixi_conf_from(&s->conf, "proxy.url")->rank == PIXI_CONF_FILE &&
        pixi_file_is_open_to_others(s->conf.mode))
        pixi_conf_mistake(&s->conf, "proxy.url", mistakes,
                          "found a password in a file that others can read (mode %04o); chmod 600 %s",
                          s->conf.mode, s->conf.file);
    take_user(s, p, mistakes);
    return p;
}

/* --- the environment -------------------------------------------------------------------------------------------- */

static bool is_exempt_by_env(const struct pixi_url *u)
{
    const char *list = getenv("no_proxy");

    if (!list || !*list)
        list = getenv("NO_PROXY");
    while (list && *list) {
        size_t len = strcspn(list, ", \t");

        if (len && pixi_proxy_rule_matches(pixi_cur_init(list, len), u->host, u->port))
            return true;
        list += len + strspn(list + len, ", \t");
    }
    return false;
}

/* A web server hands its clients' `Proxy:` field to its programs as HTTP_PROXY. */
static bool is_from_a_stranger(const char *name)
{
    return strcmp(name, "HTTP_PROXY") == 0 && getenv("REQUEST_METHOD");
}

static const char *find_variable(const struct pixi_url *u, const char **name)
{
    static const char *const for_tls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    static const char *const in_clear[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", NULL};

    for (const char *const *n = u->is_tls ? for_tls : in_clear; *n; n++) {
        const char *value = getenv(*n);

        if (!value || !*value || is_from_a_stranger(*n))
            continue;
        *name = *n;
        return value;
    }
    return NULL;
}

static const struct pixi_proxy *read_env(struct pixi_settings *s, const struct pixi_url *u,
                                         struct pixi_buf *mistakes)
{
    struct pixi_conf_fault fault;
    const char *name, *value = find_variable(u, &name);
    struct pixi_proxy *p;

    if (!value || pixi_url_is_loopback(u) || is_exempt_by_env(u))
        return NULL;
    p = take_proxy(s);
    if (!p || pixi_proxy_parse(pixi_cur_str(value), p, &fault) == PIXI_OK)
        return p;
    pixi_buf_putf(mistakes, "environment: %s: found %s, expected %s\n", name, fault.found, fault.expected);
    s->conf.mistakes++;
    return NULL;
}

void pixi_settings_choose_proxies(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    const struct pixi_proxy *own = read_own(s, mistakes);

    for (size_t i = 0; i < s->endpoint_count; i++)
        if (!s->endpoints[i].is_unix && !is_exempt(s, &s->endpoints[i]))
            s->proxies[i] = own ? own : read_env(s, &s->endpoints[i], mistakes);
}

bool pixi_settings_is_private(const struct pixi_settings *s, size_t i)
{
    const struct pixi_proxy *p = s->proxies[i];

    return pixi_url_is_loopback(&s->endpoints[i]) && (!p || pixi_proxy_is_loopback(p->host));
}
