/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sim_faults: what the store and an engine's death lose, and what must not be lost. The store (sim_store.c) stands
 * between the engine and its records; the engine (sim_node.c) dies in the midst of an outbox, and another one goes on.
 */
#ifndef REFEREE_SIM_FAULTS_H
#define REFEREE_SIM_FAULTS_H

#include "parser/sip_msg.h"
#include "store/store.h"

struct world;
struct sim_setup;
struct sim_script;

#define SIM_KEPT 1024
#define SIM_SURVIVORS 64
#define SIM_LOST 128

/* The latest record of a call that the engine knows to be stored. */
struct sim_kept {
    uint64_t id, version;
    struct buf *value;            /* NULL: deleted */
    uint16_t bucket;
    bool known, loaded;
};
struct sim_op;
struct sim_op_record {
    struct sim_op_record *next;
    uint32_t n;
    char bytes[];
};
#define SIM_ARRIVALS 1024
struct sim_arrival {
    uint64_t id, at;
    unsigned node;
};
struct sim_store {
    struct sim_op *first, **last; /* on their way, in order */
    struct sim_op *late;          /* nodes: writes that could not be done, and are when they can */
    uint64_t due, down_until;
    bool stands;                  /* the replica, as it was then: */
    uint8_t *replica;
    uint64_t serves;              /* then it is the server */
    uint64_t item_at;             /* nodes: of the item that takes the last ones; 0: none is on its way */
    struct sim_kept kept[SIM_KEPT];
    uint32_t kept_n;
    uint64_t unprotected;         /* messages that did not wait, of this engine */
    uint32_t life;                /* which engine it is */
    uint32_t doomed;              /* steps until it dies; 0: it does not */
    uint8_t how;
    uint32_t deaths, quarantined;
    struct sim_arrival arrivals[SIM_ARRIVALS]; /* of calls that have moved, the latest ones */
    uint32_t arrival_n;
    bool went_back;               /* the promoted server has not got what had counted as stored */
    uint32_t unended;             /* records of calls that were over, when who was to delete them left */
    bool undeleted;               /* ... and who would have deleted it again died before */
    bool lost_some;               /* cluster: an engine died with something unprotected */
    uint64_t lost[SIM_LOST];      /* else: calls of which something was, when theirs died; and those bound to them */
    uint32_t lost_n;
    uint64_t survivors[SIM_SURVIVORS];
    uint32_t survivor_n;
    struct sim_op_record *records;
};

void sim_store_setup(struct sim_setup *u, uint64_t seed, bool nodes);
void sim_store_script(struct sim_script *s, uint64_t seed);
void sim_store_begin(struct world *w);
void sim_store_op(struct world *w, const struct store_op *op);
void sim_store_arrives(struct world *w);
void sim_store_down(struct world *w, unsigned how);
void sim_store_forget(struct world *w);
void sim_store_promoted(struct world *w);
uint64_t sim_record_version(struct world *w, struct slice record);
/* Two owners have died with that call, by the record: who reads it now does not go on with it. */
bool sim_record_left_alone(struct world *w, struct slice record);
/* By the record where its engine has set them back, and not stored that: so the next owner counts. */
uint64_t sim_takeovers(struct world *w, const struct call *c);
/* Before it goes out: a record must promise it. */
void sim_store_check(struct world *w, const struct sip_msg *m);
void sim_store_check_end(struct world *w);
void sim_node_doom(struct world *w, unsigned how);
bool sim_node_dies(struct world *w);
void sim_node_dead(struct world *w);
void sim_node_rise(struct world *w);
/* The engine dies: which of its calls may come back as they were before something that was promised. */
void sim_note_lost(struct world *w);
bool sim_is_lost(const struct world *w, uint64_t call);
/* ... by a tag that the engine made; any other is of none. */
bool sim_is_lost_tag(const struct world *w, struct slice tag);

#endif
