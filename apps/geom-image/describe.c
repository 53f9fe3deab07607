#include "geom-image/cmd.h"

#include "client/settings.h"

#include <stdio.h>

/* What must never be in an image unless the description says so. */
static void refuse_secrets(struct pixi_settings *s, struct pixi_buf *mistakes)
{
    struct pixi_conf_fault fault;
    struct pixi_proxy proxy = {0};

    if (s->api_key)
        pixi_conf_mistake(
            &s->conf, "api_key", mistakes,
            "found a secret about to be baked into the image, expected none here: the key is given at "
            "run time (websocket_settings.api_key.from)");
    if (s->proxy.url && pixi_proxy_parse(pixi_cur_str(s->proxy.url), &proxy, &fault) == PIXI_OK &&
        *proxy.password)
        pixi_conf_mistake(&s->conf, "proxy.url", mistakes,
                          "found a password about to be baked into the image, expected proxy.password_file");
    explicit_bzero(&proxy, sizeof proxy);
}

static int check_settings(const char *name, struct pixi_cur text, struct pixi_image_settings_facts *out,
                          struct pixi_buf *mistakes)
{
    struct pixi_settings s;
    int rc;

    pixi_settings_init(&s);
    rc = pixi_settings_check_bytes(&s, name, text, mistakes);
    if (rc != PIXI_E_NOMEM)
        refuse_secrets(&s, mistakes);
    if (rc == PIXI_OK && s.conf.mistakes)
        rc = PIXI_E_SETTINGS;
    out->has_key_source = s.api_key_file || s.api_key_env;
    snprintf(out->api_key_file, sizeof out->api_key_file, "%s", s.api_key_file ? s.api_key_file : "");
    pixi_settings_clear(&s);
    return rc;
}

int load_description(struct pixi_image_desc *d, const char *path)
{
    struct pixi_buf mistakes = pixi_buf_init(PIXI_CONF_MISTAKES_MAX);
    int rc = pixi_image_desc_load(d, path, check_settings, &mistakes);

    if (mistakes.len)
        fprintf(stderr, "%.*s", (int)mistakes.len, (const char *)mistakes.bytes);
    if (rc == PIXI_E_NOMEM)
        fputs("geom-image: out of memory\n", stderr);
    pixi_buf_clear(&mistakes);
    return rc == PIXI_OK ? PIXI_EXIT_DONE : rc == PIXI_E_SETTINGS ? PIXI_EXIT_SETTINGS : PIXI_EXIT_INTERNAL;
}
