/* stage.h -- files that get their names together: written into a folder of their own, moved when all are complete. */
#ifndef PIXI_IMAGE_STAGE_H
#define PIXI_IMAGE_STAGE_H

#include "base/buf.h"

enum { PIXI_STAGE_PATH = 1024, PIXI_STAGE_NAMES = 16 };

struct pixi_stage {
    char folder[PIXI_STAGE_PATH / 2]; /* where they go to */
    char work[PIXI_STAGE_PATH];       /* where they are written: a hidden folder in it */
    char names[PIXI_STAGE_NAMES][256];
    size_t count;
    int lock; /* -1: none */
};

/* pixi_stage_open -- makes the folder where it is missing, locks it, and clears what a build that was killed has left.
 *
 *   name  of the hidden folder
 *
 *   PIXI_OK | PIXI_E_SYS: errno is kept; EWOULDBLOCK: another one is at work there. pixi_stage_close is due on any answer */
int pixi_stage_open(struct pixi_stage *s, const char *folder, const char *name);

/* pixi_stage_path -- where to write the file or folder that will be called name. false: too long, or too many. */
bool pixi_stage_path(struct pixi_stage *s, const char *name, char out[PIXI_STAGE_PATH]);

/* pixi_stage_publish -- moves everything to its name. What had that name is gone then; on an error all of it is back.
 *   PIXI_OK | PIXI_E_SYS: errno is kept */
int pixi_stage_publish(struct pixi_stage *s);

/* pixi_stage_close -- removes what was not published, and the lock. */
void pixi_stage_close(struct pixi_stage *s);

#endif
