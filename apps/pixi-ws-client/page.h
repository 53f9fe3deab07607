/* page.h -- the pages of docs/errors/, as `explain` shows them. tools/embed-pages makes their array at the build. */
#ifndef PIXI_WS_CLIENT_PAGE_H
#define PIXI_WS_CLIENT_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* VALUE: an error's number. CASE: no code, a case of what another page tells about. */
enum page_kind { PAGE_EXIT, PAGE_CLOSE, PAGE_RPC, PAGE_HTTP, PAGE_ERROR, PAGE_VALUE, PAGE_CASE };

/* What a page answers to. */
struct page_key {
    enum page_kind kind;
    const char *name; /* ERROR: "WS_RSV"; else NULL */
    long first, last; /* else: the code, or the first and the last of several */
};

struct page {
    const char *name;            /* of its file, without ".md" */
    const struct page_key *keys; /* in the order of the page */
    size_t key_count;
    const char *title, *text; /* Markdown, behind the title */
};

extern const struct page pages[];
extern const size_t page_count;
extern const char page_words[]; /* all that can be asked for, by blanks: for completion */

/* page_find -- by code, by a page's name, or by an error's name, written in any way. NULL: none. */
const struct page *page_find(const char *asked);
/* page_nearest -- the name or code that was meant, perhaps; NULL. Static, or written to out. */
const char *page_nearest(const char *asked, char out[64]);

enum page_look { PAGE_PLAIN, PAGE_BOLD };
/* page_print -- on standard output, at most 80 columns. */
void page_print(const struct page *p, enum page_look look);

#endif
