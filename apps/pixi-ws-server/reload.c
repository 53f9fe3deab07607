#include "pixi-ws-server/run.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

/* A line of the log for each of the text's. */
static void log_lines(const struct pixi_buf *text)
{
    struct pixi_cur c = pixi_buf_cur(text);

    while (c.p != c.end) {
        const uint8_t *end = memchr(c.p, '\n', pixi_cur_left(&c));
        int len = (int)((end ? end : c.end) - c.p);

        pixi_log(PIXI_LOG_ERROR, "%.*s", len, (const char *)c.p);
        c.p = end ? end + 1 : c.end;
    }
}

/* Some are looked at once, when the server starts. */
static void tell_what_waits(const struct pixi_server_settings *was, const struct pixi_server_settings *is)
{
    struct pixi_buf names = pixi_buf_init(4096);

    for (size_t i = 0; i < is->conf.table->count; i++) {
        const struct pixi_conf_row *row = &is->conf.table->rows[i];

        if (row->flags & PIXI_CONF_AT_START && !pixi_conf_is_same(&was->conf, &is->conf, i))
            pixi_buf_putf(&names, "%s%s", names.len ? ", " : "", row->path);
    }
    if (names.len)
        pixi_log(PIXI_LOG_WARNING, "SIGHUP: %.*s: what is new there holds from the next start",
                 (int)names.len, (const char *)names.bytes);
    pixi_buf_clear(&names);
}

static int reload_settings(struct run *r)
{
    struct pixi_server_settings *was = r->settings, *fresh = &r->slots[was == &r->slots[0]];
    int rc;

    pixi_buf_reset(&r->mistakes);
    rc = run_read(r, fresh) == 0 ? PIXI_OK : PIXI_E_SETTINGS;
    pixi_server_count_reload(r->server, PIXI_RELOADED_SETTINGS, rc);
    if (rc != PIXI_OK) {
        log_lines(&r->mistakes);
        pixi_log(PIXI_LOG_ERROR, "SIGHUP: the settings are not read again: those before stay in use");
        pixi_server_settings_clear(fresh);
        return rc;
    }
    pixi_server_set_settings(r->server, fresh);
    pixi_log_set_format((enum pixi_log_format)fresh->log.format);
    pixi_log_set_level((enum pixi_log_level)fresh->log.level);
    pixi_log(PIXI_LOG_INFO, "SIGHUP: %s: the settings are read again",
             fresh->conf.file ? fresh->conf.file : "no file");
    tell_what_waits(was, fresh);
    r->settings = fresh;
    pixi_server_settings_clear(was);
    return PIXI_OK;
}

static int reload_keys(struct run *r)
{
    struct pixi_keys *fresh = &r->keys[!r->keys_in_use];
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int rc = pixi_keys_load(fresh, r->settings->keys_path, PIXI_KEYS_MUST_EXIST, &mistakes);

    if (rc == PIXI_OK)
        rc = pixi_server_set_keys(r->server, fresh);
    if (rc == PIXI_OK) {
        pixi_keys_clear(&r->keys[r->keys_in_use]);
        r->keys_in_use = !r->keys_in_use;
        pixi_log(PIXI_LOG_INFO, "SIGHUP: %s holds %zu keys", r->settings->keys_path, pixi_keys_count(fresh));
    } else {
        log_lines(&mistakes);
        pixi_log(PIXI_LOG_ERROR, "SIGHUP: the keys are not read again (%s): those before stay in use",
                 pixi_err_text(rc));
        pixi_keys_clear(fresh);
    }
    pixi_server_count_reload(r->server, PIXI_RELOADED_KEYS, rc);
    pixi_buf_clear(&mistakes);
    return rc;
}

static int reload_tls(struct run *r)
{
    struct pixi_buf problem = pixi_buf_init(4096);
    int rc = pixi_server_reload_tls(r->server, &problem);

    if (rc == PIXI_OK) {
        pixi_log(PIXI_LOG_INFO, "SIGHUP: new connections get the certificate in %s",
                 r->settings->tls_files.cert_file);
    } else {
        log_lines(&problem);
        pixi_log(PIXI_LOG_ERROR, "SIGHUP: the certificate is not read again (%s): that before stays in use",
                 pixi_err_text(rc));
    }
    pixi_server_count_reload(r->server, PIXI_RELOADED_TLS, rc);
    pixi_buf_clear(&problem);
    return rc;
}

static void tell_manager(struct run *r, int settings, int keys, int tls)
{
    const struct {
        int rc;
        const char *name;
    } rows[] = {{settings, "settings"}, {keys, "API keys"}, {tls, "certificate"}};
    struct pixi_buf failed = pixi_buf_init(128);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].rc != PIXI_OK)
            pixi_buf_putf(&failed, "%s%s", failed.len ? ", " : ": ", rows[i].name);
    run_check_told(pixi_notify_tell(&r->notify, "READY=1\nSTATUS=%s%.*s",
                                    failed.len ? "Not read again" : "Read again", (int)failed.len,
                                    failed.len ? (const char *)failed.bytes : ""));
    pixi_buf_clear(&failed);
}

void run_reload(struct run *r)
{
    int settings, keys = PIXI_OK, tls = PIXI_OK;

    run_check_told(
        pixi_notify_tell(&r->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, pixi_clock_mono_us()));
    settings = reload_settings(r);
    if (r->mode == PIXI_SERVER_HUB)
        keys = reload_keys(r);
    if (pixi_server_has_tls(r->server))
        tls = reload_tls(r);
    tell_manager(r, settings, keys, tls);
}
