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

/* An address that messages of other nodes came to, or this one's: whether it is here, for a while. */
struct listen_source {
    struct addr at;
    uint64_t until_us;
    bool here;
};

struct listeners {
    struct listener l[LISTEN_MAX];
    uint32_t count;
    struct listen_source sources[LISTEN_MAX];
    uint32_t source_n;
    struct log *log;
};

/* Binds all; the port of addrs[i] is set where it was 0. `shared`: with others that say so too (SO_REUSEPORT). False:
 * one failed, it is named in the log. */
bool listeners_open(struct listeners *ls, struct addr *addrs, uint32_t count, uint32_t rcvbuf, bool shared,
                    struct log *log);
/* Socket i has the tag tag_base + i. */
bool listeners_start(struct listeners *ls, struct io *io, uint32_t tag_base);
/* Of 1000 parts of the room for what has arrived: how many are taken, at the socket that has least left. */
unsigned listeners_waiting(const struct listeners *ls);
void listeners_close(struct listeners *ls);
/* Sends by the socket of `src`, else by one bound to any address with its port, else by the first of dst's family. From
 * `src`, unless that is no address of this machine (of a cluster only one node may have it): then from the kernel's
 * choice, which the log warns of once. Takes over the reference of buf. False: no socket fits, buf is still the
 * caller's. */
bool listeners_send(struct listeners *ls, struct io *io, uint64_t mono_us, const struct addr *dst,
                    const struct addr *src, struct buf *buf);
/* The same question, for a start: of an address that is to be answered from. */
bool listeners_have(struct listeners *ls, uint64_t mono_us, const struct addr *src);
/* Where a datagram came to: ev->dst with the port, or the socket's own address. */
struct addr listeners_dst(const struct listeners *ls, uint32_t i, const struct io_event *ev);

#endif
