/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/link.h"

#include "core/base/member.h"
#include "core/runtime/stream.h"
#include "core/runtime/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_US 200000
#define RETRY_DOUBLINGS 4
#define GONE_DOUBLINGS 2    /* who wakes is reached before it acts by what it knew */
#define FIRST_US 2000000    /* of a peer that is new: so long what is sent to it waits for the connection */
#define CHALLENGE_LEN 16
#define HELLO_LEN (4 + SHA256_DIGEST_SIZE)

static void hello_mac(const struct link *k, const uint8_t challenge[CHALLENGE_LEN], uint32_t from, uint32_t to,
                      uint8_t mac[SHA256_DIGEST_SIZE]) {
    struct hmac_sha256_ctx h;
    uint8_t nodes[8];
    for (unsigned i = 0; i < 4; i++) {
        nodes[i] = (uint8_t)(from >> (24 - 8 * i));
        nodes[4 + i] = (uint8_t)(to >> (24 - 8 * i));
    }
    hmac_sha256_set_key(&h, LINK_SECRET_LEN, k->secret);
    hmac_sha256_update(&h, CHALLENGE_LEN, challenge);
    hmac_sha256_update(&h, sizeof nodes, nodes);
    hmac_sha256_digest(&h, SHA256_DIGEST_SIZE, mac);
}

/* ---- connections ---- */

static bool make_buffers(struct link_conn *c) {
    c->in = c->in ? c->in : malloc(LINK_IN_BYTES);
    c->out = c->out ? c->out : malloc(LINK_OUT_BYTES);
    return c->in && c->out;
}

static uint64_t retry_us(const struct link_conn *c) {
    uint32_t most = c->gone_us ? GONE_DOUBLINGS : RETRY_DOUBLINGS;
    return (uint64_t)RETRY_US << (c->failures < most ? c->failures : most);
}

static void drop_conn(struct link *k, struct link_conn *c) {
    if (c->fd < 0)
        return;
    io_remove(k->io, c->slot);
    close(c->fd);
    c->fd = -1;
    c->in_n = c->in_at = c->out_n = c->out_at = 0;
    c->up = c->readable = false;
    c->again_us = k->now_us + retry_us(c);
    c->failures += c->failures < RETRY_DOUBLINGS;
    k->due_us = 0;
}

static bool watch(struct link *k, struct link_conn *c, int fd, uint32_t which) {
    const int silent = LINK_SILENT_MS;
    stream_tune(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof silent);
    c->slot = make_buffers(c) ? io_watch(k->io, fd, k->tag_base + which) : -1;
    if (c->slot < 0) {
        close(fd);
        return false;
    }
    c->fd = fd;
    c->since_us = k->now_us;
    k->due_us = 0;
    return true;
}

static void connect_to(struct link *k, uint32_t i) {
    struct link_conn *c = &k->to[i];
    struct sockaddr_storage sa;
    socklen_t n = udp_to_sockaddr(&c->to, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    c->again_us = k->now_us + retry_us(c);
    k->due_us = 0;
    if (fd < 0 || !watch(k, c, fd, 1 + i))
        return;
    if (connect(fd, (struct sockaddr *)&sa, n) != 0 && errno != EINPROGRESS)
        drop_conn(k, c);
}

/* A free place, else that of the stranger who has been silent for longest. NULL: known ones have all. */
static struct link_conn *place(struct link *k) {
    struct link_conn *oldest = NULL;
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++) {
        struct link_conn *c = &k->from[i];
        if (c->fd < 0)
            return c;
        if (!c->up && (!oldest || c->since_us < oldest->since_us))
            oldest = c;
    }
    if (oldest)
        drop_conn(k, oldest);
    return oldest;
}

