/* log.h -- lines for the operator, on standard error. Called at the edges only: programs and servers, never the core,
 * never a library. Nothing secret goes in. */
#ifndef PIXI_BASE_LOG_H
#define PIXI_BASE_LOG_H

enum pixi_log_level { PIXI_LOG_ERROR, PIXI_LOG_WARNING, PIXI_LOG_INFO, PIXI_LOG_DEBUG };

/* pixi_log_level -- print lines of this level and more serious ones. PIXI_LOG_INFO at first. */
void pixi_log_set_level(enum pixi_log_level level);

/* pixi_log -- one line: time (UTC), level, text. Line breaks and control characters in it are shown escaped. */
void pixi_log(enum pixi_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
