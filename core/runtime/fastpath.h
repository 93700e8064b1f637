/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * fastpath: loads rtp/fastpath into the kernel and attaches it to the interfaces of the media addresses. Its maps are
 * the arrays that the relay works on (relay_share). They are pinned, and what is attached stays attached when the
 * daemon dies: media flows on, and the next daemon with the same addresses and ports takes the maps over. An orderly
 * end (fastpath_close) takes everything away.
 *
 * What cannot be had is said in the log with its reason, for each interface; the relay in user space serves then. On
 * the loopback device there never is a fast path.
 */
#ifndef REFEREE_RUNTIME_FASTPATH_H
#define REFEREE_RUNTIME_FASTPATH_H

#include "core/runtime/log.h"
#include "core/runtime/nexthop.h"
#include "rtp/relay.h"

#include <net/if.h>

#define FASTPATH_DEVICES 8
#define FASTPATH_ADDRESSES FAST_LOCAL_MAX
#define FASTPATH_PATH_MAX 256
#define FASTPATH_TICK_US UINT64_C(250000)

/* auto is tc: native XDP can want its peers prepared, and some drivers reset their rings for it. XDP has tc behind it
 * for what it leaves. */
enum fastpath_mode { FASTPATH_AUTO, FASTPATH_TC, FASTPATH_XDP, FASTPATH_PACKET, FASTPATH_OFF };

struct fastpath_options {
    enum fastpath_mode mode;
    const struct addr *addresses; /* of the media sockets, FASTPATH_ADDRESSES at most; may be 0.0.0.0 and :: */
    uint32_t address_count;
    bool move;                    /* they come to this machine and go, and may be on its loopback interface */
    uint16_t first_port, last_port;
    uint32_t pairs;               /* of ports, at each address */
    const char *pins;             /* folder in a bpffs; "auto"; "off" */
};

struct fastpath_device {
    char name[IF_NAMESIZE];
    uint32_t ifindex;
    bool tc, xdp;
};

struct fastpath_bpf;
struct fastpath {
    bool on;
    struct fastpath_bpf *bpf;
    struct fast_in *in;           /* in the kernel's maps */
    struct fast_out *out;
    struct fast_config *settings;
    uint32_t streams;             /* those of address k begin with k * pairs */
    uint32_t pairs;
    uint16_t first_port;
    struct addr addresses[FASTPATH_ADDRESSES];
    uint32_t address_count;
    char pins[FASTPATH_PATH_MAX]; /* "": not pinned */
    struct fastpath_device devices[FASTPATH_DEVICES];
    uint32_t device_count;
    struct nexthops tables;
    bool joined;                  /* what is attached, and the maps, are another's */
    bool silent;                  /* the heartbeat is another's business */
    uint32_t next;                /* stream whose next hop is looked at next */
    uint64_t round_us;            /* when the first one's is, at the earliest */
    uint64_t tick_us;             /* of the next tick */
    uint64_t orphans_until_us;    /* streams taken over and not opened by then are ended; 0: none */
    struct log *log;
};

/* False: nothing is attached, user space serves; the log says why. */
bool fastpath_open(struct fastpath *f, const struct fastpath_options *o, uint64_t now_us, struct log *log);
void fastpath_close(struct fastpath *f);
/* For another thread, with the maps that `first` has open, or none; one of all joined beats. */
void fastpath_join(struct fastpath *f, const struct fastpath *first, bool beats, struct log *log);
/* No call goes on with what a former daemon left. */
void fastpath_end_flows(struct fastpath *f);

/* The party of a stream may have a new address: its next hop is looked up now if so. */
void fastpath_destination(struct fastpath *f, uint32_t stream);
/* RTP has come by user space: whatever it lacks for the kernel is looked for with the next tick. */
void fastpath_passed_by(struct fastpath *f);
/* UINT64_MAX: never. */
uint64_t fastpath_deadline(const struct fastpath *f);
/* Heartbeat, next hops in turn, the end of orphans. */
void fastpath_tick(struct fastpath *f, const struct relay *r, uint64_t now_us);

#endif
