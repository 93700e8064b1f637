/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum op { OP_RECV = 1, OP_POLL, OP_SEND, OP_SEND_NOW, OP_CANCEL };

#define NOTHING_GIVEN UINT32_MAX
#define TURN_CQES_MAX 1024
#define CANCEL_TRIES 64
#define CANCEL_BATCH 256
#define RING_FREE_END UINT32_MAX
/* Waking up costs as much as some packets do: while TOGETHER_MIN datagrams of media came in a turn, the next one waits
 * for TOGETHER_MAX, but not for long. */
#define TOGETHER_MIN 2
#define TOGETHER_MAX 16
#define TOGETHER_US 200
#define ARM_AT_ONCE 8
#define BUFFERS_LOW (URING_BUFFERS / 4)   /* so many are held: they are given back before the wait, not after it */

/* A provided buffer ring and the memory behind it. */
struct group {
    struct io_uring_buf_ring *ring;
    uint8_t *mem;
    uint32_t size;                     /* of a buffer */
    uint32_t held;                     /* buffers on our side */
};

struct uring {
    struct io_uring ring;
    struct io_common *c;
    struct group groups[2];            /* by enum io_class */
    struct msghdr shape;               /* of received messages: room for name and control data */
    uint32_t given[IO_EVENTS_MAX];     /* buffers that the last turn's events point to */
    uint32_t given_n;
    uint32_t *idle;                    /* sockets whose request has ended */
    uint32_t idle_n;
    uint32_t tx_free;
    uint32_t quiet[IO_TX_MAX];         /* sends of OP_SEND_NOW since the last submission */
    uint32_t quiet_n;
    uint32_t media;                    /* datagrams of IO_SMALL in the last turn */
    bool ring_open;
};

static uint64_t pack(enum op op, uint32_t slot, uint32_t generation) {
    return (uint64_t)op << 56 | (uint64_t)(slot & 0xffffff) << 32 | generation;
}

static struct io_uring_sqe *get_sqe(struct uring *u) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe) {
        io_uring_submit(&u->ring);
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

/* Buffers: an id is the class in the high half, the kernel's buffer id in the low one. */

static uint8_t *buffer_at(struct group *g, uint32_t id) {
    return g->mem + (size_t)(id & 0xffff) * g->size;
}

static void give_back(struct uring *u, uint32_t id) {
    struct group *g = &u->groups[id >> 16];
    io_uring_buf_ring_add(g->ring, buffer_at(g, id), g->size, (unsigned short)(id & 0xffff),
                          io_uring_buf_ring_mask(URING_BUFFERS), 0);
    io_uring_buf_ring_advance(g->ring, 1);
    g->held--;
}

static void *map_pages(size_t n) {
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool open_group(struct uring *u, enum io_class class, uint32_t size) {
    struct group *g = &u->groups[class];
    g->size = size;
    g->ring = map_pages(URING_BUFFERS * sizeof(struct io_uring_buf));
    g->mem = map_pages((size_t)URING_BUFFERS * size);
    if (!g->ring || !g->mem)
        return false;
    io_uring_buf_ring_init(g->ring);
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)g->ring,
                                    .ring_entries = URING_BUFFERS,
                                    .bgid = (uint16_t)class };
    if (io_uring_register_buf_ring(&u->ring, &reg, 0) < 0)
        return false;
    g->held = URING_BUFFERS;
    for (uint32_t i = 0; i < URING_BUFFERS; i++)
        give_back(u, (uint32_t)class << 16 | i);
    return true;
}

static void close_group(struct group *g) {
    if (g->ring)
        munmap(g->ring, URING_BUFFERS * sizeof(struct io_uring_buf));
    if (g->mem)
        munmap(g->mem, (size_t)URING_BUFFERS * g->size);
}

/* Without deferred or cooperative task work each datagram costs an interrupt of this thread: then epoll is the
 * better. */
static bool open_ring(struct uring *u) {
    static const struct {
        unsigned flags;
        const char *name;
    } tries[] = {
        { IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "single_issuer, defer_taskrun" },
        { IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, "single_issuer, coop_taskrun" },
        { IORING_SETUP_COOP_TASKRUN, "coop_taskrun" },
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct io_uring_params p = { .flags = tries[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
                                     .cq_entries = URING_CQ_ENTRIES };
        if (io_uring_queue_init_params(URING_SQ_ENTRIES, &u->ring, &p) < 0)
            continue;
        u->ring_open = true;
        io_uring_register_ring_fd(&u->ring);
        snprintf(u->c->description, sizeof u->c->description, "io_uring (%s)", tries[i].name);
        return true;
    }
    return false;
}

/* Multishot recvmsg cannot be asked for by itself; it came in the release before this operation. */
static bool has_multishot_recvmsg(struct uring *u) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
    bool ok = probe && io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC);
    io_uring_free_probe(probe);
    return ok;
}

