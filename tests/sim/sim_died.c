/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an engine's death excuses of what was seen on the wires: what it had open, and what it had not stored. */
#include "core/b2b/leg.h"
#include "core/b2b/owner.h"
#include "core/b2b/recover.h"
#include "core/sip/token.h"
#include "tests/sim/sim_cluster.h"

#define T1_64 32000000ull

/* ---- calls of which something was promised that no record had ---- */

static void note_lost(struct world *w, uint64_t id) {
    struct sim_store *s = &w->faults;
    if (!sim_is_lost(w, id) && s->lost_n < SIM_LOST)
        s->lost[s->lost_n++] = id;
}

/* And each that a transfer binds it to: what became of that one is in its record, too. */
static void note_bound(struct world *w, const struct transfer *t) {
    const struct call *c = t ? call_get(w->e, t->call) : NULL, *other = t ? call_get(w->e, t->consult_call) : NULL;
    if (c)
        note_lost(w, c->id);
    if (other)
        note_lost(w, other->id);
}

static bool is_here(const struct world *w, uint64_t id) {
    uint32_t cursor = 0;
    handle h;
    for (const struct call *c; (c = pool_next(&w->e->calls, &cursor, &h));)
        if (c->id == id)
            return true;
    return false;
}

/* We hang up, which promises nothing, and no record says so. */
static bool ends_unstored(const struct engine *e, const struct call *c) {
    bool up = false;
    for (unsigned i = 0; i < c->leg_count; i++)
        up = up || leg_is_up(leg_get(e, c->legs[i]));
    return !up && (c->stored != c->version || c->rewrite);
}

void sim_note_lost(struct world *w) {
    uint32_t cursor = 0;
    handle h;
    /* One that is over, and whose record is not deleted yet. */
    for (uint32_t i = 0; i < w->faults.kept_n; i++)
        if (w->faults.kept[i].value && !is_here(w, w->faults.kept[i].id))
            note_lost(w, w->faults.kept[i].id);
    for (const struct call *c; (c = pool_next(&w->e->calls, &cursor, &h));) {
        if (ends_unstored(w->e, c))
            note_lost(w, c->id);
        if (!c->unprotected)
            continue;
        note_lost(w, c->id);
        note_bound(w, transfer_get(w->e, c->transfer));
        for (unsigned i = 0; i < c->leg_count; i++)
            note_bound(w, transfer_get(w->e, leg_get(w->e, c->legs[i])->transfer));
    }
}

bool sim_is_lost(const struct world *w, uint64_t id) {
    const struct sim_store *s = &w->faults;
    for (uint32_t i = 0; i < s->lost_n; i++)
        if (s->lost[i] == id)
            return true;
    return cluster_on(w) ? s->lost_some : s->lost_n == SIM_LOST;
}

bool sim_is_lost_tag(const struct world *w, struct slice tag) {
    struct token t;
    return token_parse(tag, &t) && sim_is_lost(w, t.call);
}

/* ---- dialogs ---- */

struct dialogs {
    uint32_t n;
    uint64_t keys[2048];
};

static bool has(const struct dialogs *d, uint64_t key) {
    for (uint32_t i = 0; i < d->n; i++)
        if (d->keys[i] == key)
            return true;
    return false;
}

static void add(struct dialogs *d, uint64_t key) {
    if (d->n < sizeof d->keys / sizeof *d->keys)
        d->keys[d->n++] = key;
}

static uint64_t key_of(const struct leg *l) {
    return check_key(leg_str(l, DLG_CALL_ID), leg_str(l, DLG_LOCAL_TAG));
}

/* The latest of the dialog's call is stored. */
static bool is_recorded(const struct engine *e, uint64_t dialog) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&e->legs, &cursor, &h));)
        if (key_of(l) == dialog)
            return call_get(e, l->call)->stored == call_get(e, l->call)->version;
    return false;
}

/* Of an engine of a cluster that is well. */
static void add_well(struct dialogs *well, const struct engine *e) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&e->legs, &cursor, &h));)
        if (!e->owners.suspended && owner_is_mine(e, call_get(e, l->call)->bucket) &&
            !call_get(e, l->call)->resuming)
            add(well, key_of(l));
}

/* Of the one that has died, and all that was promised of them is stored; by the engine's tag, and by both. */
static void add_sound(const struct world *w, struct dialogs *sound) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&w->e->legs, &cursor, &h));) {
        const struct call *c = call_get(w->e, l->call);
        /* Also a leg that has come from such a call. Of the last the next owner leaves the record alone. */
        if (sim_is_lost(w, c->id) || sim_is_lost_tag(w, leg_str(l, DLG_LOCAL_TAG)) ||
            c->takeovers >= RECOVER_TAKEOVERS_MAX)
            continue;
        add(sound, key_of(l));
        add(sound, sim_mix(key_of(l), sim_hash(leg_str(l, DLG_REMOTE_TAG))) | 1);
    }
}

