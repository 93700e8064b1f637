/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN 8u
#define MESSAGE_MAX (MAILBOX_RING_BYTES / 4)
#define ORDINARY_MAX (MAILBOX_RING_BYTES / 4 * 3)

/* In front of each message; size with itself, a multiple of ALIGN. kind 0: the rest of the ring is left out. */
struct entry {
    uint32_t size;
    struct mail mail;
};
_Static_assert(sizeof(struct entry) % ALIGN == 0, "bytes behind it are aligned");

/* Positions rise for ever; MAILBOX_RING_BYTES is a power of two. Each half on cache lines of its own. */
struct ring {
    uint8_t *mem;
    struct {
        _Alignas(64) uint64_t head; /* as far as it may be read */
        uint64_t put;               /* as far as it is written */
        uint64_t tail_seen;
    } w;
    struct {
        _Alignas(64) uint64_t tail; /* as far as it may be written again */
        uint64_t next;              /* as far as it was given out */
    } r;
};

struct end {
    _Alignas(64) uint32_t asleep;   /* set by its own thread, cleared by whoever wakes it */
    _Alignas(64) int fd;
    uint32_t turn;                  /* whose ring is read first */
    uint64_t unflushed;             /* rings of this writer, by reader */
};

struct mailbox {
    uint32_t n;
    uint8_t *mem;
    struct end *ends;
    struct ring *rings;             /* by reader, then by writer: one reader's stand together */
};

static struct ring *ring_of(const struct mailbox *m, uint32_t from, uint32_t to) {
    return &m->rings[to * m->n + from];
}

/* ---- laying out */

static bool open_ends(struct mailbox *m) {
    bool ok = true;
    for (uint32_t i = 0; i < m->n; i++) {
        m->ends[i].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        ok = ok && m->ends[i].fd >= 0;
    }
    return ok;
}

static bool open_rings(struct mailbox *m) {
    size_t bytes = (size_t)m->n * m->n * MAILBOX_RING_BYTES;
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED)
        return false;
    m->mem = mem;
    for (uint32_t i = 0; i < m->n * m->n; i++)
        m->rings[i].mem = m->mem + (size_t)i * MAILBOX_RING_BYTES;
    return true;
}

static void *aligned_zeroed(size_t n) {
    size_t rounded = (n + 63) / 64 * 64;
    void *p = aligned_alloc(64, rounded);
    if (p)
        memset(p, 0, rounded);
    return p;
}

struct mailbox *mailbox_new(uint32_t shards) {
    struct mailbox *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->ends = aligned_zeroed(shards * sizeof *m->ends);
    m->rings = aligned_zeroed((size_t)shards * shards * sizeof *m->rings);
    m->n = m->ends ? shards : 0;
    if (m->ends && m->rings && open_ends(m) && open_rings(m))
        return m;
    mailbox_free(m);
    return NULL;
}

void mailbox_free(struct mailbox *m) {
    if (!m)
        return;
    for (uint32_t i = 0; i < m->n; i++)
        if (m->ends[i].fd > 0)
            close(m->ends[i].fd);
    if (m->mem)
        munmap(m->mem, (size_t)m->n * m->n * MAILBOX_RING_BYTES);
    free(m->ends);
    free(m->rings);
    free(m);
}

int mailbox_fd(const struct mailbox *m, uint32_t me) {
    return m->ends[me].fd;
}

/* ---- writing */

static uint64_t room(struct ring *r, uint64_t size, uint64_t most) {
    if (r->w.put + size - r->w.tail_seen > most)
        r->w.tail_seen = __atomic_load_n(&r->r.tail, __ATOMIC_ACQUIRE);
    return r->w.put + size - r->w.tail_seen <= most;
}

static void write_entry(struct ring *r, const struct entry *e) {
    memcpy(r->mem + r->w.put % MAILBOX_RING_BYTES, e, sizeof *e);
}

