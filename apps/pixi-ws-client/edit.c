#include "pixi-ws-client/edit.h"

#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { HISTORY_MAX = 500, PROMPT_COLUMNS = 2, TAB = 8 };

static const char *prompt(EditLine *el)
{
    (void)el;
    return "> ";
}

bool edit_is_possible(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static void on_ready(struct pixi_watch *w, uint32_t events)
{
    struct edit *e = (struct edit *)((char *)w - offsetof(struct edit, watch));
    ssize_t n = read(w->fd, e->bytes, sizeof e->bytes);

    (void)events;
    pixi_loop_unwatch(e->loop, w); /* until this is used up */
    e->at = 0;
    e->len = n > 0 ? (size_t)n : 0;
    e->is_gone = n <= 0;
}

/* The next character out of what was typed; false: it takes more bytes. */
static bool take(struct edit *e, wchar_t *out)
{
    while (e->at < e->len) {
        size_t n = mbrtowc(out, e->bytes + e->at, e->len - e->at, &e->state);

        if (n == (size_t)-2) { /* the rest of it comes; state remembers the beginning */
            e->at = e->len;
            return false;
        }
        e->at += n == (size_t)-1 || n == 0 ? 1 : n;
        if (n != (size_t)-1)
            return true;
        e->state = (mbstate_t){0}; /* a byte that begins no character: passed over */
    }
    return false;
}

/* libedit asks for a character: the loop goes on until there is one, also in the middle of a key such as an arrow. */
static int get(EditLine *el, wchar_t *out)
{
    struct edit *e;
    bool is_taken;

    el_get(el, EL_CLIENTDATA, &e);
    e->is_waiting = true;
    while (!(is_taken = take(e, out)) && !e->is_over && !e->is_gone) {
        if (!e->watch.is_watched && pixi_loop_watch(e->loop, &e->watch, EPOLLIN) != PIXI_OK)
            break;
        if (pixi_loop_turn(e->loop, -1) != PIXI_OK)
            break;
    }
    e->is_waiting = false;
    return is_taken && !e->is_over ? 1 : 0;
}

int edit_open(struct edit *e, struct pixi_loop *loop)
{
    HistEvent event;

    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) /* what is sent is UTF-8 whatever the environment says */
        setlocale(LC_CTYPE, "C.UTF-8");
    e->loop = loop;
    e->watch = (struct pixi_watch){.fd = STDIN_FILENO, .on_ready = on_ready};
    e->history = history_init();
    e->el = el_init("pixi-ws-client", stdin, stdout, stderr);
    if (!e->history || !e->el)
        return PIXI_E_NOMEM;
    history(e->history, &event, H_SETSIZE, HISTORY_MAX);
    history(e->history, &event, H_SETUNIQUE, 1);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT, prompt);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_SIGNAL, 0);
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_GETCFN, get);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return PIXI_OK;
}

static void take_line(struct edit *e, const char *line, int count)
{
    HistEvent event;

    if (count > 0 && line[count - 1] == '\n')
        count--;
    if (count > 0)
        history(e->history, &event, H_ENTER, line);
    e->on_line(e, pixi_cur_init((const uint8_t *)line, (size_t)count));
}

/* The terminal is prepared before the prompt is there, so that what is typed at once is not echoed by the system. */
static const char *read_line(struct edit *e, int *count)
{
    el_set(e->el, EL_PREP_TERM, 1);
    return el_gets(e->el, count);
}

void edit_run(struct edit *e)
{
    const char *line;
    int count;

    while (!e->is_over && (line = read_line(e, &count)) && count > 0) {
        take_line(e, line, count);
        while (e->is_paused && !e->is_over && pixi_loop_turn(e->loop, -1) == PIXI_OK)
            ;
    }
    if (e->is_over)
        return;
    e->is_over = true;
    putchar('\n');
    fflush(stdout);
    e->on_end(e);
}

/* Columns from the beginning of the prompt to the cursor. */
static int columns_before_cursor(const struct edit *e)
{
    const LineInfoW *line = el_wline(e->el);
    int at = PROMPT_COLUMNS;

    for (const wchar_t *p = line->buffer; p < line->cursor; p++) {
        int width = wcwidth(*p);

        if (*p == '\t')
            at += TAB - at % TAB;
        else
            at += width >= 0 ? width : 2; /* a control character is shown as ^X */
    }
    return at;
}

void edit_hide(struct edit *e)
{
    int columns = 0, up;

    if (!e->is_waiting || e->is_hidden)
        return;
    el_get(e->el, EL_GETTC, "co", &columns);
    up = columns > 0 ? columns_before_cursor(e) / columns : 0;
    if (up)
        printf("\033[%dA", up);
    fputs("\r\033[J", stdout);
    fflush(stdout);
    e->is_hidden = true;
}

void edit_show(struct edit *e)
{
    fflush(stdout);
    if (!e->is_hidden)
        return;
    e->is_hidden = false;
    if (e->is_waiting && !e->is_over)
        el_set(e->el, EL_REFRESH);
}

void edit_resize(struct edit *e)
{
    if (e->el)
        el_resize(e->el);
}

void edit_stop(struct edit *e)
{
    edit_hide(e);
    e->is_over = true;
}

void edit_pause(struct edit *e)
{
    e->is_paused = true;
}

void edit_resume(struct edit *e)
{
    e->is_paused = false;
}

void edit_close(struct edit *e)
{
    if (e->loop)
        pixi_loop_unwatch(e->loop, &e->watch);
    if (e->el)
        el_end(e->el);
    if (e->history)
        history_end(e->history);
    explicit_bzero(e, sizeof *e);
}
