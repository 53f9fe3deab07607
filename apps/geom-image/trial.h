/* trial.h -- an image is tried: checks one after the other, each a line that says how it went. */
#ifndef GEOM_IMAGE_TRIAL_H
#define GEOM_IMAGE_TRIAL_H

#include "base/json.h"
#include "geom-image/world.h"
#include "image/desc.h"
#include "image/spool.h"

enum verdict { VERDICT_OK, VERDICT_FAILED, VERDICT_SKIPPED };

struct trial {
    struct pixi_image_desc *desc;
    char stem[WORLD_PATH]; /* OUTPUT/NAME-VERSION: "." and a suffix make it a file */
    struct world world;

    /* of the check under way */
    char said[240];          /* what was measured, what went wrong, or why it was skipped */
    struct pixi_buf details; /* of a failure: lines for a person */

    /* of the part under way */
    struct proc subject;
    const struct proc *talker; /* whose last words matter when a check fails */
    const char *talker_log;
    struct feed report;  /* machine: what its virtio-serial port says */
    uint64_t started_ms; /* machine: QEMU's start */
    uint64_t kernel_ms;  /* after that: the kernel's start, on the machine's own clock */
    uint64_t network_ms, link_ms, verified_ms;
    unsigned service_pid; /* machine: of the service whose link is tried */

    /* all in all */
    unsigned count[VERDICT_SKIPPED + 1];
    bool is_root;       /* of this machine, not of a namespace */
    bool is_incomplete; /* what the image is for could not be tried here */
    bool is_json;
    struct pixi_buf json;
    struct pixi_json_out out;
};

struct trial_check {
    const char *id;
    enum verdict (*run)(struct trial *t);
    const char *fix; /* what to do when it failed; NULL: what was said has it */
};

/* trial_run -- the checks of a part, in order, up to the first that fails.
 *   reason  NULL, or why none can be run */
void trial_run(struct trial *t, const char *part, const struct trial_check *checks, size_t count,
               const char *reason);

/* What checks end with. */
enum verdict trial_ok(struct trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum verdict trial_failed(struct trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum verdict trial_skipped(struct trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* trial_waited -- failed, by how a wait for `what` ended. */
enum verdict trial_waited(struct trial *t, enum wait_end end, const char *what);

/* trial_milli -- a member that is a number, 0 .. 1e9, in thousandths; SIZE_MAX: there is none. */
size_t trial_milli(struct pixi_cur object, const char *name);

/* trial_settings_sha256 -- of the settings that the description asks for, as 64 digits. */
void trial_settings_sha256(const struct trial *t, char out[PIXI_SHA256_HEX]);

/* trial_runs_at_boot -- whether websocket_settings.run_at_boot has that. */
bool trial_runs_at_boot(const struct trial *t, const char *name);

/* trial_restart -- the server is stopped and started anew. False: said. */
bool trial_restart(struct trial *t);

/* trial_take_verify -- the report of pixi-ws-client --json verify: what to say of it, and details of what failed. */
enum verdict trial_take_verify(struct trial *t, struct pixi_cur report, int64_t exit_code, int64_t attempt);

/* The image as a machine, in QEMU, and as a container, in a folder that its programs cannot look out of. Nothing is left
 * running, and of the folder nothing. */
void trial_machine(struct trial *t);
void trial_container(struct trial *t);

#endif
