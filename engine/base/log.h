// One-line messages to the operator: standard error, or syslog once the process has left its terminal. Where standard
// error leads into the journal of systemd ($JOURNAL_STREAM names it), lines carry their level for it.
#ifndef TOKFS_BASE_LOG_H
#define TOKFS_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };

bool log_is_journal(void); // whether standard error leads there
// The only mutable file-scope state of the libraries. Call before threads start.
void log_setup(const char *program, enum log_level level, enum log_target target);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
