/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * record_read: what the record_decode*.c files share. Private to them.
 */
#ifndef REFEREE_B2B_RECORD_READ_H
#define REFEREE_B2B_RECORD_READ_H

#include "core/b2b/record.h"
#include "core/b2b/record_fields.h"

struct decoder {
    struct engine *e;
    struct call *c;
    enum record_error error;
    bool peeks;                          /* record_peek */
    struct addr media_addr;              /* of the node that had the ports */
    uint16_t peer[LIMIT_LEGS_PER_CALL];  /* number + 1, of the call's leg of that index */
    struct sbuf kept;
    char kept_mem[RECORD_KEPT_MAX];
};

enum read_result { READ_TAKEN, READ_UNKNOWN, READ_FAILED };

static inline enum read_result read_fail(struct decoder *x, enum record_error r) {
    x->error = r;
    return READ_FAILED;
}

/* One field of an object: sets it, does not know it, or fails with x->error set. */
typedef enum read_result read_fn(struct decoder *x, void *object, const struct tlv *t);

/* Every field of `in`; unknown optional ones are kept under `w`. False: x->error. */
bool read_object(struct decoder *x, struct slice in, struct record_where w, read_fn *fn, void *object);
enum read_result read_field(struct decoder *x, const struct record_field *f, void *object, const struct tlv *t);
enum read_result read_flags(struct decoder *x, const uint16_t *flags, void *object, const struct tlv *t);
enum read_result read_timer(struct decoder *x, struct wheel_node *n, const struct tlv *t);
/* Bucket and id of a call, and nothing more. */
bool read_call_name(struct slice in, uint64_t *bucket, uint64_t *id);
/* NULL: no leg of this number has been read. */
struct leg *read_leg_of_number(const struct decoder *x, uint64_t number);

/* Ports for streams whose own were not free. */
bool take_other_ports(struct decoder *x);

/* A leg of another call, as a party's value behind its 0 has it. */
bool record_party_at(struct slice in, struct slice *call_id, struct slice *local_tag);
/* REC_LEG and REC_TRANSFER. */
bool read_leg(struct decoder *x, struct slice in);
bool read_transfer(struct decoder *x, struct slice in);
/* The last stage: handles for numbers and for what stands in other records. */
bool record_link(struct decoder *x);

#endif
