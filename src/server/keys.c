#include "server/keys.h"

#include "base/base64.h"
#include "base/file.h"
#include "base/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 16 << 20, RANDOM = 32 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static bool check_name(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    size_t len = pixi_cur_left(&value);

    (void)fault;
    return len >= 1 && len <= 64 && strspn((const char *)value.p, letters) == len;
}

static bool check_hash(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    fault->found = "something else"; /* a key, perhaps: it is not shown */
    return pixi_cur_left(&value) == 64 && strspn((const char *)value.p, "0123456789abcdef") == 64;
}

/* A permission covers shared subscriptions by their inner filter. */
static bool check_subscribe(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    (void)fault;
    return pixi_filter_check(value) == PIXI_OK && pixi_cur_equals(pixi_filter_inner(value), value);
}

static bool check_publish(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    return check_subscribe(value, fault) && *value.p != '$';
}

static bool check_created(struct pixi_cur value, struct pixi_conf_fault *fault)
{
    struct tm tm = {0};
    const char *end = strptime((const char *)value.p, "%Y-%m-%dT%H:%M:%SZ", &tm);

    (void)fault;
    return end && !*end;
}

#define TEXT(name, rules, rule, words)                                                                       \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_STRING, .flags = PIXI_CONF_REQUIRED | (rules),                      \
        .offset = offsetof(struct pixi_key, name), .max = 4096, .check = (rule), .expected = (words)         \
    }
#define FILTERS(name, rule, words)                                                                           \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_STRINGS, .offset = offsetof(struct pixi_key, name),                 \
        .max = PIXI_KEYS_FILTERS_MAX, .initial = "[]", .check = (rule), .expected = (words)                  \
    }

#define RATE(name, most, what)                                                                               \
    {                                                                                                        \
        .path = #name, .kind = PIXI_CONF_UINT, .offset = offsetof(struct pixi_key, name), .max = (most),     \
        .unit = (what)                                                                                       \
    }

static const char name_expected[] = "1 .. 64 letters, digits, \".\", \"_\" or \"-\"";
static const char publish_expected[] =
    "a topic filter such as event/# (MQTT 5 §4.7) that does not start with $";
static const char subscribe_expected[] = "a topic filter such as event/# (MQTT 5 §4.7), without $share/";

static const struct pixi_conf_row key_rows[] = {
    TEXT(name, PIXI_CONF_UNIQUE, check_name, name_expected),
    TEXT(sha256, 0, check_hash, "64 hexadecimal digits in lower case"),
    FILTERS(publish, check_publish, publish_expected),
    FILTERS(subscribe, check_subscribe, subscribe_expected),
    RATE(publishes_per_s, PIXI_KEYS_PUBLISHES_MAX, "messages"),
    RATE(publish_bytes_per_s, PIXI_KEYS_BYTES_MAX, "bytes"),
    TEXT(created, 0, check_created, "a time such as 2026-11-22T21:30:00Z"),
};

static const struct pixi_conf_table key_table = {
    .rows = key_rows, .count = sizeof key_rows / sizeof *key_rows, .size = sizeof(struct pixi_key)};

static const struct pixi_conf_row rows[] = {{.path = "keys",
                                             .kind = PIXI_CONF_OBJECTS,
                                             .offset = offsetof(struct pixi_keys, entries),
                                             .max = PIXI_KEYS_MAX,
                                             .initial = "[]",
                                             .items = &key_table}};

static const struct pixi_conf_table table = {
    .rows = rows, .count = 1, .size = sizeof(struct pixi_keys), .file_max = FILE_MAX_BYTES};

