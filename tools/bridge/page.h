// The chat page: page.html, made a constant while building (embed.c).
#ifndef TOKFS_BRIDGE_PAGE_H
#define TOKFS_BRIDGE_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_html_len;

#endif