struct uring *uring_new(struct io_common *c, const char **why) {
    struct uring *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->c = c;
    u->shape = (struct msghdr){ .msg_namelen = UDP_NAME_MAX, .msg_controllen = UDP_CONTROL_MAX };
    u->idle = calloc(c->o.sockets_max, sizeof *u->idle);
    for (uint32_t i = 0; i < IO_TX_MAX; i++)
        c->tx[i].next_free = i + 1 < IO_TX_MAX ? i + 1 : RING_FREE_END;
    if (!u->idle)
        *why = "out of memory";
    else if (!open_ring(u))
        *why = "the kernel gives no io_uring (too old, or forbidden here)";
    else if (!has_multishot_recvmsg(u))
        *why = "io_uring of this kernel has no multishot recvmsg";
    else if (!open_group(u, IO_LARGE, IO_LARGE_BYTES) || !open_group(u, IO_SMALL, IO_SMALL_BYTES))
        *why = "io_uring of this kernel has no buffer rings";
    else
        return u;
    uring_free(u);
    return NULL;
}

static void forget_completions(struct uring *u, unsigned expected) {
    struct __kernel_timespec patience = { 0, 100000000 };
    struct io_uring_cqe *cqe;
    io_uring_submit_and_wait_timeout(&u->ring, &cqe, expected, &patience, NULL);
    io_uring_cq_advance(&u->ring, io_uring_cq_ready(&u->ring));
}

/* By name: to find whatever is left, the kernel goes through all of them for each one, which takes a minute for the
 * ports of 4000 calls. */
static void cancel_by_name(struct uring *u) {
    unsigned n = 0;
    for (uint32_t i = 0; i < u->c->o.sockets_max; i++) {
        const struct io_socket *s = &u->c->sockets[i];
        struct io_uring_sqe *sqe = s->fd >= 0 && s->armed ? get_sqe(u) : NULL;
        if (!sqe)
            continue;
        io_uring_prep_cancel64(sqe, pack(s->datagram ? OP_RECV : OP_POLL, i, s->generation), 0);
        io_uring_sqe_set_data64(sqe, pack(OP_CANCEL, 0, 0));
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        if (++n % CANCEL_BATCH == 0)
            forget_completions(u, CANCEL_BATCH);
    }
    forget_completions(u, n % CANCEL_BATCH);
}

/* The kernel lets go of a ring after its closing, and of the sockets with it: whoever binds their ports next would be
 * told that they are in use. */
static void cancel_all(struct uring *u) {
    struct io_uring_sync_cancel_reg all = { .fd = -1, .flags = IORING_ASYNC_CANCEL_ANY, .timeout = { 0, 100000000 } };
    cancel_by_name(u);
    /* Cancelled requests end when their completions are taken. */
    for (int tries = 0; tries < CANCEL_TRIES && io_uring_register_sync_cancel(&u->ring, &all) > 0; tries++)
        forget_completions(u, 1);
}

void uring_free(struct uring *u) {
    if (u->ring_open) {
        cancel_all(u);
        io_uring_queue_exit(&u->ring);
    }
    close_group(&u->groups[IO_LARGE]);
    close_group(&u->groups[IO_SMALL]);
    free(u->idle);
    free(u);
}