/* Its last description was in an ACK, PRACK or UPDATE that died with it: what comes next has a later version. */
static void forget_unsent(struct world *w) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&w->e->legs, &cursor, &h));) {
        struct seen_dialog *d = check_dialog(w, key_of(l));
        if (d->version != l->media.version)
            d->sdp = 0;
    }
}

/* In a cluster, by an engine that has died, sleeps or is not sure: what waited for its record, and is in it, nobody may
 * have been told. Its next owner goes on from there: what comes next has a later version, by however much. */
static void pass_unsent(struct world *w, const struct engine *e, const struct dialogs *well) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; (l = pool_next(&e->legs, &cursor, &h));) {
        struct seen_dialog *d = check_dialog(w, key_of(l));
        if (d->sdp && l->media.version > d->version && !has(well, d->key))
            d->leaps = true;
    }
}

static void died_dialog(const struct world *w, struct seen_dialog *d, bool lost) {
    d->invite_branch = d->refresh_branch = d->in_invite = 0;
    /* The next engine repeats it, and waits for its ACK as long again: no record says that one has come; for the answer
     * to our INVITE too. */
    d->ok_cseq_last -= d->ok_cseq_last != 0 && !cluster_on(w);
    if (!cluster_on(w))
        d->opened_branch = 0;
    d->ok_at = 0;
    if (!lost)
        return;
    /* What nobody could store its next owner does not know, and sends by an older record. */
    d->sdp = 0;
    d->unsure = true;
    if (cluster_on(w)) {
        d->cseq = 0;
        d->provisional_cseq = UINT32_MAX;
    }
}

static void died_sub(const struct world *w, struct seen_sub *s, bool lost) {
    bool was_open = s->unanswered;
    s->unsaid |= s->final && !is_recorded(w->e, s->key);
    s->was_final = s->final ? s->unanswered : s->was_final;
    s->final = s->final && !s->unanswered;
    s->lapsed = s->lapsed || s->unanswered; /* more than one may die with it */
    s->open = s->unanswered = false;
    s->excused = s->excused || lost || (was_open && w->now - s->sent_at >= T1_64);
}

void check_died(struct world *w) {
    static struct dialogs well, sound;
    bool cluster = cluster_on(w), some = w->faults.lost_some;
    well.n = sound.n = 0;
    for (unsigned i = 0; i < w->cluster->n; i++)
        if (w->cluster->node[i].runs && !w->cluster->node[i].asleep)
            add_well(&well, w->cluster->node[i].e);
    for (unsigned i = 0; i < w->cluster->n; i++)
        if (w->cluster->node[i].runs)
            pass_unsent(w, w->cluster->node[i].e, &well);
    if (!cluster) {
        add_sound(w, &sound);
        forget_unsent(w);
    }
    for (uint32_t i = 0; i < SEEN_DIALOGS; i++) {
        struct seen_dialog *d = &w->seen.dialogs[i];
        if (d->key && !has(&well, d->key))
            died_dialog(w, d, cluster ? some : !has(&sound, d->key));
    }
    for (uint32_t i = 0; i < w->seen.ok_n; i++)
        w->seen.oks[i].acked |= !has(&well, w->seen.oks[i].key);
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        struct seen_sub *s = &w->seen.subs[i];
        if (!has(&well, s->key))
            died_sub(w, s, cluster ? some : !has(&sound, s->key));
    }
}

void check_woken(struct world *w, const struct engine *e) {
    static struct dialogs own;
    own.n = 0;
    add_well(&own, e);
    for (uint32_t i = 0; i < w->seen.sub_n; i++) {
        struct seen_sub *s = &w->seen.subs[i];
        s->excused = s->excused || (s->lapsed && has(&own, s->key) && w->now - s->sent_at >= T1_64);
    }
}

/* The call whose record the event is; 0: none. */
static uint64_t record_of(const struct event *ev) {
    bool leased = ev->kind == EV_BUCKET && ev->u.bucket.what == BUCKET_RECORD;
    bool loaded = ev->kind == EV_STORE && ev->u.store.more;
    uint64_t id = 0;
    bool is_call = (leased || loaded) && slice_hex(leased ? ev->u.bucket.key : ev->u.store.key, &id);
    return is_call ? id : 0;
}