static void accept_all(struct link *k) {
    int fd;
    while ((fd = accept4(k->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct link_conn *c = place(k);
        if (!c) {
            close(fd);
            continue;
        }
        if (!watch(k, c, fd, 1 + LINK_NODES_MAX + (uint32_t)(c - k->from)))
            continue;
        c->node = 0;
        if (getrandom(c->challenge, CHALLENGE_LEN, 0) != CHALLENGE_LEN ||
            send(fd, c->challenge, CHALLENGE_LEN, MSG_NOSIGNAL) != CHALLENGE_LEN)
            drop_conn(k, c);
    }
}

/* ---- out ---- */

static void flush(struct link *k, struct link_conn *c) {
    while (c->fd >= 0 && c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            drop_conn(k, c);
            return;
        }
        c->out_at += (uint32_t)n;
    }
    c->out_n = c->out_at = 0;
}

/* Before its hello nothing leaves; see greet(). */
static bool send_to(struct link *k, struct link_conn *c, const struct link_frame *f) {
    bool waits = !c->up && !c->failures && k->now_us < c->first_us && make_buffers(c);
    if (!c->up && !waits)
        return false;
    if (c->out_at && LINK_OUT_BYTES - c->out_n < LINK_FRAME_MAX) {
        memmove(c->out, c->out + c->out_at, c->out_n - c->out_at);
        c->out_n -= c->out_at;
        c->out_at = 0;
    }
    uint32_t n = link_frame_put(c->out + c->out_n, LINK_OUT_BYTES - HELLO_LEN - c->out_n, f);
    c->out_n += n;
    if (c->up)
        flush(k, c);
    return n != 0;
}

static struct link_conn *find(struct link *k, uint32_t node) {
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++)
        if (k->to[i].node == node)
            return &k->to[i];
    return NULL;
}

bool link_is_up(const struct link *k, uint32_t node) {
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++)
        if (k->to[i].node == node)
            return k->to[i].up && !k->to[i].gone_us;
    return false;
}

bool link_send(struct link *k, uint32_t node, const struct link_frame *f) {
    bool sent = false;
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++) {
        struct link_conn *c = &k->to[i];
        if (c->node && !c->gone_us && (!node || c->node == node))
            sent |= send_to(k, c, f);
    }
    k->dropped += !sent;
    return sent;
}

void link_send_gone(struct link *k, const struct link_frame *f) {
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++)
        if (k->to[i].gone_us && k->to[i].up)
            (void)send_to(k, &k->to[i], f);
}

/* ---- in ---- */

static bool read_some(struct link *k, struct link_conn *c) {
    if (c->in_at) {
        memmove(c->in, c->in + c->in_at, c->in_n - c->in_at);
        c->in_n -= c->in_at;
        c->in_at = 0;
    }
    ssize_t n = recv(c->fd, c->in + c->in_n, LINK_IN_BYTES - c->in_n, 0);
    if (n > 0) {
        c->in_n += (uint32_t)n;
        return true;
    }
    c->readable = false;
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        drop_conn(k, c);
    return false;
}

/* The other side's challenge, on a connection of ours; nothing else comes there. */
static void greet(struct link *k, struct link_conn *c) {
    uint8_t hello[HELLO_LEN];
    while (c->fd >= 0 && read_some(k, c))
        ;
    if (c->fd < 0 || c->up || c->in_n < CHALLENGE_LEN)
        return;
    for (unsigned i = 0; i < 4; i++)
        hello[i] = (uint8_t)(k->node >> (24 - 8 * i));
    hello_mac(k, c->in, k->node, c->node, hello + 4);
    memmove(c->out + sizeof hello, c->out, c->out_n); /* what has waited for it */
    memcpy(c->out, hello, sizeof hello);
    c->out_n += sizeof hello;
    c->up = true;
    c->failures = 0;
    flush(k, c);
    log_line(k->log, TRACE_INFO, "link", "node %u is reached, shard %u", member_node(c->node), member_shard(c->node));
}

static void is_new(struct link *k, struct link_conn *c) {
    c->failures = 0;
    c->again_us = k->now_us;
    c->first_us = k->now_us + FIRST_US;
    k->due_us = 0;
}

