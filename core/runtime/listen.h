/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * listen: the sockets of sip.listen, and which of them a datagram leaves by.
 */
#ifndef REFEREE_RUNTIME_LISTEN_H
#define REFEREE_RUNTIME_LISTEN_H

#include "core/runtime/io.h"
#include "core/runtime/log.h"

#define LISTEN_MAX 8

struct listener {
    int fd;
    int slot;
    struct addr at;           /* as bound; port 0 was replaced by the kernel's choice */
};

struct listeners {
    struct listener l[LISTEN_MAX];
    uint32_t count;
};

/* Binds all; the port of addrs[i] is set where it was 0. `shared`: with others that say so too (SO_REUSEPORT). False:
 * one failed, it is named in the log. */
bool listeners_open(struct listeners *ls, struct addr *addrs, uint32_t count, uint32_t rcvbuf, bool shared,
                    struct log *log);
/* Socket i has the tag tag_base + i. */
bool listeners_start(struct listeners *ls, struct io *io, uint32_t tag_base);
void listeners_close(struct listeners *ls);
/* Sends by the socket of `src`, else by one bound to any address with its port, else by the first of dst's family.
 * Takes over the reference of buf. False: no socket fits, buf is still the caller's. */
bool listeners_send(const struct listeners *ls, struct io *io, const struct addr *dst, const struct addr *src,
                    struct buf *buf);
/* Where a datagram came to: ev->dst with the port, or the socket's own address. */
struct addr listeners_dst(const struct listeners *ls, uint32_t i, const struct io_event *ev);

#endif
