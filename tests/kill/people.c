/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Those who hold the phones. They wait for what they see, say what they want once more when it did not come about, and
 * give up after a while. */
#include "tests/kill/kill.h"

#define PATIENCE (90 * SEC)

struct people P;

static void go(unsigned step) {
    P.step = step;
    P.since = K.w->now;
    P.tries = 0;
}

static bool waited(uint64_t us) {
    return K.w->now - P.since >= us;
}

static struct side *side_of_call(enum rig_name who) {
    for (unsigned i = SIDES_MAX; i-- > 0;) {
        struct side *s = &K.p.sides[i];
        if (s->used && !s->uac && s->who == who && s->up)
            return s;
    }
    return NULL;
}

/* Who is rung answers. */
static void answer(void) {
    for (unsigned i = 0; i < SIDES_MAX; i++) {
        struct side *s = &K.p.sides[i];
        uint64_t rings = s->who == CAROL && K.flow->kind == SEMI ? 3 * SEC : 300 * MS;
        if (s->used && s->ringing && !s->uac && s->invite[0] && K.w->now - s->since >= rings)
            answer_ringing(s);
    }
}

/* ---- the steps ---- */

enum step { STEP_NONE, CALL_B, HOLD_A, CALL_C, HOLD_C, SAY_REFER, BE_TOLD, AFTER, SETTLE, HANG_UP, OTHERS_HANG_UP,
            QUIET, OVER };

/* A call that did not come about is made once more. */
static bool again(struct side **s, enum rig_name from, const char *to) {
    if (!(*s)->ended)
        return false;
    if (P.tries++ == 3) {
        lost("%s cannot call", rig_names[from]);
        return false;
    }
    K.redialled++;
    *s = dial(from, to, "");
    return true;
}

static void call_b(void) {
    if (!P.ab)
        P.ab = dial(ALICE, "sip:bob@192.0.2.1", "");
    again(&P.ab, ALICE, "sip:bob@192.0.2.1");
    P.ba = side_of_call(BOB);
    if (P.ab->up && P.ba && waited(200 * MS))
        go(HOLD_A);
}

/* True: it is done. */
static bool describe(struct side *s, const char *dir) {
    if (s->ended)
        lost("%s has lost a call", rig_names[s->who]);
    if (s->ended || s->offering)
        return false;
    if (!strcmp(s->dir, dir) && s->invite_status / 100 == 2)
        return K.w->now - s->invite_done >= 200 * MS;
    if (!s->invite_done || s->invite_status / 100 == 2 || K.w->now - s->invite_done >= SEC)
        offer(s, dir);
    return false;
}

static void call_c(void) {
    if (!P.bc)
        P.bc = dial(BOB, "sip:carol@192.0.2.1", "");
    again(&P.bc, BOB, "sip:carol@192.0.2.1");
    if (waited(300 * MS) && K.flow->kind == SEMI && (P.bc->ringing || P.bc->up))
        go(SAY_REFER);
    else if (waited(300 * MS) && K.flow->kind != SEMI && P.bc->up)
        go(HOLD_C);
}

static void refer(void) {
    char h[700];
    if (K.flow->kind == BLIND)
        snprintf(h, sizeof h, "Refer-To: <sip:carol@192.0.2.1>\r\n");
    else
        snprintf(h, sizeof h, "Refer-To: <sip:carol@192.0.2.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\r\n",
                 P.bc->call_id, P.bc->remote_tag, P.bc->tag);
    request(P.ba, "REFER", h, "");
    go(BE_TOLD);
}

static void be_told(void) {
    if (P.ba->refer_status >= 300 && !P.ba->told)
        P.ba->told = P.ba->refer_status;
    if (P.ba->refer_status && P.ba->told)
        go(AFTER);
    else if (waited(PATIENCE))
        lost("the transferor is never told: REFER %u", P.ba->refer_status);
}

static void bye(struct side *s) {
    if (s->ended)
        return;
    s->ended = true;
    s->bye_at = K.w->now;
    request(s, "BYE", "", "");
}

/* The transferor leaves, or takes its call back. */
static void after(void) {
    if (!waited(200 * MS))
        return;
    if (P.ba->told < 300) {
        bye(P.ba);
        go(SETTLE);
        return;
    }
    if (P.bc && P.bc->up && !P.resumed)
        bye(P.bc);
    P.resumed = true;
    if (describe(P.ba, "sendrecv"))
        go(SETTLE);
    else if (waited(PATIENCE))
        lost("the transferor cannot take its call back: %u", P.ba->invite_status);
}

static void hang_up(void) {
    bye(P.last);
    /* Who had it answered may have died before the answer left: the dialog is over (section 15.1.1). */
    if (P.last->bye_status == 481 && K.dead >= 0 && K.died_at >= P.last->bye_at)
        P.last->bye_status = 200;
    if (P.last->bye_status >= 300)
        lost("BYE is answered %u", P.last->bye_status);
    else if (P.last->bye_status && P.heard->got_bye)
        go(OTHERS_HANG_UP);
    else if (waited(PATIENCE))
        lost("the other party gets no BYE");
}

static void others_hang_up(void) {
    for (unsigned i = 0; i < SIDES_MAX; i++) {
        struct side *s = &K.p.sides[i];
        if (s->used && s->up)
            bye(s);
    }
    go(QUIET);
}

/* A copy of the world in which the other party hangs up; only in a world with a death. */
static void both_ways(void) {
    if (matrix_fork()) {
        struct side *s = P.last;
        P.last = P.heard;
        P.heard = s;
        P.far_end_hangs_up = true;
    }
    go(HANG_UP);
}

bool people_turn(void) {
    answer();
    switch ((enum step)P.step) {
    case CALL_B: call_b(); break;
    case HOLD_A:
        if (describe(P.ba, "sendonly"))
            go(K.flow->kind == BLIND ? SAY_REFER : CALL_C);
        break;
    case CALL_C: call_c(); break;
    case HOLD_C:
        if (describe(P.bc, "sendonly"))
            go(SAY_REFER);
        break;
    case SAY_REFER: refer(); break;
    case BE_TOLD: be_told(); break;
    case AFTER: after(); break;
    case SETTLE:
        if (!waited(8 * SEC))
            break;
        P.outcome = judge();
        if (!K.why[0])
            both_ways();
        break;
    case HANG_UP: hang_up(); break;
    case OTHERS_HANG_UP: others_hang_up(); break;
    case QUIET:
        if (waited(5 * SEC) && (nothing_is_left() || waited(170 * SEC))) {
            judge_end();
            go(OVER);
        }
        break;
    case STEP_NONE:
    case OVER: break;
    }
    if (waited(2 * PATIENCE))
        lost("the flow does not go on: step %u", P.step);
    return P.step == OVER || K.why[0];
}

bool people_are_done(void) {
    return P.step == OVER;
}

void people_begin(void) {
    go(CALL_B);
}