/* Who connects to us can be reached: at once, however often it could not, or however long the kernel would wait until
 * it tries again. */
static void is_back(struct link *k, struct link_conn *c) {
    if (!c || c->up || (c->fd >= 0 && k->now_us - c->since_us < RETRY_US))
        return;
    drop_conn(k, c);
    is_new(k, c);
}

/* It has one connection to us: what it had before it went away, or lost, may never be heard of again. */
static void drop_former(struct link *k, const struct link_conn *now) {
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++) {
        struct link_conn *c = &k->from[i];
        if (c != now && c->up && c->node == now->node)
            drop_conn(k, c);
    }
}

/* False: not yet, or never. */
static bool is_greeted(struct link *k, struct link_conn *c) {
    uint8_t mac[SHA256_DIGEST_SIZE];
    uint32_t node = 0;
    if (c->up)
        return true;
    if (c->in_n - c->in_at < HELLO_LEN)
        return false;
    for (unsigned i = 0; i < 4; i++)
        node = node << 8 | c->in[c->in_at + i];
    hello_mac(k, c->challenge, node, k->node, mac);
    if (!node || node == k->node || !memeql_sec(mac, c->in + c->in_at + 4, sizeof mac)) {
        log_line(k->log, TRACE_WARN, "link", "somebody without cluster.secret, or for another node, was refused");
        drop_conn(k, c);
        return false;
    }
    c->in_at += HELLO_LEN;
    c->node = node;
    c->up = true;
    drop_former(k, c);
    is_back(k, find(k, node));
    return true;
}

void link_ready(struct link *k, uint32_t which) {
    if (which == 0) {
        accept_all(k);
    } else if (which <= LINK_NODES_MAX) {
        struct link_conn *c = &k->to[which - 1];
        if (c->fd < 0)
            return;
        greet(k, c);
        if (c->up)
            flush(k, c);
    } else if (which < LINK_TAGS && k->from[which - 1 - LINK_NODES_MAX].fd >= 0) {
        k->from[which - 1 - LINK_NODES_MAX].readable = true;
    }
}

static bool next_of(struct link *k, struct link_conn *c, struct link_frame *out) {
    for (;;) {
        if (c->fd < 0)
            return false;
        uint32_t n = is_greeted(k, c) ? link_frame_get(c->in + c->in_at, c->in_n - c->in_at, out) : 0;
        if (n == UINT32_MAX) {
            log_line(k->log, TRACE_WARN, "link", "node %u sends what is no frame", member_node(c->node));
            drop_conn(k, c);
            return false;
        }
        if (n) {
            c->in_at += n;
            out->from = c->node;
            return true;
        }
        if (c->fd < 0 || !c->readable || !read_some(k, c))
            return false;
    }
}

bool link_next(struct link *k, struct link_frame *out) {
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++)
        if (next_of(k, &k->from[i], out))
            return true;
    return false;
}

/* ---- who is there ---- */

static struct link_conn *longest_gone(struct link *k) {
    struct link_conn *oldest = NULL;
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++)
        if (k->to[i].gone_us && (!oldest || k->to[i].gone_us < oldest->gone_us))
            oldest = &k->to[i];
    return oldest;
}

void link_peer(struct link *k, uint32_t node, const struct addr *at) {
    struct link_conn *c = find(k, node);
    bool stands = c && addr_eq(&c->to, at) && (c->up || !c->gone_us);
    if (c)
        c->gone_us = k->due_us = 0;
    if (node == k->node || stands)
        return;
    c = c ? c : find(k, 0);
    c = c ? c : longest_gone(k);
    if (!c)
        return;
    drop_conn(k, c);
    c->node = node;
    c->to = *at;
    c->gone_us = 0;
    c->leaves = false;
    is_new(k, c);
}