void check_unwritten(struct world *w, const struct event *ev, bool arrived) {
    uint32_t cursor = 0;
    handle h;
    uint64_t id = record_of(ev);
    for (const struct leg *l; (id || arrived) && (l = pool_next(&w->e->legs, &cursor, &h));) {
        const struct call *c = call_get(w->e, l->call);
        bool read = id && c->id == id && c->taken_us == w->now;
        bool came = arrived && !c->resuming && c->arrived && !c->stored_us;
        if (came)
            promote_arrived(w, c->id);
        if (c->unwritten && (read || came))
            check_dialog(w, key_of(l))->leaps = true;
    }
}

/* ---- a claim that a promoted server has not seen ---- */

/* What its owner had open in the dialogs of that call, and said in them, died with the claim. */
void check_undone(struct world *w, uint64_t id) {
    static struct dialogs gone;
    uint32_t cursor = 0;
    handle h;
    gone.n = 0;
    for (const struct leg *l; (l = pool_next(&w->e->legs, &cursor, &h));) {
        const struct call *c = call_get(w->e, l->call);
        if (c->id == id)
            add(&gone, key_of(l));
    }
    for (uint32_t i = 0; i < gone.n; i++)
        died_dialog(w, check_dialog(w, gone.keys[i]), w->faults.lost_some);
    for (uint32_t i = 0; i < w->seen.ok_n; i++)
        w->seen.oks[i].acked |= has(&gone, w->seen.oks[i].key);
    for (uint32_t i = 0; i < w->seen.sub_n; i++)
        if (has(&gone, w->seen.subs[i].key))
            died_sub(w, &w->seen.subs[i], w->faults.lost_some);
}

/* ---- word of a former owner's that legs are over ---- */

static struct {
    unsigned n;
    struct {
        handle leg;
        uint64_t key;
        bool lives, ends;
    } legs[LIMIT_LEGS_PER_CALL];
} told;

/* Its phone has that very dialog, has not hung up itself, and no owner has hung up on it. */
static bool lives(struct world *w, const struct leg *l) {
    unsigned i = (unsigned)l->dlg.flow.ip[3] - 10;
    const struct pdlg *d = i < SIM_PHONES ? phone_dialog_find(&w->phones[i], leg_str(l, DLG_CALL_ID),
                                                              leg_str(l, DLG_REMOTE_TAG))
                                          : NULL;
    return d && d->state == PH_UP && !d->bye_in && !d->hung_up &&
           check_dialog(w, key_of(l))->bye_tag != sim_hash(leg_str(l, DLG_REMOTE_TAG));
}

/* A transferor that is still being told how its transfer ended: its BYE follows when it has answered. */
static bool ends_later(const struct engine *e, const struct leg *l) {
    const struct transfer *t = transfer_get(e, l->transfer);
    return t && l->transfer_role == TR_TRANSFEROR && t->end_transferor;
}

/* A caller that has an answer, of which the record that we go on by does not know, is one of those, too. Who is still
 * called by that record has no dialog that could be ended, unless it has answered a former owner, and hung up there. */
void check_over_begins(struct world *w, uint64_t id) {
    uint32_t cursor = 0;
    handle h;
    told.n = 0;
    for (const struct leg *l; (l = pool_next(&w->e->legs, &cursor, &h));) {
        bool calls = l->state == LEG_CALLING || l->state == LEG_EARLY;
        bool counts = leg_is_live(l) && (!calls || check_dialog(w, key_of(l))->hung_up);
        if (!counts || call_get(w->e, l->call)->id != id || told.n == LIMIT_LEGS_PER_CALL)
            continue;
        told.legs[told.n].leg = h;
        told.legs[told.n].key = key_of(l);
        told.legs[told.n].ends = ends_later(w->e, l);
        told.legs[told.n++].lives = !calls && lives(w, l);
    }
}

/* It has gone without a word, since it is in a call that another engine has. */
static bool has_left(const struct world *w, handle leg, uint64_t key) {
    static struct dialogs others;
    others.n = 0;
    for (unsigned i = 0; i < w->cluster->n; i++)
        if (w->cluster->node[i].runs && w->cluster->node[i].e != w->e)
            add_well(&others, w->cluster->node[i].e);
    return !leg_get(w->e, leg) && has(&others, key);
}

void check_over_ends(struct world *w) {
    unsigned ended = 0, lived = 0;
    for (unsigned i = 0; i < told.n; i++) {
        const struct leg *l = leg_get(w->e, told.legs[i].leg);
        bool stays = leg_is_live(l) && (told.legs[i].ends || !ends_later(w->e, l));
        if (stays || has_left(w, told.legs[i].leg, told.legs[i].key))
            continue;
        ended++;
        lived += told.legs[i].lives;
    }
    if (ended && ended == lived)
        sim_fail(w, "a former owner's word has ended dialogs that nobody had hung up on");
}