bool uring_arm(struct uring *u, uint32_t slot) {
    struct io_socket *s = &u->c->sockets[slot];
    struct io_uring_sqe *sqe = get_sqe(u);
    if (!sqe)
        return false;
    if (s->datagram) {
        io_uring_prep_recvmsg_multishot(sqe, s->fd, &u->shape, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = (uint16_t)s->class;
    } else {
        io_uring_prep_poll_multishot(sqe, s->fd, POLLIN | POLLOUT);
    }
    io_uring_sqe_set_data64(sqe, pack(s->datagram ? OP_RECV : OP_POLL, slot, s->generation));
    s->armed = true;
    return true;
}

void uring_disarm(struct uring *u, uint32_t slot) {
    struct io_socket *s = &u->c->sockets[slot];
    struct io_uring_sqe *sqe = s->armed ? get_sqe(u) : NULL;
    if (!sqe)
        return;
    io_uring_prep_cancel64(sqe, pack(s->datagram ? OP_RECV : OP_POLL, slot, s->generation), 0);
    io_uring_sqe_set_data64(sqe, pack(OP_CANCEL, 0, 0));
    /* Now, since the descriptor number may mean another file at the next submission. */
    io_uring_submit(&u->ring);
}

/* Buffers that nothing is in yet: what completed and was not taken has some. */
static bool has_buffers(struct uring *u, enum io_class class) {
    uint32_t held = u->groups[class].held;
    return class == IO_LARGE ? held < URING_BUFFERS
                             : held + io_uring_cq_ready(&u->ring) + ARM_AT_ONCE <= URING_BUFFERS;
}

/* With datagrams waiting a socket takes buffers as soon as it is armed. The one that finds none has been armed for
 * nothing, which costs more than a datagram: so only some at a time, while there are buffers. */
static void arm_idle(struct uring *u) {
    uint32_t kept = 0, armed = 0;
    for (uint32_t i = 0; i < u->idle_n; i++) {
        uint32_t slot = u->idle[i];
        struct io_socket *s = &u->c->sockets[slot];
        if (s->fd < 0 || s->armed)
            continue;
        if ((s->datagram && !has_buffers(u, s->class)) || !uring_arm(u, slot))
            u->idle[kept++] = slot;
        else if (++armed % ARM_AT_ONCE == 0)
            io_uring_submit(&u->ring);
    }
    u->idle_n = kept;
}

struct io_tx *uring_tx(struct uring *u) {
    if (u->tx_free == RING_FREE_END)
        return NULL;
    struct io_tx *tx = &u->c->tx[u->tx_free];
    u->tx_free = tx->next_free;
    return tx;
}

static void free_tx(struct uring *u, struct io_tx *tx) {
    if (tx->rx != IO_NO_RX)
        give_back(u, tx->rx);
    io_tx_done(u->c, tx);
    tx->next_free = u->tx_free;
    u->tx_free = (uint32_t)(tx - u->c->tx);
}

/* Media that cannot leave at once is dropped: so the send is done when it is submitted, and tells only of failure. */
static void prepare_now(struct uring *u, struct io_uring_sqe *sqe, const struct io_tx *tx) {
    io_uring_prep_sendmsg(sqe, u->c->sockets[tx->slot].fd, &tx->m.h, MSG_NOSIGNAL | MSG_DONTWAIT);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, pack(OP_SEND_NOW, tx->slot, 0));
    u->quiet[u->quiet_n++] = (uint32_t)(tx - u->c->tx);
}

void uring_send(struct uring *u, struct io_tx *tx) {
    if (tx->rx != IO_NO_RX) {
        uint32_t event = tx->rx;
        tx->rx = u->given[event];
        u->given[event] = NOTHING_GIVEN;
    }
    struct io_uring_sqe *sqe = get_sqe(u);
    if (!sqe) {
        metrics_add(u->c->o.metrics, M_send_errors, 1);
        free_tx(u, tx);
        return;
    }
    if (u->c->sockets[tx->slot].class == IO_SMALL) {
        prepare_now(u, sqe, tx);
        return;
    }
    io_uring_prep_sendmsg(sqe, u->c->sockets[tx->slot].fd, &tx->m.h, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, pack(OP_SEND, (uint32_t)(tx - u->c->tx), 0));
}

/* All of OP_SEND_NOW are done when they have been submitted. */
static void end_quiet(struct uring *u) {
    if (io_uring_sq_ready(&u->ring))
        return;
    for (uint32_t i = 0; i < u->quiet_n; i++)
        free_tx(u, &u->c->tx[u->quiet[i]]);
    u->quiet_n = 0;
}

void uring_push(struct uring *u) {
    io_uring_submit(&u->ring);
    end_quiet(u);
}

static uint32_t on_sent(struct uring *u, const struct io_uring_cqe *cqe, uint32_t index, struct io_event *ev) {
    struct io_tx *tx = &u->c->tx[index];
    bool told = false;
    if (cqe->res < 0)
        (void)io_send_failed(u->c, tx, -cqe->res, ev, &told);
    free_tx(u, tx);
    return told;
}

/* A request without F_MORE has ended, whatever its result. */
static void note_end(struct uring *u, uint32_t slot, const struct io_uring_cqe *cqe) {
    struct io_socket *s = &u->c->sockets[slot];
    if ((cqe->flags & IORING_CQE_F_MORE) || !s->armed)
        return;
    s->armed = false;
    if (u->idle_n < u->c->o.sockets_max)
        u->idle[u->idle_n++] = slot;
}