static void forget(struct link *k, struct link_conn *c) {
    drop_conn(k, c);
    c->node = 0;
    c->gone_us = 0;
    k->due_us = 0;
}

static bool is_replaced(const struct link *k, const struct link_conn *c) {
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++) {
        const struct link_conn *o = &k->to[i];
        if (o != c && o->node && !o->gone_us && addr_eq(&o->to, &c->to))
            return true;
    }
    return false;
}

void link_miss(struct link *k, uint32_t node) {
    struct link_conn *c = node ? find(k, node) : NULL;
    if (!c)
        return;
    c->gone_us = c->gone_us ? c->gone_us : k->now_us;
    k->due_us = 0;
    if (c->leaves || is_replaced(k, c))
        forget(k, c);
}

static uint64_t forget_us(const struct link_conn *c) {
    return c->gone_us ? c->gone_us + LINK_GONE_US : UINT64_MAX;
}

/* When something is to be done about it; UINT64_MAX: nothing. */
static uint64_t due(const struct link_conn *c, bool out) {
    if (c->fd >= 0)
        return c->up ? UINT64_MAX : c->since_us + LINK_HELLO_US;
    return out && c->node ? c->again_us : UINT64_MAX;
}

void link_tick(struct link *k, uint64_t now_us) {
    k->now_us = now_us;
    if (link_deadline(k) > now_us)
        return;
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++) {
        if (due(&k->from[i], false) <= now_us)
            drop_conn(k, &k->from[i]);
        if (forget_us(&k->to[i]) <= now_us)
            forget(k, &k->to[i]);
        if (k->to[i].fd >= 0 && due(&k->to[i], true) <= now_us)
            drop_conn(k, &k->to[i]);
        else if (due(&k->to[i], true) <= now_us)
            connect_to(k, i);
    }
}

uint64_t link_deadline(struct link *k) {
    if (k->due_us)
        return k->due_us;
    k->due_us = UINT64_MAX;
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++) {
        uint64_t a = due(&k->to[i], true), b = due(&k->from[i], false);
        k->due_us = a < k->due_us ? a : k->due_us;
        k->due_us = b < k->due_us ? b : k->due_us;
        a = forget_us(&k->to[i]);
        k->due_us = a < k->due_us ? a : k->due_us;
    }
    return k->due_us;
}

/* ---- opening ---- */

bool link_open(struct link *k, uint32_t node, const uint8_t secret[LINK_SECRET_LEN], struct addr *listen_at,
               struct log *log) {
    struct sockaddr_storage sa;
    socklen_t n = udp_to_sockaddr(listen_at, &sa);
    int one = 1;
    *k = (struct link){ .node = node, .log = log };
    memcpy(k->secret, secret, LINK_SECRET_LEN);
    for (uint32_t i = 0; i < LINK_NODES_MAX; i++)
        k->to[i].fd = k->from[i].fd = -1;
    k->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = k->fd >= 0 && setsockopt(k->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(k->fd, (struct sockaddr *)&sa, n) == 0 && listen(k->fd, LINK_NODES_MAX) == 0;
    n = sizeof sa;
    if (ok && getsockname(k->fd, (struct sockaddr *)&sa, &n) == 0)
        (void)udp_from_sockaddr(&sa, n, listen_at);
    if (!ok)
        log_line(log, TRACE_ERROR, "link", "cluster.listen: %s", strerror(errno));
    return ok;
}

bool link_start(struct link *k, struct io *io, uint32_t tag_base) {
    k->io = io;
    k->tag_base = tag_base;
    return io_watch(io, k->fd, tag_base) >= 0;
}

void link_close(struct link *k) {
    for (uint32_t i = 0; i < 2 * LINK_NODES_MAX; i++) {
        struct link_conn *c = i < LINK_NODES_MAX ? &k->to[i] : &k->from[i - LINK_NODES_MAX];
        if (c->fd >= 0)
            drop_conn(k, c);
        free(c->in);
        free(c->out);
    }
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
}
