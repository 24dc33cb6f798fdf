// What is shown of two looks at a mount: lines of text, the same on a terminal and in a script.
#ifndef TOKFS_TOP_VIEW_H
#define TOKFS_TOP_VIEW_H

#include "tools/top/sample.h"

#define VIEW_HEAD_LINES 5 // before the lines of sessions; the last is their heading

// before: the look before `now`; NULL: there was none, and rates are not known. Running sessions first, then those that
// wait, then the others, most recently used first.
int view_write(const struct sample *before, const struct sample *now, const char *mount_dir, struct strbuf *out);

#endif
