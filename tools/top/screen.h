// The terminal: curses, and nothing of it anywhere else.
#ifndef TOKFS_TOP_SCREEN_H
#define TOKFS_TOP_SCREEN_H

#include "engine/base/str.h"

void screen_open(void);
void screen_close(void);
size_t screen_height(void);
// The lines from first_line on of what follows n_head lines, which stay.
void screen_show(struct str text, size_t n_head, size_t first_line);

enum screen_key { KEY_NONE_YET, KEY_QUIT, KEY_LINE_UP, KEY_LINE_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_NOW };
enum screen_key screen_wait(int timeout_ms); // NONE_YET: the time is up

#endif
