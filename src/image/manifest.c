#include "image/record.h"

#include <stdio.h>

static const char *const kinds[] = {
    [PIXI_IMAGE_FILE] = "file", [PIXI_IMAGE_DIR] = "folder", [PIXI_IMAGE_LINK] = "link"};

static void put_text(struct pixi_json_out *w, const char *name, const char *value)
{
    pixi_json_name(w, name);
    pixi_json_text(w, value);
}

static void put_hash(struct pixi_json_out *w, const uint8_t sha256[PIXI_SHA256_LEN])
{
    char hex[PIXI_SHA256_HEX];

    pixi_image_hex(sha256, hex);
    put_text(w, "sha256", hex);
}

void pixi_image_put_node(struct pixi_json_out *w, const struct pixi_image_node *n)
{
    char text[32];

    pixi_json_open_object(w);
    put_text(w, "path", n->path);
    put_text(w, "type", kinds[n->kind]);
    snprintf(text, sizeof text, "%04o", n->mode);
    put_text(w, "mode", text);
    snprintf(text, sizeof text, "%u:%u", n->uid, n->gid);
    put_text(w, "owner", text);
    if (n->kind == PIXI_IMAGE_FILE) {
        pixi_json_name(w, "size");
        pixi_json_number(w, n->size);
        put_hash(w, n->sha256);
    }
    if (n->target)
        put_text(w, "target", n->target);
    if (n->package)
        put_text(w, "package", n->package);
    if (n->where == PIXI_IMAGE_INITRAMFS_ONLY)
        put_text(w, "only", "initramfs");
    pixi_json_close_object(w);
}

static void put_settings(struct pixi_json_out *w, const struct pixi_image_record *r)
{
    const struct pixi_image_node *n = pixi_image_tree_follow(r->tree, r->desc->ws.destination);

    if (!n || n->kind != PIXI_IMAGE_FILE || r->desc->settings.len == 0)
        return;
    pixi_json_name(w, "settings");
    pixi_json_open_object(w);
    put_text(w, "path", r->desc->ws.destination);
    put_hash(w, n->sha256);
    pixi_json_close_object(w);
}

void pixi_image_manifest(const struct pixi_image_record *r, struct pixi_buf *out)
{
    struct pixi_json_out w = pixi_json_out_init(out);

    pixi_json_open_object(&w);
    put_text(&w, "image", r->desc->name);
    put_text(&w, "version", r->desc->version);
    put_text(&w, "architecture", "amd64");
    pixi_json_name(&w, "source_date_epoch");
    pixi_json_number(&w, r->time);
    put_settings(&w, r);
    pixi_json_name(&w, "files");
    pixi_json_open_array(&w);
    for (size_t i = 0; i < r->tree->count; i++) {
        pixi_buf_put_str(out, "\n");
        pixi_image_put_node(&w, r->tree->nodes[i]);
    }
    pixi_json_close_array(&w);
    pixi_json_close_object(&w);
    pixi_buf_put_str(out, "\n");
}
