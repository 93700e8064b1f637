/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * config: one YAML file, one schema table. The file is walked event by event, so that every complaint names file, line,
 * key and what is allowed. Every key has a default that runs; units are part of a value (30ms, 5s, 64k).
 */
#ifndef REFEREE_RUNTIME_CONFIG_H
#define REFEREE_RUNTIME_CONFIG_H

#include "core/b2b/config.h"
#include "core/runtime/fastpath.h"
#include "core/runtime/io.h"
#include "store/redis.h"

#include <stdio.h>

#define CONFIG_VERSION 1
#define CONFIG_PATH_MAX 108       /* of a UNIX socket */
#define CONFIG_CDR_PATH_MAX 256

#define STORE_KIND_MEMORY 0       /* indices of store.kind's choices */
#define STORE_KIND_REDIS 1

/* A growing array of the loader; what it holds is given by the schema. */
struct config_list {
    void *items;
    uint32_t count;
};

struct config {
    struct engine_config engine;       /* filled by the schema, completed by config_resolve */
    uint32_t version;
    char node_name[CONFIG_NAME_MAX];

    struct config_list listen;         /* struct addr */
    char sip_advertise[CONFIG_HOST_MAX];
    struct config_list algorithms;     /* uint32_t: 0 md5, 1 sha-256 */
    char auth_secret[CONFIG_HOST_MAX];

    struct config_list media_address, media_advertise; /* char[CONFIG_HOST_MAX] */
    struct addr media_bind[MEDIA_MORE_MAX + 1]; /* by config_resolve, as many as media_address has */
    char music[CONFIG_CDR_PATH_MAX];   /* WAV file, or "off" */
    char announcement[CONFIG_CDR_PATH_MAX]; /* the same */
    uint32_t fastpath;                 /* enum fastpath_mode */
    char fastpath_pins[CONFIG_PATH_MAX];
    uint32_t ringback_choice;          /* by the schema's choices */
    char ringback[4];                  /* by config_resolve */

    struct config_list users, routes, peers, domains, echo, emergency, rules, quirks;

    uint64_t drain_timeout_us;
    uint32_t backend;                  /* enum io_backend */
    uint32_t shards;
    bool steering;
    uint32_t receive_buffer;
    uint32_t log_level;                /* enum trace_level */
    uint32_t anchor, srtp, refer, attended, splice, relay, relay_replaces, early_uas_replace, accept, hold;
                                       /* enums of the engine, by the schema's choices */
    char cdr_file[CONFIG_CDR_PATH_MAX];
    char admin_socket[CONFIG_PATH_MAX];
    struct addr cluster_listen;
    struct config_list media_vips;     /* struct addr */
    char cluster_advertise_text[CONFIG_HOST_MAX];
    struct addr cluster_advertise;     /* by config_resolve; ADDR_NONE: as it listens */
    uint32_t store_kind;
    uint32_t store_durability; /* 0: by the kind; else enum durability + 1 */
    uint32_t store_records;
    struct config_list store_servers;  /* struct addr */
    struct store_redis_config redis;   /* completed by config_resolve */
    char store_password_file[CONFIG_CDR_PATH_MAX];
    char store_tls_ca[CONFIG_CDR_PATH_MAX], store_tls_cert[CONFIG_CDR_PATH_MAX], store_tls_key[CONFIG_CDR_PATH_MAX];
    char store_tls_name[CONFIG_HOST_MAX];
    bool store_cluster, store_required, store_tls;
};

struct config_error {
    char text[512];                    /* FILE:LINE: KEY: what is wrong; what is allowed */
};

/* NULL and *e filled when the file cannot be read or is wrong. path NULL: defaults only. */
struct config *config_load(const char *path, struct config_error *e);
void config_free(struct config *c);

/* Completes c->engine: addresses that "auto" stands for, the secret, the policy. Reads the routing table and the
 * kernel's random numbers. False: *e tells. */
bool config_resolve(struct config *c, struct config_error *e);

/* Shard `shard` of c->shards: a copy of its own of what config_resolve made, with its part of media.ports and of
 * limits.calls, limits.transactions, limits.failures and store.records. What is known of each user (registrations,
 * transfer.per_minute, transfer.pending) is each shard's whole. NULL: no memory. */
struct config *config_for_shard(const struct config *c, uint32_t shard);
struct fastpath_options config_fastpath(const struct config *c);
/* The engine reads the lists of `c` from now on. */
void config_point_policy(struct config *c);

/* The part of it that concerns store.*. */
bool config_resolve_store(struct config *c, struct config_error *e);

/* "sip.t1=100ms" over what the file says; not for lists. False: *e tells. Before config_resolve. */
bool config_override(struct config *c, const char *setting, struct config_error *e);

/* Every key with its default and what it is for: a file that loads. */
void config_print(FILE *to);

#endif
