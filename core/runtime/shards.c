/* SPDX-License-Identifier: AGPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/runtime/shards.h"

#include "core/runtime/steering.h"
#include "rtp/port_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Of one shard besides its media ports: ring, listening sockets, the store's connections. */
#define OTHER_DESCRIPTORS 160

struct member {
    struct shards *all;
    struct shard shard;
    struct shard_options o;
    struct listeners listeners;
    pthread_t thread;
    bool runs;                    /* a thread of its own */
};

struct shards {
    uint32_t n;
    struct config *config;        /* until it is divided */
    const char *config_path, *traced, *version;
    struct mailbox *mailbox;
    struct steering_maps steering;
    struct media_share media;     /* its arrays are ours where there is no fast path */
    struct fastpath fast;
    struct log log;               /* while opening */
    bool opened;
    struct member *members;
};

static _Thread_local struct shard *this_shard;

void shards_dump(void) {
    if (this_shard)
        shard_dump(this_shard);
}

struct shards *shards_new(struct config *config, const char *config_path, const char *traced, const char *version) {
    struct shards *all = calloc(1, sizeof *all);
    struct member *members = calloc(config->shards, sizeof *members);
    if (!all || !members) {
        free(all);
        free(members);
        config_free(config);
        return NULL;
    }
    *all = (struct shards){ .n = config->shards, .config = config, .config_path = config_path, .traced = traced,
                            .version = version, .members = members };
    log_init(&all->log, config->engine.trace_level, traced);
    return all;
}

const struct config *shards_config(const struct shards *all) {
    return all->members[0].shard.config;
}

/* ---- what is divided */

/* The first daemon at a port shall be the only one: a socket that shares the port with ours would take part of the
 * calls. So it is taken once without sharing. */
static bool is_free(struct shards *all) {
    struct config *c = all->config;
    struct listeners probe;
    bool ok = listeners_open(&probe, c->listen.items, c->listen.count, c->receive_buffer, false, &all->log);
    listeners_close(&probe);
    return ok;
}

static bool listen_for_all(struct shards *all) {
    struct config *c = all->config;
    struct addr *first = c->listen.items;
    bool any_port = first->port == 0, ok = is_free(all);
    for (uint32_t i = 0; ok && i < all->n; i++)
        ok = listeners_open(&all->members[i].listeners, c->listen.items, c->listen.count, c->receive_buffer, true,
                            &all->log);
    if (any_port && c->engine.sip_addr.port == 0)
        c->engine.sip_addr.port = first->port;
    return ok;
}

static void steer(struct shards *all) {
    const struct listeners *listeners[MAILBOX_SHARDS_MAX];
    const struct engine_config *n = &all->config->engine;
    struct steering_options o = { .cluster = (uint8_t)n->cluster_id, .shards = all->n, .listeners = listeners };
    memcpy(&o.key, n->secret, sizeof o.key);
    for (uint32_t i = 0; i < all->n; i++)
        listeners[i] = &all->members[i].listeners;
    if (all->config->steering)
        (void)steering_open(&all->steering, &o, &all->log);
    else
        log_line(&all->log, TRACE_INFO, "steering", "off, shards hand messages over: runtime.steering is off");
}

static uint32_t streams_of(const struct config *c) {
    return port_pool_pairs(c->engine.media_port_min, c->engine.media_port_max) * c->media_address.count;
}

/* Each shard raises it for itself, but all have one limit. */
static void raise_descriptors(struct shards *all) {
    rlim_t links = all->config->engine.node ? 2 * LINK_NODES_MAX : 0;
    rlim_t need = (rlim_t)streams_of(all->config) * 2 + (OTHER_DESCRIPTORS + links) * all->n;
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= need)
        return;
    r.rlim_cur = r.rlim_max == RLIM_INFINITY || need < r.rlim_max ? need : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur < need)
        log_line(&all->log, TRACE_WARN, "shards", "%lu descriptors are allowed, %lu are needed for %u shards",
                 (unsigned long)r.rlim_cur, (unsigned long)need, all->n);
}

/* State of streams for all: in the kernel's maps, or here. */
static bool open_media(struct shards *all) {
    struct media_share *m = &all->media;
    uint32_t pairs = streams_of(all->config);
    struct fastpath_options o = config_fastpath(all->config);
    m->fast = &all->fast;
    m->pairs = calloc(pairs, sizeof *m->pairs);
    if (fastpath_open(&all->fast, &o, clock_mono_us(), &all->log)) {
        fastpath_end_flows(&all->fast);
        m->in = all->fast.in;
        m->out = all->fast.out;
        return m->pairs;
    }
    m->in = calloc(pairs, sizeof *m->in);
    m->out = calloc(pairs, sizeof *m->out);
    for (uint32_t i = 0; m->in && i < pairs; i++)
        m->in[i].target = FAST_NOWHERE;
    return m->pairs && m->in && m->out;
}