static uint8_t hex_value(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void decode_hash(struct pixi_key *key)
{
    for (size_t i = 0; i < PIXI_KEYS_HASH; i++)
        key->hash[i] = (uint8_t)(hex_value(key->sha256[2 * i]) << 4 | hex_value(key->sha256[2 * i + 1]));
}

static void check_mode(struct pixi_keys *k, struct pixi_buf *mistakes)
{
    if (!k->conf.is_broken && pixi_file_is_open_to_others(k->conf.mode))
        pixi_conf_mistake(&k->conf, "keys", mistakes, "%s is %s by others (mode %04o); chmod 600 %s",
                          k->conf.file, k->conf.mode & 044 ? "readable" : "writable", k->conf.mode,
                          k->conf.file);
}

int pixi_keys_load(struct pixi_keys *k, const char *path, enum pixi_keys_missing missing,
                   struct pixi_buf *mistakes)
{
    *k = (struct pixi_keys){0};
    pixi_conf_init(&k->conf, &table, k);
    if (missing == PIXI_KEYS_MAY_BE_MISSING && access(path, F_OK) != 0 && errno == ENOENT)
        return k->conf.err;
    pixi_conf_read(&k->conf, path, mistakes);
    check_mode(k, mistakes);
    if (k->conf.err != PIXI_OK)
        return k->conf.err;
    if (k->conf.mistakes)
        return PIXI_E_SETTINGS;
    for (size_t i = 0; i < k->entries.count; i++)
        decode_hash((struct pixi_key *)k->entries.at + i);
    return PIXI_OK;
}

void pixi_keys_clear(struct pixi_keys *k)
{
    pixi_conf_clear(&k->conf);
    k->entries = (struct pixi_conf_objects){0};
}

static bool hash_key(struct pixi_cur key, uint8_t out[PIXI_KEYS_HASH])
{
    return EVP_Digest(key.p, pixi_cur_left(&key), out, NULL, EVP_sha256(), NULL) == 1;
}

const struct pixi_key *pixi_keys_lookup(const struct pixi_keys *k, struct pixi_cur key)
{
    const struct pixi_key *found = NULL;
    uint8_t hash[PIXI_KEYS_HASH];

    if (!hash_key(key, hash))
        return NULL;
    for (size_t i = 0; i < k->entries.count; i++)
        if (CRYPTO_memcmp(hash, pixi_keys_at(k, i)->hash, sizeof hash) == 0)
            found = pixi_keys_at(k, i);
    return found;
}

static const struct pixi_key *find_name(const struct pixi_keys *k, const char *name)
{
    for (size_t i = 0; i < k->entries.count; i++)
        if (strcmp(pixi_keys_at(k, i)->name, name) == 0)
            return pixi_keys_at(k, i);
    return NULL;
}

static void put_filters(struct pixi_json_out *w, const char *name, const struct pixi_conf_strings *filters)
{
    pixi_json_name(w, name);
    pixi_json_open_array(w);
    for (size_t i = 0; i < filters->count; i++)
        pixi_json_string(w, filters->at[i]);
    pixi_json_close_array(w);
}

static void put_text(struct pixi_json_out *w, const char *name, const char *text)
{
    pixi_json_name(w, name);
    pixi_json_text(w, text);
}

static void put_rate(struct pixi_json_out *w, const char *name, uint64_t per_s)
{
    if (!per_s)
        return;
    pixi_json_name(w, name);
    pixi_json_number(w, per_s);
}

/* A key a line: readable, and diff shows which key has changed. */
static void put_key(struct pixi_buf *b, const struct pixi_key *key, bool is_first)
{
    struct pixi_json_out w = pixi_json_out_init(b);

    pixi_buf_put_str(b, is_first ? "\n    " : ",\n    ");
    pixi_json_open_object(&w);
    put_text(&w, "name", key->name);
    put_text(&w, "sha256", key->sha256);
    put_filters(&w, "publish", &key->publish);
    put_filters(&w, "subscribe", &key->subscribe);
    put_rate(&w, "publishes_per_s", key->publishes_per_s);
    put_rate(&w, "publish_bytes_per_s", key->publish_bytes_per_s);
    put_text(&w, "created", key->created);
    pixi_json_close_object(&w);
}

static int say_unwritten(const char *path, struct pixi_buf *mistakes)
{
    pixi_buf_putf(mistakes, "%s: could not be written: %s\n", path, strerror(errno));
    return PIXI_E_SYS;
}

/* All entries but `without`, and `more` behind them; both may be NULL. */
static int write_keys(const struct pixi_keys *k, const char *path, const struct pixi_key *without,
                      const struct pixi_key *more, struct pixi_buf *mistakes)
{
    struct pixi_buf b = pixi_buf_init(FILE_MAX_BYTES);
    bool is_first = true;
    int rc;

    pixi_buf_put_str(&b, "{\"keys\": [");
    for (size_t i = 0; i < k->entries.count; i++) {
        if (pixi_keys_at(k, i) == without)
            continue;
        put_key(&b, pixi_keys_at(k, i), is_first);
        is_first = false;
    }
    if (more)
        put_key(&b, more, is_first);
    pixi_buf_put_str(&b, "\n]}\n");
    rc = b.err == PIXI_OK ? pixi_file_write(path, pixi_buf_cur(&b), PIXI_FILE_REPLACE) : b.err;
    if (rc == PIXI_E_SYS)
        say_unwritten(path, mistakes);
    pixi_buf_clear(&b);
    return rc;
}

/* The folder's descriptor, locked until it is closed: the file itself is replaced, so it cannot hold a lock. */
static int lock_folder(const char *path)
{
    char dir[PATH_MAX];
    int fd;

    snprintf(dir, sizeof dir, "%.*s", (int)pixi_file_dir(path), path);
    fd = open(*dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool filters_are_right(const char *name, const struct pixi_cur *at, size_t count,
                              pixi_conf_check *rule, struct pixi_buf *mistakes)
{
    struct pixi_conf_fault fault = {0};
    size_t before = mistakes->len;

    for (size_t i = 0; i < count; i++) {
        if (rule(at[i], &fault))
            continue;
        pixi_buf_putf(mistakes, "--%s: found ", name);
        pixi_conf_put_quoted(at[i], mistakes);
        pixi_buf_putf(mistakes, ", expected %s\n",
                      rule == check_publish ? publish_expected : subscribe_expected);
    }
    if (count > PIXI_KEYS_FILTERS_MAX)
        pixi_buf_putf(mistakes, "--%s: found %zu, expected %d at most\n", name, count, PIXI_KEYS_FILTERS_MAX);
    return mistakes->len == before;
}

static bool new_is_right(const struct pixi_keys *k, const struct pixi_key_new *add, struct pixi_buf *mistakes)
{
    struct pixi_conf_fault fault = {0};
    size_t before = mistakes->len;

    if (!check_name(pixi_cur_str(add->name), &fault)) {
        pixi_buf_put_str(mistakes, "NAME: found ");
        pixi_conf_put_quoted(pixi_cur_str(add->name), mistakes);
        pixi_buf_putf(mistakes, ", expected %s\n", name_expected);
    } else if (find_name(k, add->name)) {
        pixi_buf_putf(mistakes, "NAME: found \"%s\", which has a key in %s, expected a new name\n", add->name,
                      k->conf.file);
    }
    filters_are_right("publish", add->publish, add->publish_count, check_publish, mistakes);
    filters_are_right("subscribe", add->subscribe, add->subscribe_count, check_subscribe, mistakes);
    if (k->entries.count == PIXI_KEYS_MAX)
        pixi_buf_putf(mistakes, "%s: found %d keys, expected fewer\n", k->conf.file, PIXI_KEYS_MAX);
    return mistakes->len == before;
}

/* 256 random bits; hash is the key's SHA-256 in hexadecimal. */
static bool make_key(char key[PIXI_KEYS_TEXT], char hash[2 * PIXI_KEYS_HASH + 1])
{
    uint8_t bytes[RANDOM], digest[PIXI_KEYS_HASH];
    size_t len;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    memcpy(key, "pk_", 3);
    len = pixi_base64_encode(PIXI_BASE64_URL, bytes, sizeof bytes, key + 3);
    key[3 + len] = 0;
    explicit_bzero(bytes, sizeof bytes);
    if (!hash_key(pixi_cur_str(key), digest))
        return false;
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    return true;
}

static int add_to(struct pixi_keys *k, const char *path, const struct pixi_key_new *add,
                  char key[PIXI_KEYS_TEXT], struct pixi_buf *mistakes)
{
    char text[PIXI_KEYS_TEXT], hash[2 * PIXI_KEYS_HASH + 1], created[32];
    time_t now = (time_t)add->now_s;
    struct tm tm;
    struct pixi_key entry = {.name = add->name,
                             .sha256 = hash,
                             .created = created,
                             .publishes_per_s = add->publishes_per_s,
                             .publish_bytes_per_s = add->publish_bytes_per_s};
    int rc;

    if (!new_is_right(k, add, mistakes))
        return PIXI_E_SETTINGS;
    if (!make_key(text, hash))
        return PIXI_E_NOMEM;
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    /* written only: the lists are not written to */
    entry.publish = (struct pixi_conf_strings){(struct pixi_cur *)add->publish, NULL, add->publish_count};
    entry.subscribe =
        (struct pixi_conf_strings){(struct pixi_cur *)add->subscribe, NULL, add->subscribe_count};
    rc = write_keys(k, path, NULL, &entry, mistakes);
    if (rc == PIXI_OK)
        memcpy(key, text, sizeof text);
    explicit_bzero(text, sizeof text);
    return rc;
}

int pixi_keys_add(const char *path, const struct pixi_key_new *add, char key[PIXI_KEYS_TEXT],
                  struct pixi_buf *mistakes)
{
    int lock = lock_folder(path), rc;
    struct pixi_keys k;

    if (lock < 0)
        return say_unwritten(path, mistakes);
    rc = pixi_keys_load(&k, path, PIXI_KEYS_MAY_BE_MISSING, mistakes);
    if (rc == PIXI_OK)
        rc = add_to(&k, path, add, key, mistakes);
    pixi_keys_clear(&k);
    close(lock);
    return rc;
}

int pixi_keys_revoke(const char *path, const char *name, struct pixi_buf *mistakes)
{
    int lock = lock_folder(path), rc;
    const struct pixi_key *key;
    struct pixi_keys k;

    if (lock < 0)
        return say_unwritten(path, mistakes);
    rc = pixi_keys_load(&k, path, PIXI_KEYS_MUST_EXIST, mistakes);
    key = rc == PIXI_OK ? find_name(&k, name) : NULL;
    if (key)
        rc = write_keys(&k, path, key, NULL, mistakes);
    if (rc == PIXI_OK && !key) {
        pixi_buf_put_str(mistakes, "NAME: found ");
        pixi_conf_put_quoted(pixi_cur_str(name), mistakes);
        pixi_buf_putf(mistakes, ", expected the name of a key in %s\n", path);
        rc = PIXI_E_SETTINGS;
    }
    pixi_keys_clear(&k);
    close(lock);
    return rc;
}