/* A message lies in one piece: where the end of the ring is too near, it is left out. */
static bool put(struct ring *r, struct entry *e, uint64_t most) {
    uint64_t to_end = MAILBOX_RING_BYTES - r->w.put % MAILBOX_RING_BYTES;
    uint64_t skipped = to_end < e->size ? to_end : 0;
    if (!room(r, skipped + e->size, most))
        return false;
    if (skipped >= sizeof *e)
        write_entry(r, &(struct entry){ .size = (uint32_t)skipped });
    r->w.put += skipped;
    write_entry(r, e);
    if (e->mail.bytes.n)
        memcpy(r->mem + r->w.put % MAILBOX_RING_BYTES + sizeof *e, e->mail.bytes.p, e->mail.bytes.n);
    r->w.put += e->size;
    return true;
}

bool mailbox_put(struct mailbox *m, uint32_t me, uint32_t to, const struct mail *mail, bool urgent) {
    size_t size = (sizeof(struct entry) + (size_t)mail->bytes.n + ALIGN - 1) / ALIGN * ALIGN;
    if (to >= m->n || to == me || size > MESSAGE_MAX)
        return false;
    struct entry e = { .size = (uint32_t)size, .mail = *mail };
    e.mail.from = me;
    if (!put(ring_of(m, me, to), &e, urgent ? MAILBOX_RING_BYTES : ORDINARY_MAX))
        return false;
    m->ends[me].unflushed |= UINT64_C(1) << to;
    return true;
}

/* The head is written before the mark is read, and the mark before the head by who goes to sleep (all of it
 * sequentially consistent): one of the two sees the other's. */
static void wake(struct end *e) {
    static const uint64_t one = 1;
    if (!__atomic_load_n(&e->asleep, __ATOMIC_SEQ_CST) || !__atomic_exchange_n(&e->asleep, 0, __ATOMIC_SEQ_CST))
        return;
    ssize_t n = write(e->fd, &one, sizeof one);
    (void)n; /* cannot fail before 2^64 messages */
}

void mailbox_flush(struct mailbox *m, uint32_t me) {
    uint64_t todo = m->ends[me].unflushed;
    m->ends[me].unflushed = 0;
    for (; todo; todo &= todo - 1) {
        uint32_t to = (uint32_t)__builtin_ctzll(todo);
        struct ring *r = ring_of(m, me, to);
        __atomic_store_n(&r->w.head, r->w.put, __ATOMIC_SEQ_CST);
        wake(&m->ends[to]);
    }
}

/* ---- reading */

/* What was given out before has been read by now. */
static bool take(struct ring *r, struct mail *out) {
    __atomic_store_n(&r->r.tail, r->r.next, __ATOMIC_RELEASE);
    uint64_t head = __atomic_load_n(&r->w.head, __ATOMIC_ACQUIRE);
    while (r->r.next != head) {
        uint64_t at = r->r.next % MAILBOX_RING_BYTES, to_end = MAILBOX_RING_BYTES - at;
        struct entry e;
        if (to_end < sizeof e) {
            r->r.next += to_end;
            continue;
        }
        memcpy(&e, r->mem + at, sizeof e);
        r->r.next += e.size;
        if (!e.mail.kind)
            continue;
        *out = e.mail;
        out->bytes.p = (const char *)(r->mem + at + sizeof e);
        return true;
    }
    return false;
}

bool mailbox_next(struct mailbox *m, uint32_t me, struct mail *out) {
    struct end *e = &m->ends[me];
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t from = (e->turn + i) % m->n;
        if (from == me || !take(ring_of(m, from, me), out))
            continue;
        e->turn = from + 1;
        return true;
    }
    return false;
}

bool mailbox_sleep(struct mailbox *m, uint32_t me) {
    __atomic_store_n(&m->ends[me].asleep, 1, __ATOMIC_SEQ_CST);
    for (uint32_t from = 0; from < m->n; from++) {
        struct ring *r = ring_of(m, from, me);
        if (from == me || __atomic_load_n(&r->w.head, __ATOMIC_SEQ_CST) == r->r.next)
            continue;
        mailbox_awake(m, me);
        return false;
    }
    return true;
}

void mailbox_awake(struct mailbox *m, uint32_t me) {
    __atomic_store_n(&m->ends[me].asleep, 0, __ATOMIC_SEQ_CST);
}
