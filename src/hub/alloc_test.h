/* alloc_test.h -- counts a test program's allocations, and makes the nth fail. For one file of the program. */
#ifndef PIXI_HUB_ALLOC_TEST_H
#define PIXI_HUB_ALLOC_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static unsigned long alloc_count;       /* so far */
static unsigned long alloc_fail_at = 0; /* the allocation with this count fails, once; 0: none */

/* AddressSanitizer's, if it is linked in; else libc's. */
extern void *__interceptor_malloc(size_t) __attribute__((weak));
extern void *__interceptor_calloc(size_t, size_t) __attribute__((weak));
extern void *__interceptor_realloc(void *, size_t) __attribute__((weak));
extern void *__libc_malloc(size_t) __attribute__((weak));
extern void *__libc_calloc(size_t, size_t) __attribute__((weak));
extern void *__libc_realloc(void *, size_t) __attribute__((weak));

static bool alloc_fails(void)
{
    if (++alloc_count != alloc_fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t len)
{
    if (alloc_fails())
        return NULL;
    return __interceptor_malloc ? __interceptor_malloc(len) : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    if (alloc_fails())
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(count, len) : __libc_calloc(count, len);
}

void *realloc(void *old, size_t len)
{
    if (alloc_fails())
        return NULL;
    return __interceptor_realloc ? __interceptor_realloc(old, len) : __libc_realloc(old, len);
}

/* Runs `run`, which cleans up after itself, with its 1st, 2nd, ... allocation failing, until it needs fewer than that.
 * Returns how many failed. */
static inline unsigned long alloc_torture(void (*run)(void))
{
    unsigned long n = 0, before;

    do {
        before = alloc_count;
        alloc_fail_at = before + ++n;
        run();
    } while (alloc_count >= alloc_fail_at);
    alloc_fail_at = 0;
    return n - 1;
}

#endif
