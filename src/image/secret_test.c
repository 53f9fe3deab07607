#include "image/secret.h"
#include "invariants.h"

#define KEY64 "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"

static const struct {
    const char *text, *found; /* NULL: nothing */
} cases[] = {
    {"", NULL},
    {"nothing here", NULL},
    {"-----BEGIN PRIVATE KEY-----\n" KEY64 "\n-----END PRIVATE KEY-----\n", "a private key (PEM)"},
    {"text before\n-----BEGIN RSA PRIVATE KEY-----\r\n" KEY64 "\r\n", "a private key (PEM)"},
    {"-----BEGIN OPENSSH PRIVATE KEY-----\n" KEY64 "\n", "a private key (PEM)"},
    {"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" KEY64 "\n", NULL},
    {"-----BEGIN CERTIFICATE-----\n" KEY64 "\n", NULL},
    {"-----BEGIN PUBLIC KEY-----\n" KEY64 "\n", NULL},
    {"-----BEGIN CERTIFICATE-----\n" KEY64 "\n-----BEGIN PRIVATE KEY-----\n" KEY64 "\n",
     "a private key (PEM)"},
    /* a program that writes keys */
    {"-----BEGIN PRIVATE KEY-----\n%s-----END PRIVATE KEY-----\n", NULL},
    {"-----BEGIN PRIVATE KEY-----", NULL},
    {"key: pk_0123456789abcdefghijABCDEFGHIJ0123456789-_x\n", "a Pixi API key (pk_...)"},
    {"pk_0123456789abcdefghijABCDEFGHIJ0123456789-_x", "a Pixi API key (pk_...)"},
    {"pk_0123456789abcdefghijABCDEFGHIJ0123456789-_", NULL},   /* one short */
    {"pk_0123456789abcdefghijABCDEFGHIJ0123456789-_xy", NULL}, /* one long */
    {"spk_0123456789abcdefghijABCDEFGHIJ0123456789-_x", NULL},
    {"pk_pk_0123456789abcdefghijABCDEFGHIJ0123456789-_x", NULL},
    {"AKIAIOSFODNN7EXAMPLE", "an AWS access key (AKIA...)"},
    {"ghp_0123456789abcdefghijABCDEFGHIJ012345", "a GitHub token (ghp_...)"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].text);
        struct inv_guard g = inv_guard(cases[i].text, len);
        const char *found = pixi_secret_find(pixi_cur_init(g.bytes, len));

        if (!found != !cases[i].found || (found && strcmp(found, cases[i].found) != 0))
            fail_msg("case %zu: %s", i, found ? found : "nothing");
        inv_guard_free(&g);
    }
}

/* A prefix never looks beyond its end. */
static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t len = 0; len <= strlen(cases[i].text); len++) {
            struct inv_guard g = inv_guard(cases[i].text, len);

            pixi_secret_find(pixi_cur_init(g.bytes, len));
            inv_guard_free(&g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_prefixes)};

    return cmocka_run_group_tests_name("image/secret", tests, NULL, NULL);
}
