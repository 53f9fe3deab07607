/* alloc_test.h -- counts a test program's allocations, and makes the nth fail. For one file of the program. */
#ifndef PIXI_HUB_ALLOC_TEST_H
#define PIXI_HUB_ALLOC_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static unsigned long alloc_count;       /* so far */
static unsigned long alloc_fail_at = 0; /* the allocation with this count fails, once; 0: none */

#ifdef PIXI_WRAP_MALLOC
/* Linked with --wrap, because valgrind puts its own functions in the place of any malloc. */
extern void *__real_malloc(size_t);
extern void *__real_calloc(size_t, size_t);
extern void *__real_realloc(void *, size_t);
#define ALLOC_OURS(name) __wrap_##name
#define ALLOC_REAL(name) __real_##name
#else
/* AddressSanitizer's, if it is linked in; else libc's. */
extern void *__interceptor_malloc(size_t) __attribute__((weak));
extern void *__interceptor_calloc(size_t, size_t) __attribute__((weak));
extern void *__interceptor_realloc(void *, size_t) __attribute__((weak));
extern void *__libc_malloc(size_t) __attribute__((weak));
extern void *__libc_calloc(size_t, size_t) __attribute__((weak));
extern void *__libc_realloc(void *, size_t) __attribute__((weak));
#define ALLOC_OURS(name) name
#define ALLOC_REAL(name) (__interceptor_##name ? __interceptor_##name : __libc_##name)
#endif

static bool alloc_fails(void)
{
    if (++alloc_count != alloc_fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

void *ALLOC_OURS(malloc)(size_t len)
{
    return alloc_fails() ? NULL : ALLOC_REAL(malloc)(len);
}

void *ALLOC_OURS(calloc)(size_t count, size_t len)
{
    return alloc_fails() ? NULL : ALLOC_REAL(calloc)(count, len);
}

void *ALLOC_OURS(realloc)(void *old, size_t len)
{
    return alloc_fails() ? NULL : ALLOC_REAL(realloc)(old, len);
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
