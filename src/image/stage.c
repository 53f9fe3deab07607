#include "image/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static void remove_all(const char *path)
{
    int kept = errno;

    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    errno = kept;
}

/* As mkdir -p does. */
static int make_folders(const char *path)
{
    char part[PIXI_STAGE_PATH];

    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return PIXI_E_SYS;
        *slash = '/';
    }
    return mkdir(part, 0755) == 0 || errno == EEXIST ? PIXI_OK : PIXI_E_SYS;
}

int pixi_stage_open(struct pixi_stage *s, const char *folder, const char *name)
{
    *s = (struct pixi_stage){.lock = -1};
    if (!*folder || strlen(folder) >= sizeof s->folder || strlen(name) > 200) {
        errno = *folder ? ENAMETOOLONG : ENOENT;
        return PIXI_E_SYS;
    }
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    if (make_folders(s->folder) != PIXI_OK)
        return PIXI_E_SYS;
    s->lock = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        return PIXI_E_SYS;
    snprintf(s->work, sizeof s->work, "%s/%s", s->folder, name);
    remove_all(s->work);
    return mkdir(s->work, 0755) == 0 ? PIXI_OK : PIXI_E_SYS;
}

bool pixi_stage_path(struct pixi_stage *s, const char *name, char out[PIXI_STAGE_PATH])
{
    if (s->count == PIXI_STAGE_NAMES || strlen(name) >= sizeof *s->names ||
        snprintf(out, PIXI_STAGE_PATH, "%s/%s", s->work, name) >= PIXI_STAGE_PATH)
        return false;
    memcpy(s->names[s->count++], name, strlen(name) + 1);
    return true;
}

struct paths {
    char ready[PIXI_STAGE_PATH + 300], named[PIXI_STAGE_PATH], former[PIXI_STAGE_PATH + 300];
};

static struct paths paths_of(const struct pixi_stage *s, size_t i)
{
    struct paths p;

    snprintf(p.ready, sizeof p.ready, "%s/%s", s->work, s->names[i]);
    snprintf(p.named, sizeof p.named, "%s/%s", s->folder, s->names[i]);
    snprintf(p.former, sizeof p.former, "%s/.former-%s", s->work, s->names[i]);
    return p;
}

/* A folder that is not empty cannot be replaced by rename: what has the name moves away first. */
static int publish_one(const struct pixi_stage *s, size_t i)
{
    struct paths p = paths_of(s, i);
    int kept;

    if (rename(p.named, p.former) != 0 && errno != ENOENT)
        return PIXI_E_SYS;
    if (rename(p.ready, p.named) == 0)
        return PIXI_OK;
    kept = errno;
    rename(p.former, p.named);
    errno = kept;
    return PIXI_E_SYS;
}

static void take_back(const struct pixi_stage *s, size_t count)
{
    int kept = errno;

    while (count--) {
        struct paths p = paths_of(s, count);

        rename(p.named, p.ready);
        rename(p.former, p.named);
    }
    errno = kept;
}

int pixi_stage_publish(struct pixi_stage *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (publish_one(s, i) != PIXI_OK) {
            take_back(s, i);
            return PIXI_E_SYS;
        }
    return fsync(s->lock) == 0 || errno == EINVAL ? PIXI_OK : PIXI_E_SYS;
}

void pixi_stage_close(struct pixi_stage *s)
{
    int kept = errno;

    if (*s->work)
        remove_all(s->work);
    if (s->lock >= 0)
        close(s->lock);
    s->lock = -1;
    errno = kept;
}
