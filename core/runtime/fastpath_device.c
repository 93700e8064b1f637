/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/fastpath_device.h"

#include "core/runtime/udp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TC_PRIORITY 1
#define XDP_NAME "referee_xdp"
#define BPFFS "/sys/fs/bpf"
#define OWN_BPFFS "/run/referee/bpf"

/* ---- interfaces */

static bool is_known(const struct fastpath_device *devices, uint32_t n, const char *name) {
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(devices[i].name, name) == 0)
            return true;
    return false;
}

static bool add_address(struct fast_config *c, const struct addr *a, uint32_t base) {
    if (c->local_count == FAST_LOCAL_MAX)
        return false;
    c->local[c->local_count].base = base;
    memcpy(c->local[c->local_count].ip, a->ip, sizeof a->ip);
    c->local[c->local_count++].family = a->family;
    return true;
}

/* Link-local addresses are as many as there are interfaces, and nobody is sent to them. */
static bool is_wanted(const struct addr *bind_to, const struct addr *a) {
    bool any = addr_is_any(bind_to), link_local = a->family == ADDR_V6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
    return any ? a->family == bind_to->family && !link_local : addr_eq_ip(a, bind_to);
}

static bool add_device(struct fastpath *f, const char *name) {
    if (is_known(f->devices, f->device_count, name))
        return true;
    if (f->device_count == FASTPATH_DEVICES)
        return false;
    struct fastpath_device *d = &f->devices[f->device_count++];
    snprintf(d->name, sizeof d->name, "%s", name);
    d->ifindex = if_nametoindex(name);
    return true;
}

void fastpath_devices_of_moving(const struct addr *address, uint32_t base, struct fastpath *f, struct fast_config *c) {
    const struct addr any = { .family = address->family };
    struct ifaddrs *all = NULL;
    bool fits = add_address(c, address, base);
    if (getifaddrs(&all) < 0)
        return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct addr a;
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK ||
            !udp_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &a) || !is_wanted(&any, &a))
            continue;
        if (!add_device(f, i->ifa_name) || !fits)
            log_line(f->log, TRACE_WARN, "fastpath", "%s: off, user space serves: too many interfaces or addresses",
                     i->ifa_name);
    }
    freeifaddrs(all);
}

void fastpath_devices(const struct addr *bind_to, uint32_t base, struct fastpath *f, struct fast_config *c) {
    struct ifaddrs *all = NULL;
    bool any = addr_is_any(bind_to);
    if (getifaddrs(&all) < 0)
        return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct addr a;
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
            !udp_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &a) || !is_wanted(bind_to, &a))
            continue;
        if (i->ifa_flags & IFF_LOOPBACK)
            log_line(f->log, any ? TRACE_DEBUG : TRACE_INFO, "fastpath",
                     "%s: off, user space serves: packets of the loopback device never leave the machine", i->ifa_name);
        else if (!add_device(f, i->ifa_name) || !add_address(c, &a, base))
            log_line(f->log, TRACE_WARN, "fastpath", "%s: off, user space serves: too many interfaces or addresses",
                     i->ifa_name);
    }
    freeifaddrs(all);
}

/* ---- hooks */

static struct bpf_tc_hook hook_of(const struct fastpath_device *d) {
    return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook), .ifindex = (int)d->ifindex,
                                 .attach_point = BPF_TC_INGRESS };
}

bool fastpath_attach_tc(const struct fastpath_device *d, int program, uint16_t handle, char *why, size_t n) {
    struct bpf_tc_hook hook = hook_of(d);
    struct bpf_tc_opts o = { .sz = sizeof o, .handle = handle, .priority = TC_PRIORITY, .prog_fd = program,
                             .flags = BPF_TC_F_REPLACE };
    int error = bpf_tc_hook_create(&hook);
    if (error && error != -EEXIST) {
        snprintf(why, n, "no clsact hook: %s", strerror(-error));
        return false;
    }
    error = bpf_tc_attach(&hook, &o);
    if (error)
        snprintf(why, n, "tc refuses the program: %s", strerror(-error));
    return error == 0;
}

/* The program that is attached, if it is one of ours: -1 if none is, or another's. */
static int our_xdp(uint32_t ifindex) {
    uint32_t id = 0, length = sizeof(struct bpf_prog_info);
    struct bpf_prog_info info = { 0 };
    if (bpf_xdp_query_id((int)ifindex, XDP_FLAGS_DRV_MODE, &id) || id == 0)
        return -1;
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && strcmp(info.name, XDP_NAME) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool fastpath_attach_xdp(const struct fastpath_device *d, int program, char *why, size_t n) {
    struct bpf_xdp_attach_opts o = { .sz = sizeof o };
    uint32_t flags = XDP_FLAGS_DRV_MODE;
    int before = our_xdp(d->ifindex);
    if (before >= 0)
        o.old_prog_fd = before;
    else
        flags |= XDP_FLAGS_UPDATE_IF_NOEXIST;
    int error = bpf_xdp_attach((int)d->ifindex, program, flags, &o);
    if (before >= 0)
        close(before);
    if (error)
        snprintf(why, n, "no native XDP: %s", strerror(-error));
    return error == 0;
}

void fastpath_drop_xdp(const struct fastpath_device *d) {
    int before = our_xdp(d->ifindex);
    if (before < 0)
        return;
    bpf_xdp_detach((int)d->ifindex, XDP_FLAGS_DRV_MODE, NULL);
    close(before);
}

void fastpath_detach(const struct fastpath_device *d, uint16_t handle) {
    struct bpf_tc_hook hook = hook_of(d);
    struct bpf_tc_opts o = { .sz = sizeof o, .handle = handle, .priority = TC_PRIORITY };
    if (d->xdp)
        bpf_xdp_detach((int)d->ifindex, XDP_FLAGS_DRV_MODE, NULL);
    if (d->tc)
        bpf_tc_detach(&hook, &o);
}

/* ---- pins */

static bool is_bpffs(const char *path) {
    struct statfs s;
    return statfs(path, &s) == 0 && (unsigned long)s.f_type == BPF_FS_MAGIC;
}

/* The system's, or one of our own. */
static const char *find_bpffs(void) {
    if (is_bpffs(BPFFS))
        return BPFFS;
    mkdir("/run/referee", 0755);
    mkdir(OWN_BPFFS, 0700);
    if (is_bpffs(OWN_BPFFS) || mount("bpf", OWN_BPFFS, "bpf", 0, "mode=0700") == 0)
        return OWN_BPFFS;
    return NULL;
}

void fastpath_pin_folder(const char *wanted, uint16_t first_port, char out[FASTPATH_PATH_MAX], struct log *log) {
    struct stat net = { 0 };
    const char *base = strcmp(wanted, "auto") == 0 ? find_bpffs() : wanted;
    out[0] = 0;
    if (strcmp(wanted, "off") == 0)
        return;
    if (!base || !is_bpffs(base)) {
        log_line(log, TRACE_INFO, "fastpath", "media stops when the daemon dies: %s is no bpffs", base ? base : BPFFS);
        return;
    }
    /* One daemon a network namespace and range of ports. */
    (void)stat("/proc/self/ns/net", &net);
    int n = snprintf(out, FASTPATH_PATH_MAX, "%s/referee-%d-%lu-%u", base, FAST_LAYOUT, (unsigned long)net.st_ino,
                     first_port);
    if (n >= FASTPATH_PATH_MAX - 16 || (mkdir(out, 0700) < 0 && errno != EEXIST))
        out[0] = 0;
}
