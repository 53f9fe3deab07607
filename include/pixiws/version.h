/* pixiws/version.h -- which version of the library this is, when compiled and when run. */
#ifndef PIXIWS_VERSION_H
#define PIXIWS_VERSION_H

/* Of the headers. Within one major version programs go on working with a newer library. */
#define PIXIWS_VERSION_MAJOR 0
#define PIXIWS_VERSION_MINOR 1
#define PIXIWS_VERSION_PATCH 0

/* What the library exports; everything else in it is hidden. */
#define PIXI_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* pixi_version -- "0.1.0": of the library that runs. Static. */
PIXI_API const char *pixi_version(void);

/* pixi_version_number -- the same as a number to compare: major * 10000 + minor * 100 + patch. */
PIXI_API int pixi_version_number(void);

#ifdef __cplusplus
}
#endif
#endif