static void close_media(struct shards *all) {
    if (!all->fast.on) {
        free(all->media.in);
        free(all->media.out);
    }
    fastpath_close(&all->fast);
    free(all->media.pairs);
}

static bool divide(struct shards *all) {
    bool ok = true;
    for (uint32_t i = 0; i < all->n; i++) {
        struct member *m = &all->members[i];
        m->all = all;
        m->o = (struct shard_options){ .config = config_for_shard(all->config, i), .config_path = all->config_path,
                                       .traced = all->traced, .version = all->version, .mailbox = all->mailbox,
                                       .index = i, .count = all->n, .listeners = &m->listeners,
                                       .steering = &all->steering,
                                       .media = all->media };
        ok = ok && m->o.config;
        if (m->o.config) {
            m->o.media.first = m->o.config->engine.media_own_first;
            m->o.media.end = m->o.config->engine.media_own_end;
        }
    }
    config_free(all->config);
    all->config = NULL;
    return ok;
}

/* ---- threads */

static void pin(uint32_t index, uint32_t count) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0 || CPU_COUNT(&allowed) < (int)count)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || index-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

static void *serve(void *arg) {
    struct member *m = arg;
    char name[16];
    snprintf(name, sizeof name, "shard%u", m->o.index);
    pthread_setname_np(pthread_self(), name);
    pin(m->o.index, m->o.count);
    this_shard = &m->shard;
    bool ok = shard_open(&m->shard, &m->o);
    shard_say_opened(&m->shard, ok);
    if (ok)
        shard_run(&m->shard);
    this_shard = NULL;
    shard_close(&m->shard);
    return NULL;
}

/* They have no signals; those are for shard 0. */
static bool start_threads(struct shards *all) {
    sigset_t every, before;
    int error = 0;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    for (uint32_t i = 1; i < all->n && !error; i++) {
        error = pthread_create(&all->members[i].thread, NULL, serve, &all->members[i]);
        all->members[i].runs = !error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        log_line(&all->log, TRACE_ERROR, "shards", "no thread: %s", strerror(error));
    return !error;
}

static bool open_several(struct shards *all) {
    struct member *first = &all->members[0];
    raise_descriptors(all);
    if (!listen_for_all(all))
        return false;
    steer(all);
    all->mailbox = mailbox_new(all->n);
    if (!all->mailbox || !open_media(all) || !divide(all)) {
        log_line(&all->log, TRACE_ERROR, "shards", "no memory for %u shards", all->n);
        return false;
    }
    pin(0, all->n);
    return shard_open(&first->shard, &first->o) && start_threads(all) && shard_await_others(&first->shard);
}

bool shards_open(struct shards *all) {
    struct member *first = &all->members[0];
    this_shard = &first->shard;
    if (all->n > 1) {
        all->opened = open_several(all);
        return all->opened;
    }
    first->o = (struct shard_options){ .config = all->config, .config_path = all->config_path, .traced = all->traced,
                                       .version = all->version, .count = 1 };
    all->config = NULL;
    all->opened = shard_open(&first->shard, &first->o);
    return all->opened;
}

void shards_run(struct shards *all) {
    shard_run(&all->members[0].shard);
}

/* ---- the end */

static void join(struct shards *all) {
    struct shard *first = &all->members[0].shard;
    if (first->engine && all->mailbox)
        shard_stop_others(first);
    for (uint32_t i = 1; i < all->n; i++)
        if (all->members[i].runs)
            pthread_join(all->members[i].thread, NULL);
}

/* What a shard never was given. */
static void close_unused(struct shards *all) {
    for (uint32_t i = 0; i < all->n; i++) {
        struct member *m = &all->members[i];
        if (i > 0 ? m->runs : m->shard.config != NULL)
            continue;
        listeners_close(&m->listeners);
        config_free(m->o.config);
    }
    config_free(all->config);
}

int shards_close(struct shards *all) {
    struct shard *first = &all->members[0].shard;
    join(all);
    int status = all->opened || first->state != SHARD_RUNNING ? 0 : first->rejected ? 2 : 1;
    this_shard = NULL;
    close_unused(all);
    if (first->config)
        shard_close(first);
    close_media(all);
    steering_close(&all->steering);
    mailbox_free(all->mailbox);
    free(all->members);
    free(all);
    return status;
}
