// Intrusive doubly linked list with a head that is itself a link. A link that is in no list points to itself, so that
// removing twice is harmless and membership can be asked.
#ifndef TOKFS_FS_LIST_H
#define TOKFS_FS_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

// Safe against removal of `it` itself (`tmp` is the one after it), not of others.
#define list_for_each(it, tmp, head)                                                                                   \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

static inline void list_init(struct list *link)
{
    link->prev = link->next = link;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

#endif
