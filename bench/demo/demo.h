/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * demo: three phones in one process walk a call transfer through a refereed that is started for it (or, with --cluster,
 * through several that run already; or, with --self-test, talk to each other directly). Every message that passes is
 * printed as a line of the ladder and held against a table of expected lines; what is heard is measured on the RTP that
 * really arrives. One thread, one poll.
 *
 *   net.c      sockets, media, the loop            expect.c  expected lines, ticked as they pass
 *   ladder.c   a message as a line of text         checks.c  what a line must carry
 *   audio.c    tones and gaps                      daemon.c  the child: configuration, start, leftover, stop
 *   cluster.c  several refereed that run already, one of which is killed
 *   flow_*.c   the tables and scripts
 */
#ifndef REFEREE_BENCH_DEMO_H
#define REFEREE_BENCH_DEMO_H

#include "bench/phone/media.h"
#include "bench/phone/phone.h"

#include <stdio.h>
#include <sys/types.h>

/* P: another phone of B's user, not registered; few flows have it. */
enum who { A, B, C, P, WHO_COUNT };
/* Dialogs as the flow names them; each phone's own slot is bound to a name by the first message that fits. D_NONE: the
 * message belongs to no dialog of the phone. */
enum dlg { D_ANY, D1, D2, D3, DLG_COUNT, D_NONE };

#define DEMO_WANTS_MAX 64
#define DEMO_STAGES_MAX 32
#define DEMO_LIMIT_US 10000000u
#define DEMO_GAP_LIMIT_US 500000u
#define DEMO_PATH_MAX 256
#define DEMO_NODES_MAX 8
#define DEMO_ADDR_MAX 48
#define LEFTOVER_MAX 32

struct demo;
struct want;
/* NULL: as it should be; else what is wrong, a literal. */
typedef const char *want_check_fn(const struct demo *d, const struct want *w, const struct phone_seen *seen);

/* One expected line. Lines of the same chain come in the table's order; `after` names the label of a line, of whatever
 * chain, that must have come before. Different chains may interleave. */
struct want {
    enum who who;
    bool sent;
    enum sip_method method;
    uint16_t status;              /* 0: the request; 401 stands for 407 too */
    enum dlg dlg;
    uint8_t chain, label, after;
    bool optional;
    bool repeat;                  /* may come again: a 100 before and after a challenge */
    bool splice;                  /* from here on the transfer's gap is measured */
    bool dies;                    /* when it has passed, the node that has the transfer is killed */
    want_check_fn *check;
    int arg;
    const char *text;
};

struct stage_result {
    const char *name;
    unsigned wanted, seen, optional_seen, wrong, unexpected;
};

struct demo_daemon {
    const char *program;
    pid_t pid;                    /* 0: none runs */
    char dir[DEMO_PATH_MAX], config[DEMO_PATH_MAX], log[DEMO_PATH_MAX], socket[DEMO_PATH_MAX];
    uint16_t port, media_first, media_last;
};

/* What --cluster tells of. */
struct demo_node {
    unsigned number;
    pid_t pid;                    /* not our child */
    char socket[DEMO_PATH_MAX];
    bool dead;                    /* by our hand */
};
struct demo_cluster {
    unsigned n;                   /* 0: the daemon is our own */
    struct demo_node nodes[DEMO_NODES_MAX];
    uint64_t died_us;             /* 0: nobody has */
    bool back;                    /* somebody was heard since */
};

/* Lines "name number" of an admin socket. */
struct leftover {
    unsigned n;
    char name[LEFTOVER_MAX][32];
    unsigned long long value[LEFTOVER_MAX];
};

/* What --flow names. */
struct flow {
    const char *name;
    bool (*walk)(struct demo *d);
    const char *config;           /* more lines for the daemon; NULL: none */
    bool with_p;
    bool death;                   /* one of several nodes dies in it */
};

struct demo {
    bool verbose, keep, colour;
    bool quick;                   /* listens to tones for less time */
    struct flow flow;
    const char *store;            /* section of the configuration */
    unsigned shards;              /* of the daemon */
    uint64_t start_us, now_us;
    struct phone phones[WHO_COUNT];
    struct media *media[WHO_COUNT][PHONE_DIALOGS];
    int fds[WHO_COUNT];
    char domain[64];
    struct addr local, registrar; /* where the phones are; whom they send to */
    char local_text[DEMO_ADDR_MAX];
    struct demo_daemon daemon;
    struct demo_cluster cluster;
    uint64_t gap_limit_us;
    unsigned drop_every, drop_count;   /* each n-th SIP datagram is lost, either way; 0: none */

    int bound[WHO_COUNT][DLG_COUNT];
    const struct want *wants;
    unsigned want_count;
    bool got[DEMO_WANTS_MAX];
    struct stage_result results[DEMO_STAGES_MAX];
    unsigned stage_count;
    bool in_stage;
    unsigned retransmissions, digest_rounds;
    unsigned failures;            /* everything that must not be */
    uint64_t splice_us;
    enum who near;                /* who is heard from the splice on: it, and whose message is the splice */
    enum dlg near_dlg;
    uint64_t ended[WHO_COUNT];    /* dialogs ended, by phone */
    int notify_final;             /* status of the final NOTIFY; -1: none yet */
};

/* ---- net.c */
uint64_t clock_us(void);
/* Binds a socket each and all media ports. direct: no daemon between them. */
bool demo_phones_open(struct demo *d, bool direct);
void demo_phones_close(struct demo *d);
/* One turn of the loop, at most max_us long. */
void demo_turn(struct demo *d, uint64_t max_us);
void demo_run(struct demo *d, uint64_t us);
/* SIGINT or SIGTERM came: everything ends as soon as it can. */
bool demo_interrupted(void);
extern const char *const phone_names[WHO_COUNT];
/* A UDP port, or `count` in a row starting at an even one, that can be bound now; 0: none found. */
uint16_t free_ports(const struct demo *d, unsigned count);
/* "sip:b@domain", or b's own address when there is no daemon. */
struct slice demo_uri(const struct demo *d, enum who to, char *mem, size_t cap);

