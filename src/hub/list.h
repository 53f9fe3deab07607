/* list.h -- base/list.h, by the name that the hub and the stores know it by. */
#ifndef PIXI_HUB_LIST_H
#define PIXI_HUB_LIST_H

#include "base/list.h"

#endif
