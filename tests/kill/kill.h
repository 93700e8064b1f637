/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * kill: the kill matrix. Each flow of calls and transfers is walked once by phones over two or three engines with one
 * store, in virtual time. Before and behind every message and write of the engine that has a call of the flow, a copy
 * of this process goes on in which that engine is dead: a cell. What the phones see from there to the last BYE is held
 * to the same whatever the moment: the transfer completes; who talked still talks, BYE reaches the other side, and
 * nothing is left anywhere. It may be as it was before, and the transferor told, only where somebody refuses (a flow
 * that must_fail: the target is busy, or the transferee refuses the new media, with or without a death) or where the
 * REFER was refused. Behind a 202, the dead engine's or the next one's, a transfer that all are willing to have and
 * that is rolled back is lost. Death before the 202 is no excuse: the REFER comes again.
 *
 *   text.c      what stands in a message
 *   phone.c     phones: dialogs, requests, transactions
 *   phone_in.c  what they do about what arrives
 *   people.c    those who hold them: who calls, holds, transfers and hangs up when
 *   judge.c     who hears whom; what must hold at the end
 *   world.c     engines, relays, time; death
 *   matrix.c    the flows; cells and what came out
 */
#ifndef REFEREE_KILL_H
#define REFEREE_KILL_H

#include "rtp/relay.h"
#include "tests/unit/cluster_rig.h"

#define MS UINT64_C(1000)
#define SEC UINT64_C(1000000)
#define SIDES_MAX 24
#define CLIENTS_MAX 32
#define SERVERS_MAX 96
#define TEXT_CAP 4096
#define PORTS_MAX 50 /* pairs of the rig's range */
#define TIMER_B (32 * SEC)

/* ---- text.c: all write a NUL; what is not there is "" ---- */

void header(const char *text, const char *name, char *out, size_t cap);
void part(const char *value, const char *from, const char *ends, char *out, size_t cap);
void tag_of(const char *text, const char *name, char *out, size_t cap);
void method_of(const char *text, char *out, size_t cap); /* of CSeq */
unsigned cseq_of(const char *text);
const char *body_of(const char *text);
/* %3B and the like. */
void unescape(char *text);
extern bool verbose;
/* One line of what a phone sees, if that is wanted. */
void say_message(const char *text, unsigned host, bool sent);

/* ---- phone.c ---- */

struct session {
    struct addr rtp;
    char dir[12], id[32];
    unsigned version;
    char text[1024];
};

/* A phone's side of a dialog. */
struct side {
    bool used, uac, ringing, up, ended, got_bye, glare;
    enum rig_name who;
    uint64_t since;              /* up, or ringing */
    char call_id[128], tag[48], remote_tag[80], local[128], remote[128], target[256];
    unsigned cseq, their_cseq;
    uint16_t port;               /* ours for media */
    unsigned version;
    char dir[12];
    struct session theirs, seen; /* agreed; last heard of */
    char invite[TEXT_CAP];       /* theirs, unanswered */
    bool offering;               /* an INVITE of ours is open */
    bool offered_late;           /* our 2xx had an offer */
    unsigned invite_status, refer_status, bye_status, refer_cseq;
    uint64_t invite_done, bye_at;
    unsigned told;               /* the final NOTIFY's status; 0: none yet */
    struct side *cause;          /* relayed: the dialog whose REFER made this call */
    unsigned cause_cseq;
};

struct client {
    bool used, provisional;
    struct side *s;
    char method[12], branch[48], text[TEXT_CAP];
    uint64_t next, interval, until;
};

/* A request that was answered. */
struct server {
    bool used, unacked;
    enum rig_name who;
    char branch[80], method[16], call_id[128], text[TEXT_CAP];
    unsigned cseq;
    uint64_t next, interval, until;
};

struct phones {
    struct side sides[SIDES_MAX];
    struct client clients[CLIENTS_MAX];
    struct server servers[SERVERS_MAX];
    unsigned made;
    char wrong[200];             /* the first thing that no engine may do; "": none */
};

struct side *side_new(enum rig_name who);
struct side *side_find(const char *call_id, const char *tag, const char *remote_tag);
const char *supported(enum rig_name who);
struct server *server_find(enum rig_name who, const char *branch, const char *method);
void request(struct side *s, const char *method, const char *headers, const char *sdp);
void ack(struct side *s, unsigned cseq);
void respond(struct side *s, enum rig_name who, const char *req, unsigned status, const char *sdp);
const char *sdp_of(struct side *s, const char *dir);
/* What the engine describes; agreed: it holds from now on. */
void learn_session(struct side *s, const char *text, bool agreed);
struct side *dial(enum rig_name from, const char *to, const char *headers);
void offer(struct side *s, const char *dir);
void answer_ringing(struct side *s);
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
void phones_turn(void);
uint64_t phones_due(void);

/* ---- phone_in.c ---- */

void at_phone(struct cluster *w, const struct addr *phone, char *text);

/* ---- matrix.c ---- */

enum flow_kind { ATTENDED, BLIND, SEMI };
struct flow {
    const char *name;
    enum flow_kind kind;
    bool no_replaces;            /* the target does not know them */
    unsigned target_says;        /* to the INVITE that the transfer makes; 0: 200 */
    unsigned transferee_says;    /* to re-INVITEs while it is transferred; 0: 200 */
    enum refer_mode refer;
    enum relay_variant relay;
    enum splice_mode splice;
    bool must_fail;              /* else it must complete */
};

/* True: this is a copy of a world with a death, and the other one waits for what becomes of it. */
bool matrix_fork(void);

/* ---- world.c ---- */

struct kill {
    struct cluster *w;
    const struct flow *flow;
    struct phones p;
    struct relay relays[CLUSTER_MAX];
    void *relay_memory[CLUSTER_MAX];
    unsigned nodes;
    bool split, own_media;       /* the two calls lie at two nodes; media addresses do not move with the node */
    int dead;                    /* -1: nobody */
    uint64_t died_at;
    char why[300];               /* it is lost; "": it is not */
    unsigned redialled;
};
extern struct kill K;

void world_begin(const struct flow *f, unsigned nodes, bool split, bool own_media);
void world_end(void);
/* What the engines say themselves. */
void print_traces(void);
void world_run_until(uint64_t until);
void send_from(enum rig_name who, const char *text);
/* The engine that has the call of this Call-ID's INVITE. */
unsigned owner_of_call_id(const char *call_id);
/* The most that an engine takes it may have missed of a call: owners who have written nothing of it. */
unsigned unwritten_owners(void);
unsigned calls_left(void);
bool has_calls(unsigned engine);

/* ---- people.c ---- */

enum outcome { OUT_LOST, OUT_DONE, OUT_BACK, OUTCOMES };
struct people {
    unsigned step;
    uint64_t since;
    struct side *ab, *ba, *bc;   /* A's and B's sides of their call, B's of the consultation */
    unsigned tries;
    bool resumed;
    struct side *last;           /* who hangs up */
    struct side *heard;          /* and who must hear of it */
    enum outcome outcome;
    bool far_end_hangs_up;
};
extern struct people P;
/* True: all have hung up, or it is lost. */
bool people_turn(void);
bool people_are_done(void);
void people_begin(void);

/* ---- judge.c ---- */

/* What x says, y hears. */
bool hears(const struct side *x, const struct side *y);
unsigned up_sides(enum rig_name who, struct side **one);
enum outcome judge(void);
/* Of calls, in any engine and in the store. */
bool nothing_is_left(void);
void judge_end(void);
void lost(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