/* True: this one is lost. */
bool demo_drops(struct demo *d);

/* ---- expect.c
 * While datagrams are lost, order is not judged and provisional responses may be missing. */
void stage_begin(struct demo *d, const char *name, const struct want *wants, unsigned n);
/* Until every line came that is not optional. False: it did not within the limit; says which. */
bool stage_wait(struct demo *d);
/* Nothing but what was expected may pass during this time. */
void demo_quiet(struct demo *d, const char *name, uint64_t us);
void demo_seen(void *arg, struct phone *ph, const struct phone_seen *seen);
/* The table at the end; true if nothing is missing, wrong or unexpected. */
bool demo_summary(const struct demo *d);
/* What the phones counted against the other side. */
bool demo_counters(struct demo *d);
void demo_fail(struct demo *d, const char *what);
/* "ok" or "FAILED" before the text. */
void demo_say(struct demo *d, bool good, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define STAGE(d, name, wants) stage_begin(d, name, wants, sizeof(wants) / sizeof *(wants))

/* ---- ladder.c */
enum mark { MARK_OK, MARK_AUTH, MARK_AGAIN, MARK_UNEXPECTED, MARK_WRONG };
void ladder_head(const struct demo *d);
/* Something that is no message. */
void ladder_note(const struct demo *d, const char *text);
void ladder_line(const struct demo *d, enum who who, const struct phone_seen *seen, enum mark mark, const char *note);

/* ---- checks.c */
want_check_fn check_offer_full, check_direction, check_own_dialog, check_anchored, check_replaces, check_notify,
    check_challenge, check_credentials, check_refer, check_no_replaces, check_triggered, check_supported,
    check_relayed, check_follows, check_clicked;

/* ---- audio.c */
/* Listens for `us`; true if `from`'s tone is heard at `at` on that dialog. */
bool audio_expect(struct demo *d, uint64_t us, const enum who (*pairs)[2], unsigned n, enum dlg dlg);
bool audio_silence(struct demo *d, enum who at, enum dlg dlg);
/* Counts start anew on d->near's dialog and on this one: called at the splice. */
void audio_splice(struct demo *d, enum who far, int dialog);
/* The table of both directions since the splice. goes_on: near's dialog is the one that it had before. */
bool audio_report(struct demo *d, enum who far, enum dlg far_dlg, bool goes_on);
/* A flow's time for listening, shorter with --quick. */
uint64_t audio_time(const struct demo *d, uint64_t us);

/* ---- daemon.c */
bool daemon_start(struct demo *d, const char *program);
/* True when nothing is left over; prints what the daemon says. */
bool daemon_leftover(struct demo *d);
bool daemon_stop(struct demo *d);
void daemon_log_tail(const struct demo *d);
bool daemon_alive(struct demo *d);
/* An order to the admin socket: a stream to read its answer from, which may come much later; NULL: it takes none. */
FILE *daemon_order(const char *socket, const char *order);
/* False: no answer. */
bool leftover_ask(const char *socket, struct leftover *out);
/* What is not 0, or was not told; NULL: nothing is left. ended_too: also of what has ended and only waits for
 * retransmissions. */
const char *leftover_first(const struct leftover *l, bool ended_too);
void leftover_print(const struct leftover *l, const char *where);

/* ---- cluster.c
 * The file has a line each: "phones ADDRESS", "registrar ADDRESS:PORT", "media FIRST LAST" (ports), and for each node
 * "node NUMBER PID SOCKET". False: says what is wrong. */
bool cluster_read(struct demo *d, const char *path);
/* SIGKILL to the node that has something of this now, "calls" or "transfers". */
void cluster_kill(struct demo *d, const char *what);
/* A message was received: the first one since then ends the outage. */
void cluster_heard(struct demo *d);
/* True when nothing is left over in those that live. */
bool cluster_leftover(struct demo *d);

/* ---- flow_*.c: true when all of it held */
bool flow_register(struct demo *d, bool on);
bool flow_call_a_b(struct demo *d);
bool flow_hold_a(struct demo *d);
bool flow_consult(struct demo *d);
bool flow_attended(struct demo *d);
bool flow_join(struct demo *d);
bool flow_death(struct demo *d);
bool flow_vip(struct demo *d);
bool flow_blind(struct demo *d);
bool flow_busy(struct demo *d);
bool flow_decline(struct demo *d);
bool flow_refused(struct demo *d);
bool flow_leave(struct demo *d);
bool flow_gone(struct demo *d);
bool flow_early_bye(struct demo *d);
bool flow_semi(struct demo *d);
bool flow_order(struct demo *d);
bool flow_relay(struct demo *d);
bool flow_relay_blind(struct demo *d);
bool flow_relay_forward(struct demo *d);
bool flow_recall(struct demo *d);
bool flow_pickup(struct demo *d);
bool flow_click(struct demo *d);
bool flow_direct(struct demo *d);
/* Parts of them: REFER sent; and its stage walked; the transferor leaves, the two talk, A hangs up. */
bool flow_refer_start(struct demo *d, bool with_replaces);
bool flow_refer(struct demo *d, bool with_replaces);
bool flow_talk(struct demo *d, enum dlg at_c);
bool flow_hang_up(struct demo *d, enum dlg at_c);
/* near and far hear each other, and no message passes meanwhile. */
bool flow_heard(struct demo *d, enum who far, enum dlg far_dlg, bool goes_on);
bool flow_no_dialogs(struct demo *d);

#endif
