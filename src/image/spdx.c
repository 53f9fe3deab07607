#include "base/file.h"
#include "image/digest.h"
#include "image/record.h"
#include "image/time.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHA1_HEX = 2 * SHA_DIGEST_LENGTH + 1, COPYRIGHT_MAX = 4 << 20, ID_MAX = 192 };

static const char image_id[] = "SPDXRef-Image", none[] = "NOASSERTION";

/* A package of the bill, and what was found out about it. */
struct entry {
    const struct pixi_package *package; /* NULL: the image itself, which has the files of no package */
    char id[ID_MAX];
    char code[SHA1_HEX]; /* SPDX 7.9: SHA-1 over the sorted SHA-1 of its files; "": it has no files */
};

struct bill {
    const struct pixi_image_record *r;
    struct pixi_json_out w;
    char (*sha1)[SHA1_HEX];  /* of every node; "" for what is no file */
    struct pixi_buf entries; /* struct entry each; the first is the image */
};

static struct entry *entry_at(const struct bill *b, size_t i)
{
    return (struct entry *)(void *)b->entries.bytes + i;
}

static size_t entry_count(const struct bill *b)
{
    return b->entries.len / sizeof(struct entry);
}

static void put_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* SPDX wants SHA-1 of every file, beside whatever else there is (8.4). */
static int hash_all(struct bill *b)
{
    const struct pixi_image_tree *t = b->r->tree;
    char hex[PIXI_IMAGE_DIGEST_HEX];
    int rc = PIXI_OK;

    b->sha1 = calloc(t->count ? t->count : 1, sizeof *b->sha1);
    if (!b->sha1)
        return PIXI_E_NOMEM;
    for (size_t i = 0; rc == PIXI_OK && i < t->count; i++) {
        if (t->nodes[i]->kind != PIXI_IMAGE_FILE)
            continue;
        rc = pixi_image_digest(t, t->nodes[i], EVP_sha1(), hex);
        if (rc == PIXI_OK)
            memcpy(b->sha1[i], hex, SHA1_HEX);
    }
    return rc;
}

/* An identifier has letters, digits, '.' and '-' (SPDX 7.2). */
static void put_id(char out[ID_MAX], const char *name)
{
    size_t at = (size_t)snprintf(out, ID_MAX, "SPDXRef-Package-");

    for (; *name && at + 6 < ID_MAX; name++) {
        if (isalnum((unsigned char)*name) || *name == '.' || *name == '-')
            out[at++] = *name;
        else
            at += (size_t)snprintf(out + at, ID_MAX - at, ".%02x", (unsigned char)*name);
    }
    out[at] = 0;
}

static bool is_of(const struct entry *e, const struct pixi_image_node *n)
{
    return e->package ? n->package && strcmp(n->package, e->package->name) == 0 : !n->package;
}

