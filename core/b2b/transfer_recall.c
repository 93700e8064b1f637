/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Recall: the transferor is gone and the transfer has failed. The transferee is not dropped but given to the transferor
 * again, by a new call, and if that fails to the fallback; if that fails too it hears an announcement. */
#include "core/b2b/late.h"
#include "core/b2b/media.h"
#include "core/b2b/transfer.h"

enum { RECALL_TRANSFEROR = 1, RECALL_FALLBACK, RECALL_ANNOUNCEMENT };

static bool announce(struct engine *e, struct transfer *t, struct leg *a) {
    if (!e->cfg.announcement_us || !media_play(e, a, MEDIA_SOURCE_ANNOUNCEMENT))
        return false;
    transfer_go(e, t, TRANSFER_ANNOUNCE);
    wheel_set(&e->wheel, &t->timer, e->now + e->cfg.announcement_us);
    return true;
}

void transfer_do_announced(struct engine *e, struct transfer *t, uint16_t status) {
    (void)status;
    transfer_fail(e, t, t->result);
}

bool transfer_is_recalling(const struct transfer *t) {
    return t->recall_step && (t->state == TRANSFER_TARGET || t->state == TRANSFER_ASK || t->state == TRANSFER_OFFERED ||
                              t->state == TRANSFER_TRANSFEREE);
}

bool transfer_recall(struct engine *e, struct transfer *t, uint16_t status) {
    struct leg *a = leg_get(e, t->transferee), *b = transfer_former_peer(e, t);
    struct slice uri = t->recall_step ? slice_str(e->cfg.recall_uri) : strs_get(&t->s, TRF_RECALL);
    bool over = !e->cfg.recall || t->recall_step == RECALL_ANNOUNCEMENT || t->mode == MODE_TAKEOVER;
    if (over || leg_is_live(b) || !leg_is_up(a))
        return false;
    transfer_set_result(e, t, status >= 300 ? status : 500);
    transfer_drop_targets(e, t, NULL);
    transfer_settle_consult(e, t);
    late_decline(e, a);
    if (!t->final_sent)
        transfer_notify(e, t, t->result);
    t->recall_step++;
    if (t->recall_step == RECALL_ANNOUNCEMENT)
        return announce(e, t, a);
    t->mode = MODE_BLIND;
    t->target = t->consult = t->replaced = HANDLE_NONE;
    strs_set(&t->s, &e->bufs, TRF_REPLACES, SLICE_NONE);
    strs_set(&t->s, &e->bufs, TRF_EXTRA, SLICE_NONE);
    if (!uri.n || !strs_set(&t->s, &e->bufs, TRF_REFER_TO, uri))
        return transfer_recall(e, t, status);
    transfer_call_target(e, t);
    return true;
}
