/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/steering.h"

#include "core/base/limits.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <steer.skel.h>

static int load(struct steer_bpf **bpf, const struct steering_options *o) {
    *bpf = steer_bpf__open();
    if (!*bpf)
        return errno;
    (*bpf)->rodata->key0 = o->key.k0;
    (*bpf)->rodata->key1 = o->key.k1;
    (*bpf)->rodata->cluster = o->cluster;
    bpf_program__set_autoload((*bpf)->progs.steer_frame, false);
    return -steer_bpf__load(*bpf);
}

static int divide(const struct steer_bpf *bpf, uint32_t shards) {
    for (uint32_t b = 0; b < LIMIT_BUCKETS; b++) {
        uint32_t shard = b % shards;
        if (bpf_map_update_elem(bpf_map__fd(bpf->maps.shard_of), &b, &shard, BPF_ANY))
            return errno;
    }
    return 0;
}

static int attach(const struct steer_bpf *bpf, const struct steering_options *o, uint32_t k) {
    int program = bpf_program__fd(bpf->progs.steer_socket);
    for (uint32_t i = 0; i < o->shards; i++) {
        uint64_t fd = (uint64_t)o->listeners[i]->l[k].fd;
        if (bpf_map_update_elem(bpf_map__fd(bpf->maps.sockets), &i, &fd, BPF_ANY))
            return errno;
    }
    /* It holds for all that share the port. */
    int any = o->listeners[0]->l[k].fd;
    return setsockopt(any, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof program) < 0 ? errno : 0;
}

bool steering_open(struct steering_maps *m, const struct steering_options *o, struct log *log) {
    int error = 0;
    *m = (struct steering_maps){ 0 };
    libbpf_set_print(NULL);
    for (uint32_t k = 0; k < o->listeners[0]->count && !error; k++) {
        error = load(&m->bpf[m->count++], o);
        error = error ? error : divide(m->bpf[k], o->shards);
        error = error ? error : attach(m->bpf[k], o, k);
    }
    if (!error) {
        log_line(log, TRACE_INFO, "steering", "the kernel gives each message to the shard of its bucket");
        return true;
    }
    log_line(log, TRACE_INFO, "steering", "off, shards hand messages over: the program cannot be loaded: %s%s",
             strerror(error), error == EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed)" : "");
    steering_close(m);
    return false;
}

void steering_give(const struct steering_maps *m, uint16_t bucket, uint32_t shard) {
    uint32_t b = bucket;
    for (uint32_t k = 0; k < m->count; k++)
        (void)bpf_map_update_elem(bpf_map__fd(m->bpf[k]->maps.shard_of), &b, &shard, BPF_ANY);
}

void steering_close(struct steering_maps *m) {
    for (uint32_t k = 0; k < m->count; k++)
        if (m->bpf[k])
            steer_bpf__destroy(m->bpf[k]);
    m->count = 0;
}