static int compare_hex(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int put_code(const struct bill *b, struct entry *e)
{
    const struct pixi_image_tree *t = b->r->tree;
    struct pixi_buf all = pixi_buf_init((size_t)PIXI_IMAGE_NODES_MAX * SHA1_HEX);
    uint8_t sha1[SHA_DIGEST_LENGTH];
    size_t count, used = 0;
    int rc;

    for (size_t i = 0; i < t->count; i++)
        if (t->nodes[i]->kind == PIXI_IMAGE_FILE && is_of(e, t->nodes[i]))
            pixi_buf_put(&all, b->sha1[i], SHA1_HEX);
    count = all.len / SHA1_HEX;
    rc = all.err;
    if (rc == PIXI_OK && count) {
        qsort(all.bytes, count, SHA1_HEX, compare_hex);
        for (size_t i = 0; i < count; i++, used += SHA1_HEX - 1) /* the NULs go */
            memmove(all.bytes + used, all.bytes + i * SHA1_HEX, SHA1_HEX - 1);
        EVP_Digest(all.bytes, used, sha1, NULL, EVP_sha1(), NULL);
        put_hex(sha1, sizeof sha1, e->code);
    }
    pixi_buf_clear(&all);
    return rc;
}

/* The image, and every package that a node is from. */
static int list_entries(struct bill *b)
{
    struct entry e = {.package = NULL};
    int rc = PIXI_OK;
    bool is_used;

    memcpy(e.id, image_id, sizeof image_id);
    rc = put_code(b, &e);
    pixi_buf_put(&b->entries, &e, sizeof e);
    for (size_t k = 0; rc == PIXI_OK && k < pixi_packages_count(b->r->packages); k++) {
        e = (struct entry){.package = pixi_packages_at(b->r->packages, k)};
        is_used = false;
        for (size_t i = 0; !is_used && i < b->r->tree->count; i++)
            is_used = is_of(&e, b->r->tree->nodes[i]);
        if (!is_used)
            continue;
        put_id(e.id, e.package->name);
        rc = put_code(b, &e);
        pixi_buf_put(&b->entries, &e, sizeof e);
    }
    return rc == PIXI_OK ? b->entries.err : rc;
}

static void put(struct bill *b, const char *name, const char *value)
{
    pixi_json_name(&b->w, name);
    pixi_json_text(&b->w, value);
}

static void open_array(struct bill *b, const char *name)
{
    pixi_json_name(&b->w, name);
    pixi_json_open_array(&b->w);
}

static void put_creation(struct bill *b)
{
    char text[512], created[PIXI_IMAGE_TIME_TEXT], hex[PIXI_SHA256_HEX];
    uint8_t sha256[PIXI_SHA256_LEN] = {0};

    put(b, "spdxVersion", "SPDX-2.3");
    put(b, "dataLicense", "CC0-1.0");
    put(b, "SPDXID", "SPDXRef-DOCUMENT");
    snprintf(text, sizeof text, "%s-%s", b->r->desc->name, b->r->desc->version);
    put(b, "name", text);
    /* Another image has another name, the same has the same (6.5). */
    EVP_Digest(b->sha1, b->r->tree->count * sizeof *b->sha1, sha256, NULL, EVP_sha256(), NULL);
    pixi_image_hex(sha256, hex);
    snprintf(text, sizeof text, "https://spdx.org/spdxdocs/%s-%s-%s", b->r->desc->name, b->r->desc->version,
             hex);
    put(b, "documentNamespace", text);
    pixi_json_name(&b->w, "creationInfo");
    pixi_json_open_object(&b->w);
    pixi_image_time_text(b->r->time, created);
    put(b, "created", created);
    open_array(b, "creators");
    pixi_json_text(&b->w, "Tool: geom-image-" PIXI_VERSION);
    pixi_json_close_array(&b->w);
    pixi_json_close_object(&b->w);
}

static const char *licence_of(const struct pixi_package *k)
{
    struct pixi_buf text = pixi_buf_init(COPYRIGHT_MAX);
    const char *licence = none;
    char path[512];

    snprintf(path, sizeof path, "/usr/share/doc/%s/copyright", k->name);
    if (pixi_file_read(path, &text, NULL) == PIXI_OK)
        licence = pixi_image_licence(pixi_buf_cur(&text));
    pixi_buf_clear(&text);
    return licence;
}

static void put_purl(struct bill *b, const struct pixi_package *k)
{
    char locator[1024];
    size_t at;

    at = (size_t)snprintf(locator, sizeof locator, "pkg:deb/debian/%s@", k->name);
    for (const char *p = k->version; *p && at + 4 < sizeof locator; p++)
        at += (size_t)snprintf(locator + at, sizeof locator - at,
                               isalnum((unsigned char)*p) || strchr(".-_~", *p) ? "%c" : "%%%02X", *p);
    snprintf(locator + at, sizeof locator - at, "?arch=%s", k->architecture);
    open_array(b, "externalRefs");
    pixi_json_open_object(&b->w);
    put(b, "referenceCategory", "PACKAGE-MANAGER");
    put(b, "referenceType", "purl");
    put(b, "referenceLocator", locator);
    pixi_json_close_object(&b->w);
    pixi_json_close_array(&b->w);
}

static void put_analysis(struct bill *b, const struct entry *e)
{
    pixi_json_name(&b->w, "filesAnalyzed");
    pixi_json_bool(&b->w, *e->code);
    if (!*e->code)
        return;
    pixi_json_name(&b->w, "packageVerificationCode");
    pixi_json_open_object(&b->w);
    put(b, "packageVerificationCodeValue", e->code);
    pixi_json_close_object(&b->w);
    open_array(b, "licenseInfoFromFiles");
    pixi_json_text(&b->w, none);
    pixi_json_close_array(&b->w);
}

static void put_package(struct bill *b, const struct entry *e)
{
    const struct pixi_package *k = e->package;
    char text[1024];

    pixi_json_open_object(&b->w);
    put(b, "name", k ? k->name : b->r->desc->name);
    put(b, "SPDXID", e->id);
    put(b, "versionInfo", k ? k->version : b->r->desc->version);
    if (k && *k->maintainer) {
        snprintf(text, sizeof text, "Organization: %s", k->maintainer);
        put(b, "supplier", text);
    }
    if (k && *k->source) {
        snprintf(text, sizeof text, "built from the Debian source package %s", k->source);
        put(b, "sourceInfo", text);
    }
    put(b, "downloadLocation", none);
    put_analysis(b, e);
    if (k && *k->homepage)
        put(b, "homepage", k->homepage);
    put(b, "licenseConcluded", none);
    put(b, "licenseDeclared", k ? licence_of(k) : none);
    put(b, "copyrightText", none);
    if (k)
        put_purl(b, k);
    else
        put(b, "primaryPackagePurpose", "OPERATING-SYSTEM");
    pixi_json_close_object(&b->w);
}

static void put_checksum(struct bill *b, const char *algorithm, const char *value)
{
    pixi_json_open_object(&b->w);
    put(b, "algorithm", algorithm);
    put(b, "checksumValue", value);
    pixi_json_close_object(&b->w);
}

static void put_file(struct bill *b, size_t i)
{
    const struct pixi_image_node *n = b->r->tree->nodes[i];
    char text[PIXI_IMAGE_PATH_MAX + 2], hex[PIXI_SHA256_HEX];

    pixi_buf_put_str(b->w.buf, "\n");
    pixi_json_open_object(&b->w);
    snprintf(text, sizeof text, ".%s", n->path);
    put(b, "fileName", text);
    snprintf(text, sizeof text, "SPDXRef-File-%zu", i);
    put(b, "SPDXID", text);
    open_array(b, "checksums");
    put_checksum(b, "SHA1", b->sha1[i]);
    pixi_image_hex(n->sha256, hex);
    put_checksum(b, "SHA256", hex);
    pixi_json_close_array(&b->w);
    put(b, "licenseConcluded", none);
    open_array(b, "licenseInfoInFiles");
    pixi_json_text(&b->w, none);
    pixi_json_close_array(&b->w);
    put(b, "copyrightText", none);
    pixi_json_close_object(&b->w);
}

static void put_relation(struct bill *b, const char *from, const char *type, const char *to)
{
    pixi_buf_put_str(b->w.buf, "\n");
    pixi_json_open_object(&b->w);
    put(b, "spdxElementId", from);
    put(b, "relationshipType", type);
    put(b, "relatedSpdxElement", to);
    pixi_json_close_object(&b->w);
}

static void put_relations(struct bill *b)
{
    const struct pixi_image_tree *t = b->r->tree;
    char id[64];

    put_relation(b, "SPDXRef-DOCUMENT", "DESCRIBES", image_id);
    for (size_t k = 1; k < entry_count(b); k++)
        put_relation(b, image_id, "CONTAINS", entry_at(b, k)->id);
    for (size_t i = 0; i < t->count; i++)
        for (size_t k = 0; t->nodes[i]->kind == PIXI_IMAGE_FILE && k < entry_count(b); k++)
            if (is_of(entry_at(b, k), t->nodes[i])) {
                snprintf(id, sizeof id, "SPDXRef-File-%zu", i);
                put_relation(b, entry_at(b, k)->id, "CONTAINS", id);
            }
}

static void put_document(struct bill *b)
{
    pixi_json_open_object(&b->w);
    put_creation(b);
    open_array(b, "packages");
    for (size_t k = 0; k < entry_count(b); k++)
        put_package(b, entry_at(b, k));
    pixi_json_close_array(&b->w);
    open_array(b, "files");
    for (size_t i = 0; i < b->r->tree->count; i++)
        if (b->r->tree->nodes[i]->kind == PIXI_IMAGE_FILE)
            put_file(b, i);
    pixi_json_close_array(&b->w);
    open_array(b, "relationships");
    put_relations(b);
    pixi_json_close_array(&b->w);
    pixi_json_close_object(&b->w);
    pixi_buf_put_str(b->w.buf, "\n");
}

int pixi_image_spdx(const struct pixi_image_record *r, struct pixi_buf *out)
{
    struct bill b = {.r = r,
                     .w = pixi_json_out_init(out),
                     .entries = pixi_buf_init((PIXI_PACKAGES_MAX + 1) * sizeof(struct entry))};
    int rc = hash_all(&b);

    if (rc == PIXI_OK)
        rc = list_entries(&b);
    if (rc == PIXI_OK)
        put_document(&b);
    free(b.sha1);
    pixi_buf_clear(&b.entries);
    return rc == PIXI_OK ? out->err : rc;
}
