#include "tools/top/screen.h"
#include <curses.h>
#include <locale.h>

void screen_open(void)
{
    setlocale(LC_CTYPE, "");
    initscr();
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
}

void screen_close(void)
{
    endwin();
}

size_t screen_height(void)
{
    return LINES > 0 ? (size_t)LINES : 1;
}

void screen_show(struct str text, size_t n_head, size_t first_line)
{
    erase();
    for (size_t line_idx = 0, row = 0; text.len > 0 && row < screen_height(); line_idx++) {
        struct str line;
        text = str_cut(text, '\n', &line);
        if (line_idx >= n_head && line_idx < n_head + first_line) {
            continue;
        }
        attrset(line_idx + 1 == n_head ? A_REVERSE : line_idx == 0 ? A_BOLD : A_NORMAL);
        mvaddnstr((int)row++, 0, line.ptr, line.len < 4096 ? (int)line.len : 4096);
    }
    attrset(A_NORMAL);
    refresh();
}

enum screen_key screen_wait(int timeout_ms)
{
    timeout(timeout_ms);
    switch (getch()) {
    case 'q':
    case 'Q': return KEY_QUIT;
    case KEY_UP:
    case 'k': return KEY_LINE_UP;
    case KEY_DOWN:
    case 'j': return KEY_LINE_DOWN;
    case KEY_PPAGE: return KEY_PAGE_UP;
    case KEY_NPAGE: return KEY_PAGE_DOWN;
    case ' ':
    case KEY_RESIZE: return KEY_NOW;
    default: return KEY_NONE_YET;
    }
}
