/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * A call that was given up for a promoted server's word, and whose bucket was ours all the time.
 */
#include "tests/unit/over_rig.h"

static struct engine_config config;

/* A write is refused: the server does not know of the claim, and names who had the bucket before. The call goes; but
 * the lease has claimed it again by then, and it was never another's: the record is read once more. */
static void test_read_again(void) {
    for (unsigned lost = 0; lost < 2; lost++) {
        struct over_word o;
        struct pair *p = over_begin(&o, &config, 2);
        p->linked = false;
        store_claim(p, 1, o.bucket, 1);
        pair_bucket(p, 0, BUCKET_MINE, o.bucket, 0, 5);
        rig_request(&p->r, &o.a, "INFO", "", "");
        rig_request(&p->r, &o.a, "INVITE", "", rig_sdp("0", "sendonly", 40000));
        pair_wait(p, 10000);
        CHECK_EQ(pair_calls(p, 0), 0);
        store_claim_from(p, p->number[1], 0, o.bucket, 2);
        if (lost)
            pair_bucket(p, 0, BUCKET_LOST, o.bucket, p->number[1], 2);
        pair_bucket(p, 0, BUCKET_MINE, o.bucket, 0, 6);
        pair_wait(p, 10000);
        CHECK_EQ(pair_calls(p, 0), !lost);
        pair_end(p);
    }
}

int main(void) {
    return UNIT_RUN("records read again", UNIT(test_read_again));
}
