/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/fastpath.h"

#include "core/runtime/fastpath_device.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fastpath.skel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Next hops that are looked at in one tick: so those of 4000 calls within half a minute. */
#define HOPS_A_TICK 64
#define ROUND_US UINT64_C(2000000) /* but no one's twice in this, while nothing passes by user space */

static _Thread_local struct log *libbpf_log;

static int tell_libbpf(enum libbpf_print_level level, const char *format, va_list args) {
    char text[256];
    if (level == LIBBPF_DEBUG || !libbpf_log)
        return 0;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    log_line(libbpf_log, TRACE_DEBUG, "fastpath", "%s", text);
    return 0;
}

/* ---- maps */

static size_t map_bytes(size_t entry, uint32_t count) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (entry * count + page - 1) / page * page;
}

static void *map_in(const struct bpf_map *map, size_t entry, uint32_t count) {
    void *at = mmap(NULL, map_bytes(entry, count), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    return at == MAP_FAILED ? NULL : at;
}

static bool map_all(struct fastpath *f) {
    f->in = map_in(f->bpf->maps.streams_in, sizeof *f->in, f->streams);
    f->out = map_in(f->bpf->maps.streams_out, sizeof *f->out, f->streams);
    f->settings = map_in(f->bpf->maps.settings, sizeof *f->settings, 1);
    return f->in && f->out && f->settings;
}

static void unmap_all(struct fastpath *f) {
    if (f->in)
        munmap(f->in, map_bytes(sizeof *f->in, f->streams));
    if (f->out)
        munmap(f->out, map_bytes(sizeof *f->out, f->streams));
    if (f->settings)
        munmap(f->settings, map_bytes(sizeof *f->settings, 1));
    f->in = NULL;
    f->out = NULL;
    f->settings = NULL;
}

/* Its address k is ours, too, as far as both have it. */
static bool has_same_places(const struct fast_config *a, const struct fast_config *b) {
    for (unsigned i = 0; i < a->local_count; i++)
        for (unsigned k = 0; k < b->local_count; k++)
            if (a->local[i].family == b->local[k].family && a->local[i].ip[0] == b->local[k].ip[0] &&
                a->local[i].ip[1] == b->local[k].ip[1] && a->local[i].base != b->local[k].base)
                return false;
    return true;
}

/* What another daemon left behind. */
static bool is_ours(const struct fastpath *f, const struct fast_config *now) {
    const struct fast_config *c = f->settings;
    return c->layout == FAST_LAYOUT && c->pairs == f->pairs && c->first_port == f->first_port &&
           has_same_places(c, now);
}

static void start_afresh(struct fastpath *f) {
    memset(f->settings, 0, sizeof *f->settings);
    for (uint32_t i = 0; i < f->streams; i++) {
        f->in[i] = (struct fast_in){ .target = FAST_NOWHERE };
        f->out[i] = (struct fast_out){ 0 };
    }
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The kernel's program counts ticks, which there are none of while the machine sleeps. */
static void set_clock(const struct fastpath *f) {
    uint8_t frame[64] = { 0 };
    struct bpf_test_run_opts o = { .sz = sizeof o, .data_in = frame, .data_size_in = sizeof frame, .repeat = 1 };
    struct timespec tick = { 0 };
    uint64_t running = clock_ns(CLOCK_MONOTONIC), slept = clock_ns(CLOCK_BOOTTIME) - running;
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    if (bpf_prog_test_run_opts(bpf_program__fd(f->bpf->progs.referee_tick), &o) == 0 && o.retval == 1)
        fast_set_clock(f->settings, (uint64_t)tick.tv_nsec, slept);
}

static void beat(const struct fastpath *f, uint64_t now_us) {
    set_clock(f);
    __atomic_store_n(&f->settings->beat_us, now_us, __ATOMIC_RELEASE);
}

/* A daemon that was killed may have held a lock. */
static uint32_t take_over(struct fastpath *f) {
    uint32_t flowing = 0;
    for (uint32_t i = 0; i < f->streams; i++) {
        f->out[i].lock = 0;
        flowing += f->in[i].target != FAST_NOWHERE;
    }
    return flowing;
}

static void adopt(struct fastpath *f, const struct fast_config *now, uint64_t now_us) {
    uint32_t flowing = 0;
    if (is_ours(f, now))
        flowing = take_over(f);
    else
        start_afresh(f);
    f->settings->layout = FAST_LAYOUT;
    f->settings->pairs = f->pairs;
    f->settings->first_port = f->first_port;
    memcpy(f->settings->local, now->local, sizeof now->local);
    f->settings->local_count = now->local_count;
    beat(f, now_us);
    if (!flowing)
        return;
    f->orphans_until_us = now_us + FAST_ORPHAN_US;
    log_line(f->log, TRACE_INFO, "fastpath", "took over %u streams that flow; those of no call end in %u s", flowing,
             FAST_ORPHAN_US / 1000000);
}

/* ---- pins */

static void unpin(struct fastpath *f) {
    char path[FASTPATH_PATH_MAX + 16];
    static const char *const names[] = { "in", "out", "settings" };
    for (size_t i = 0; f->pins[0] && i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", f->pins, names[i]);
        unlink(path);
    }
    if (f->pins[0])
        rmdir(f->pins);
}

static int pin_at(struct fastpath *f, struct bpf_map *map, const char *name) {
    char path[FASTPATH_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", f->pins, name);
    return bpf_map__set_pin_path(map, path);
}

static void set_pins(struct fastpath *f) {
    if (!f->pins[0])
        return;
    pin_at(f, f->bpf->maps.streams_in, "in");
    pin_at(f, f->bpf->maps.streams_out, "out");
    pin_at(f, f->bpf->maps.settings, "settings");
}

/* ---- loading */

static int load(struct fastpath *f) {
    f->bpf = fastpath_bpf__open();
    if (!f->bpf)
        return errno;
    bpf_map__set_max_entries(f->bpf->maps.streams_in, f->streams);
    bpf_map__set_max_entries(f->bpf->maps.streams_out, f->streams);
    set_pins(f);
    int error = -fastpath_bpf__load(f->bpf);
    if (error) {
        fastpath_bpf__destroy(f->bpf);
        f->bpf = NULL;
    }
    return error;
}

/* Pins of another version or size are put away; where nothing can be pinned, it goes without. */
static int load_with_pins(struct fastpath *f) {
    int error = load(f);
    if (!error || error == EPERM || !f->pins[0])
        return error;
    unpin(f);
    mkdir(f->pins, 0700);
    error = load(f);
    if (!error)
        return 0;
    log_line(f->log, TRACE_WARN, "fastpath", "%s: nothing can be pinned there: %s", f->pins, strerror(error));
    f->pins[0] = 0;
    return load(f);
}

static bool open_maps(struct fastpath *f, const struct fast_config *now, uint64_t now_us) {
    libbpf_log = f->log;
    libbpf_set_print(tell_libbpf);
    int error = load_with_pins(f);
    if (error) {
        log_line(f->log, TRACE_INFO, "fastpath", "off, user space serves: the program cannot be loaded: %s%s",
                 strerror(error), error == EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed)" : "");
        return false;
    }
    if (!map_all(f)) {
        log_line(f->log, TRACE_WARN, "fastpath", "off, user space serves: maps cannot be mapped: %s", strerror(errno));
        return false;
    }
    adopt(f, now, now_us);
    nexthop_open(&f->tables);
    return true;
}

static bool attach_all(struct fastpath *f, bool want_xdp) {
    uint32_t attached = 0;
    int tc = bpf_program__fd(f->bpf->progs.referee_tc), xdp = bpf_program__fd(f->bpf->progs.referee_xdp);
    for (uint32_t i = 0; i < f->device_count; i++) {
        struct fastpath_device *d = &f->devices[i];
        char why[128] = "";
        if (!want_xdp)
            fastpath_drop_xdp(d);
        d->tc = fastpath_attach_tc(d, tc, f->first_port, why, sizeof why);
        d->xdp = d->tc && want_xdp && fastpath_attach_xdp(d, xdp, why, sizeof why);
        log_line(f->log, d->tc ? TRACE_INFO : TRACE_WARN, "fastpath", "%s: %s%s%s", d->name,
                 d->xdp  ? "native XDP, tc behind it"
                 : d->tc ? "tc"
                         : "off, user space serves",
                 why[0] ? ": " : "", why);
        attached += d->tc;
    }
    return attached > 0;
}

bool fastpath_open(struct fastpath *f, const struct fastpath_options *o, uint64_t now_us, struct log *log) {
    *f = (struct fastpath){ .pairs = o->pairs, .first_port = (uint16_t)(o->first_port + (o->first_port & 1)),
                            .streams = o->pairs * o->address_count, .address_count = o->address_count,
                            .tables.fd = -1, .log = log, .tick_us = now_us };
    memcpy(f->addresses, o->addresses, o->address_count * sizeof *o->addresses);
    struct fast_config local = { .pairs = o->pairs };
    if (o->mode == FASTPATH_OFF || o->mode == FASTPATH_PACKET) {
        log_line(log, TRACE_INFO, "fastpath", "off, user space serves: media.fastpath is %s",
                 o->mode == FASTPATH_OFF ? "off" : "packet");
        return false;
    }
    for (uint32_t k = 0; k < o->address_count; k++)
        if (o->move && !addr_is_any(&o->addresses[k]))
            fastpath_devices_of_moving(&o->addresses[k], k * o->pairs, f, &local);
        else
            fastpath_devices(&o->addresses[k], k * o->pairs, f, &local);
    if (f->device_count == 0)
        return false;
    fastpath_pin_folder(o->pins, f->first_port, f->pins, log);
    if (!open_maps(f, &local, now_us))
        return false;
    f->on = attach_all(f, o->mode == FASTPATH_XDP);
    return f->on;
}

void fastpath_end_flows(struct fastpath *f) {
    for (uint32_t i = 0; i < f->streams; i++)
        __atomic_store_n(&f->in[i].target, FAST_NOWHERE, __ATOMIC_RELEASE);
    f->orphans_until_us = 0;
}

void fastpath_join(struct fastpath *f, const struct fastpath *first, bool beats, struct log *log) {
    *f = *first;
    f->joined = true;
    f->silent = !beats;
    f->log = log;
    f->tables = (struct nexthops){ .fd = -1 };
    if (f->on)
        nexthop_open(&f->tables);
}

void fastpath_close(struct fastpath *f) {
    if (f->joined) {
        nexthop_close(&f->tables);
        *f = (struct fastpath){ .tables.fd = -1 };
        return;
    }
    for (uint32_t i = 0; f->bpf && i < f->device_count; i++)
        fastpath_detach(&f->devices[i], f->first_port);
    unmap_all(f);
    if (f->bpf) {
        unpin(f);
        fastpath_bpf__destroy(f->bpf);
    }
    if (f->bpf)
        nexthop_close(&f->tables);
    f->bpf = NULL;
    f->on = false;
}

/* ---- next hops */

static struct addr addr_of(const struct fast_addr *f) {
    struct addr a = { .port = f->port, .family = f->family };
    memcpy(a.ip, f->ip, sizeof a.ip);
    return a;
}

static struct fast_addr fast_addr_of(const struct addr *a, uint16_t port) {
    struct fast_addr f = { .port = port, .family = a->family };
    memcpy(f.ip, a->ip, sizeof f.ip);
    return f;
}

static bool has_xdp(const struct fastpath *f, uint32_t ifindex) {
    for (uint32_t i = 0; i < f->device_count; i++)
        if (f->devices[i].ifindex == ifindex)
            return f->devices[i].xdp;
    return false;
}

static void set_hop(struct fastpath *f, uint32_t stream, const struct nexthop *n) {
    struct fast_out *out = &f->out[stream];
    uint8_t hop_mac[6] = { 0 }, our_mac[6] = { 0 };
    bool xdp = has_xdp(f, n->ifindex), pair = nexthop_is_pair(&f->tables, n);
    bool mac_known = (xdp || pair) && nexthop_mac(&f->tables, n, hop_mac, our_mac);
    while (__atomic_exchange_n(&out->lock, 1, __ATOMIC_ACQUIRE))
        ;
    out->ifindex = n->ifindex;
    out->src = fast_addr_of(&n->src, (uint16_t)(f->first_port + 2 * (stream % f->pairs)));
    memcpy(out->hop_ip, n->hop.ip, sizeof out->hop_ip);
    out->hop_family = n->hop.family;
    out->mac_known = xdp && mac_known;
    out->straight = pair && mac_known;
    memcpy(out->hop_mac, hop_mac, sizeof out->hop_mac);
    memcpy(out->our_mac, our_mac, sizeof out->our_mac);
    __atomic_store_n(&out->lock, 0, __ATOMIC_RELEASE);
}

static void find_hop(struct fastpath *f, uint32_t stream) {
    const struct addr *bound = &f->addresses[stream / f->pairs];
    struct addr dst = addr_of(&f->out[stream].dst), src = addr_is_any(bound) ? (struct addr){ 0 } : *bound;
    struct nexthop n;
    if (dst.port == 0)
        return;
    if (!nexthop_find(&f->tables, &dst, &src, &n))
        n = (struct nexthop){ 0 };
    set_hop(f, stream, &n);
}

void fastpath_destination(struct fastpath *f, uint32_t stream) {
    if (f->on && stream < f->streams && f->out[stream].ifindex == 0)
        find_hop(f, stream);
}

void fastpath_passed_by(struct fastpath *f) {
    f->round_us = 0;
}

/* ---- time */

uint64_t fastpath_deadline(const struct fastpath *f) {
    return f->on ? f->tick_us : UINT64_MAX;
}

static void end_orphans(struct fastpath *f, const struct relay *r) {
    uint32_t ended = 0;
    for (uint32_t i = 0; i < f->streams && i < r->count; i++) {
        if (r->streams[i].open || f->in[i].target == FAST_NOWHERE)
            continue;
        __atomic_store_n(&f->in[i].target, FAST_NOWHERE, __ATOMIC_RELEASE);
        ended++;
    }
    f->orphans_until_us = 0;
    log_line(f->log, TRACE_INFO, "fastpath", "%u streams taken over belong to no call and are ended", ended);
}

static void find_hops(struct fastpath *f, const struct relay *r, uint64_t now_us) {
    for (uint32_t looked = 0; looked < HOPS_A_TICK;) {
        if (f->next == 0 && now_us < f->round_us)
            return;
        if (f->next == 0)
            f->round_us = now_us + ROUND_US;
        if (r->streams[f->next].open) {
            find_hop(f, f->next);
            looked++;
        }
        f->next = f->next + 1 < f->streams ? f->next + 1 : 0;
    }
}

void fastpath_tick(struct fastpath *f, const struct relay *r, uint64_t now_us) {
    if (!f->on || now_us < f->tick_us)
        return;
    if (!f->silent)
        beat(f, now_us);
    f->tick_us = now_us + FASTPATH_TICK_US;
    if (f->orphans_until_us && now_us >= f->orphans_until_us)
        end_orphans(f, r);
    find_hops(f, r, now_us);
}
