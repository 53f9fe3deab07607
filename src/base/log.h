/* log.h -- lines for the operator, on standard error. Called at the edges only: programs and servers, never the core,
 * never a library. Nothing secret goes in. */
#ifndef PIXI_BASE_LOG_H
#define PIXI_BASE_LOG_H

enum pixi_log_level { PIXI_LOG_ERROR, PIXI_LOG_WARNING, PIXI_LOG_INFO, PIXI_LOG_DEBUG };
enum pixi_log_format { PIXI_LOG_TEXT, PIXI_LOG_JSON };

/* pixi_log_set_level -- print lines of this level and more serious ones. PIXI_LOG_INFO at first.
 * pixi_log_set_format -- PIXI_LOG_TEXT at first. */
void pixi_log_set_level(enum pixi_log_level level);
void pixi_log_set_format(enum pixi_log_format format);

/* pixi_log -- one line: time (UTC), level, text; or {"time", "level", "message"} as JSON. The text may hold what a peer
 * sent: it cannot end the line, and cannot command a terminal. What is not UTF-8, a control character, one that turns
 * the direction of writing, or a backslash is shown as \xNN, \u{NNNN} or \\; in JSON escaped as JSON does, and bytes
 * that are not UTF-8 as U+FFFD. A text over 1,023 bytes is cut short. */
void pixi_log(enum pixi_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