static bool read_datagram(struct uring *u, uint32_t slot, uint32_t id, int res, struct io_event *ev) {
    struct io_uring_recvmsg_out *o = io_uring_recvmsg_validate(buffer_at(&u->groups[id >> 16], id), res, &u->shape);
    if (!o)
        return false;
    struct msghdr h = { .msg_name = io_uring_recvmsg_name(o), .msg_namelen = o->namelen, .msg_flags = (int)o->flags };
    h.msg_control = (uint8_t *)h.msg_name + u->shape.msg_namelen;
    h.msg_controllen = o->controllen;
    ev->data = io_uring_recvmsg_payload(o, &u->shape);
    ev->n = io_uring_recvmsg_payload_length(o, res, &u->shape);
    return io_received(u->c, &u->c->sockets[slot], &h, ev);
}

static uint32_t on_received(struct uring *u, const struct io_uring_cqe *cqe, uint32_t slot, bool live,
                            struct io_event *ev) {
    struct io_socket *s = &u->c->sockets[slot];
    if (!(cqe->flags & IORING_CQE_F_BUFFER)) {
        if (cqe->res == -ENOBUFS)
            metrics_add(u->c->o.metrics, M_recv_starved, 1);
        return 0;
    }
    uint32_t id = (uint32_t)s->class << 16 | cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    u->groups[id >> 16].held++;
    if (!live || !read_datagram(u, slot, id, cqe->res, ev)) {
        give_back(u, id);
        return 0;
    }
    ev->rx = u->given_n;
    u->given[u->given_n++] = id;
    u->media += s->class == IO_SMALL;
    return 1;
}

static uint32_t on_cqe(struct uring *u, const struct io_uring_cqe *cqe, struct io_event *ev, uint32_t room) {
    enum op op = (enum op)(cqe->user_data >> 56);
    uint32_t slot = (uint32_t)(cqe->user_data >> 32) & 0xffffff;
    if (op == OP_SEND)
        return on_sent(u, cqe, slot, ev);
    if (op == OP_SEND_NOW)
        metrics_add(u->c->o.metrics, M_send_errors, 1);
    if (op == OP_SEND_NOW || op == OP_CANCEL)
        return 0;
    struct io_socket *s = &u->c->sockets[slot];
    bool live = s->fd >= 0 && s->generation == (uint32_t)cqe->user_data;
    if (live)
        note_end(u, slot, cqe);
    if (op == OP_RECV) {
        uint32_t n = on_received(u, cqe, slot, live, ev);
        return n || !live || cqe->res >= 0 || cqe->res == -ENOBUFS ? n : io_read_errors(s, ev, room);
    }
    if (!live || cqe->res < 0)
        return 0;
    *ev = (struct io_event){ .kind = IO_READY, .tag = s->tag };
    return 1;
}

static uint32_t reap(struct uring *u, struct io_event *events) {
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    uint32_t n = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe) {
        if (n == IO_EVENTS_MAX || seen == TURN_CQES_MAX)
            break;
        n += on_cqe(u, cqe, &events[n], IO_EVENTS_MAX - n);
        seen++;
    }
    io_uring_cq_advance(&u->ring, seen);
    return n;
}

static void submit_and_wait(struct uring *u, uint64_t timeout_us) {
    if (timeout_us == 0 || io_uring_cq_ready(&u->ring)) {
        io_uring_submit_and_get_events(&u->ring);
        return;
    }
    struct io_uring_cqe *cqe;
    bool together = u->media >= TOGETHER_MIN;
    if (together && timeout_us > TOGETHER_US)
        timeout_us = TOGETHER_US;
    struct __kernel_timespec ts = { (long long)(timeout_us / 1000000), (long long)(timeout_us % 1000000) * 1000 };
    io_uring_submit_and_wait_timeout(&u->ring, &cqe, together ? TOGETHER_MAX : 1,
                                    timeout_us == UINT64_MAX ? NULL : &ts, NULL);
}

uint32_t uring_turn(struct uring *u, uint64_t timeout_us, struct io_event *events) {
    for (uint32_t i = 0; i < u->given_n; i++)
        if (u->given[i] != NOTHING_GIVEN)
            give_back(u, u->given[i]);
    u->given_n = 0;
    if (u->groups[IO_SMALL].held >= BUFFERS_LOW)
        uring_push(u);
    arm_idle(u);
    submit_and_wait(u, timeout_us);
    end_quiet(u);
    u->media = 0;
    return reap(u, events);
}
