/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * bench-call: a load generator. Three parties in one process, each on a socket of its own, call each other through the
 * target; every message is parsed and checked, every description too.
 *
 *   wire      sockets, in batches, and the clock; bench/engine has another, with the engine behind it
 *   load      arrival at a set rate, calls and their timers
 *   dialog    one party's side of a dialog: what it sends and what it makes of what comes
 *   message   how its messages are written
 *   scenario  what a call does next
 *   media     RTP of some calls, and what of it arrives
 *   packet    how one of its packets is written and checked
 *   trunk     what a trunk asks of who calls through it
 *   hist      latencies
 *   target    the program under load: started and ended
 *   configure what it is told
 *   cost      what it takes of the machine
 *   sipp      the same calls between SIPp's own two parties
 *   run       one load on one target, the highest that it carries, what a held call takes
 *   print     what is said of a run
 *   suite     all targets one after the other
 *   curve     goodput by offered load, and what comes after an overload
 *
 * What a party names (Call-ID, tags, user part of its Contact and From) says which call and dialog it is, so that
 * nothing is looked up. Times are microseconds of CLOCK_MONOTONIC.
 */
#ifndef REFEREE_BENCH_CALL_H
#define REFEREE_BENCH_CALL_H

#include "bench/call/hist.h"
#include "bench/store/server.h"
#include "core/base/addr.h"
#include "core/base/wheel.h"
#include "parser/sip_msg.h"

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

enum party { PARTY_A, PARTY_B, PARTY_C, PARTIES };

#define CALL_DIALOGS 6
#define NAME_LEN 14             /* party, call (6 hex), generation (6 hex), dialog */
#define CALLS_MAX (1u << 24)
#define MEDIA_TIMER 0x80        /* in place of a dialog in a timer's owner */

struct line {
    uint16_t n;
    char s[190];
};
static inline struct slice line_slice(const struct line *l) {
    return slice_of(l->s, l->n);
}
/* False: too long; then it is empty. */
bool line_set(struct line *l, struct slice s);

enum dlg_state { DLG_FREE, DLG_CALLING, DLG_UP, DLG_OVER };

struct dlg {
    uint8_t state;              /* enum dlg_state */
    uint8_t party, index;       /* index: in its call */
    bool uac, held, was_up, bye_sent, glare;
    uint8_t open;               /* enum sip_method of our request without a final response; 0: none */
    uint32_t call;
    uint32_t cseq, open_cseq, remote_cseq, invite_cseq;
    uint32_t sdp_version;
    uint8_t direction;          /* enum sdp_direction of the description that is written next */
    uint64_t their_session, their_version;
    struct addr media;          /* where their description wants RTP */
    uint64_t sent_us, interval;
    struct wheel_node timer;    /* of the open request, or of a 2xx without ACK */
    char *ok;                   /* that 2xx */
    uint16_t ok_n;
    struct line call_id, remote_tag, target, route, remote_uri;
    uint16_t extra_n;           /* header lines of the open request, for sending it again */
    char extra[420];
};

enum scenario {
    SC_CALL, SC_REGISTERED, SC_TRUNK, SC_HOLD, SC_BLIND, SC_ATTENDED, SC_REGISTER, SC_MIXED, SCENARIOS
};
extern const char *const scenario_names[SCENARIOS];

/* RTP between A and who A talks with when A would hang up. */
struct media {
    bool wanted, begun, busy;   /* it is one of those that have it; it has had it; it goes on */
    uint8_t peer;               /* dialog of the other party */
    uint8_t sent;               /* packets each way */
    uint8_t got[2];             /* of A's packets, of the other's: a bit each */
    bool foreign;               /* something came that should not have */
    struct wheel_node timer;
};

struct bcall {
    uint32_t gen;
    uint8_t scenario, step;
    bool used, failed, referred, notified;
    bool emergency;             /* its number is one that is never refused */
    uint8_t dialogs, live;
    uint64_t due_us;            /* when it was to begin */
    uint64_t refer_us;
    uint32_t user;              /* of registered: who is called */
    struct wheel_node timer;    /* holding, or the limit of the whole */
    struct media media;
    struct dlg dlg[CALL_DIALOGS];
};

enum wrong { WRONG_EMERGENCY, WRONG_DIALOG, WRONG_NO_TIME, WRONGS }; /* the last: without Retry-After */

struct tally {
    uint64_t started, done, failed, resent, stray, bad, in, out, glares;
    uint64_t busy;              /* calls that were due while all slots were taken */
    uint64_t transfers;
    uint64_t refused;           /* calls that got 503 with Retry-After; they are among those that failed */
    uint64_t wrongly[WRONGS];   /* 503 that should not have been */
    uint64_t emergencies;       /* done */
    uint64_t rtp_calls, rtp_bad;        /* calls with RTP; those of them of which some was lost, or foreign */
    uint64_t rtp_sent, rtp_lost, rtp_foreign;   /* packets */
    uint64_t by_status[8];      /* of what failed: 0: no answer, 3..6: class */
    char first_fault[200];
    struct hist setup, transfer, late; /* late: how much later than due a call began */
};

/* What happened in so much of a run. */
#define BIN_US 100000u
#define BINS_MAX 600
struct bin {
    uint32_t started, done, refused, failed;
    struct hist setup;
};

struct load_options {
    struct addr at;             /* of the parties: port, port + 1, port + 2; port 0: of the kernel's choice */
    enum scenario scenario;
    double rate;                /* calls a second */
    uint64_t seconds_us, hold_us;
    uint32_t calls_max;         /* slots */
    uint32_t users;             /* of register */
    uint32_t at_once;           /* so many calls at a time, whatever the rate; 0: by rate */
    uint64_t calls;             /* not more than that; 0: any number */
    uint32_t rtp_of;            /* every so manieth call has RTP; 0: none */
    uint64_t drain_us;          /* for what is under way at the end; 0: as long as a call can take */
    uint32_t emergency_of;      /* every so manieth call is an emergency; 0: none */
    struct slice sdp_lines;     /* more lines of each description, or absent */
    bool tell;                  /* each call that fails, on stderr */
    const volatile sig_atomic_t *stop;  /* not 0: no call begins any more; may be NULL */
    struct addr target[PARTIES];/* where each party sends; of direct, to whom */
};

struct load {
    struct load_options o;
    struct addr addr[PARTIES];  /* our own */
    uint16_t rtp_port[PARTIES]; /* of all RTP of a party; 0: it has none */
    struct line host[PARTIES], domain; /* host:port of a party; of the target */
    struct wheel wheel;
    struct bcall *calls;
    uint32_t *free_calls, free_n;
    uint32_t ended[4096], ended_n; /* calls whose last dialog has ended in this turn */
    uint64_t now;
    uint32_t seed;
    bool stop;                  /* no call begins any more */
    bool over;                  /* load_drain returns, whatever is open */
    struct tally t;
    struct bin *bins;           /* of BINS_MAX, or NULL */
    uint64_t bins_from;
    struct sip_msg msg;
};

/* ---- wire ---- */

/* Sockets at l->o.at; fills l->addr and l->host. */
bool wire_open(struct load *l);
void wire_close(void);
/* Room for one message to `dst`, of wire_room() bytes; wire_sent says how long it is. */
char *wire_room(void);
#define WIRE_MESSAGE_MAX 4096
void wire_sent(struct load *l, enum party from, const struct addr *dst, uint32_t n);
/* Sends what waits and takes what came; waits at most `us`. */
void wire_turn(struct load *l, uint64_t us);
uint64_t clock_us(void);

/* One packet from the party's port for RTP. What comes there goes to media_receive. */
void wire_rtp(enum party from, const struct addr *dst, const void *packet, uint32_t n);

/* ---- media ---- */

#define MEDIA_PACKETS 5         /* each way */
#define MEDIA_PACE_MS 20
/* RTP of this call between its first dialog and `peer`; scenario_media_done, when all has come or should have. */
void media_begin(struct load *l, struct bcall *c, const struct dlg *peer);
void media_timer(struct load *l, struct bcall *c);
void media_receive(struct load *l, enum party at, struct slice packet, const struct addr *from);
void media_forget(struct load *l, struct bcall *c);

/* ---- message ---- */

struct request {
    enum sip_method method;
    uint32_t cseq;
    struct slice extra;         /* header lines */
    bool sdp;
    bool of_invite;             /* an ACK to a refused INVITE is part of its transaction */
    enum party callee;          /* of a first INVITE */
};
void message_request(struct load *l, struct dlg *d, const struct request *r);
/* Sent, and kept in the dialog when it is a 2xx to an INVITE. */
void message_response(struct load *l, struct dlg *d, const struct sip_msg *req, uint16_t status, bool sdp);
/* Without a dialog. */
void message_refuse(struct load *l, enum party p, const struct sip_msg *req, uint16_t status);
/* 407 with that challenge. */
void message_challenge(struct load *l, enum party p, const struct sip_msg *req, struct slice challenge);
void message_put_name(struct sbuf *b, enum party p, const struct load *l, uint32_t call, unsigned dlg);
/* Party, call and dialog; false: not a name of ours, or of a call that is over. */
bool message_read_name(const struct load *l, struct slice s, uint32_t *call, unsigned *dlg);

/* ---- dialog ---- */

struct dlg *dialog_new(struct load *l, uint32_t call, enum party p);
void dialog_invite(struct load *l, struct dlg *d, enum party callee);
void dialog_request(struct load *l, struct dlg *d, enum sip_method m, struct slice extra);
void dialog_reinvite(struct load *l, struct dlg *d, bool held);
void dialog_bye(struct load *l, struct dlg *d);
void dialog_receive(struct load *l, enum party p, const struct sip_msg *m);
/* REGISTER of a user of that number, with digest as user "u<number>", password "secret". */
void dialog_register(struct load *l, struct dlg *d, uint32_t user);
/* After a 401: false: it cannot be answered. */
bool register_again(struct load *l, struct dlg *d, const struct sip_msg *m);
void dialog_put_out(struct load *l, struct dlg *d, const struct request *r);
void dialog_timer(struct load *l, struct dlg *d);
void dialog_forget(struct load *l, struct dlg *d);

/* The call has no dialog left: it is freed at the end of the turn. */
void load_call_ended(struct load *l, struct bcall *c);

/* ---- scenario ---- */

enum happened { H_START, H_UP, H_REOK, H_ACCEPTED, H_NOTIFIED, H_OVER, H_TIMER };
/* Something has happened to a dialog (NULL: to the call). */
void scenario_go(struct load *l, struct bcall *c, struct dlg *d, enum happened h);
void scenario_media_done(struct load *l, struct bcall *c);
void call_fail(struct load *l, struct bcall *c, unsigned status, const char *why);

/* ---- trunk ---- */

#define TRUNK_DIALLED "00"      /* in front of what is called through the trunk, */
#define TRUNK_PREFIX "+"        /* and what stands there when it gets there */
#define TRUNK_USER "carrier"
#define TRUNK_PASSWORD "passphrase"
/* A new INVITE comes to the trunk: false: it has been challenged, or refused because it is wrong. */
bool trunk_admits(struct load *l, enum party p, const struct sip_msg *m, struct bcall *c);

/* ---- load ---- */

bool load_open(struct load *l, const struct load_options *o);
void load_close(struct load *l);
/* Until the time is over and every call has ended, or its limit has passed. */
void load_run(struct load *l);
/* Calls begin at that rate for so long; what is under way goes on. Then: until all have ended, or for so long. */
void load_phase(struct load *l, double rate, uint64_t us);
void load_drain(struct load *l, uint64_t limit_us);
/* Calls that are under way have failed. */
void load_give_up(struct load *l);
/* The bin of now, or NULL. */
struct bin *load_bin(struct load *l);
static inline struct bcall *call_of(struct load *l, const struct dlg *d) {
    return &l->calls[d->call];
}

/* ---- target ---- */

enum target_kind { T_REFEREE, T_REFEREE_2, T_REFEREE_REDIS, T_KAMAILIO, T_DIRECT, T_SIPP, T_ADDRESS };
struct target {
    const char *name;           /* of target_names, or IP:PORT */
    enum target_kind kind;
    const char *program;        /* of referee */
    const char *extra;          /* more lines of its configuration */
    uint32_t held;              /* so many calls at a time are to find room; 0: as many as usual */
    pid_t pid;
    struct addr addr;
    char dir[64];
    struct server redis;        /* of referee-redis; on the target's core, too */
};
#define EMERGENCY_NUMBER "b112" /* party B's */
extern const char *const target_names[T_ADDRESS];
/* By its name; false: there is none of that name, and it is no address. */
bool target_is(struct target *t, const char *name);
/* Why that target cannot do that, or NULL. */
const char *target_refuses(const struct target *t, enum scenario s);
bool target_is_referee(const struct target *t);
bool target_start(struct target *t, const struct load *l);
void target_stop(struct target *t);
uint16_t target_free_port(void);
/* The calling process goes to the target's processors; to one that targets leave free, where there is one. */
void target_pin(const struct target *t);
void target_pin_generator(void);
/* The folder of its files. */
bool target_make_folder(struct target *t);
void target_remove_folder(struct target *t);

/* ---- configure ---- */

#define MEDIA_QUARANTINE "10ms"
/* Writes the target's file. */
bool configure_target(const struct target *t, const struct load *l, char path[160]);
/* What referee has for RTP: addresses from 127.0.0.2 on, ports of each; none: so many calls are held that media is not
 * anchored. */
struct media_room {
    unsigned addresses, ports;
};
struct media_room configure_media(const struct target *t);

/* ---- cost ---- */

/* CPU of all its threads and processes so far, microseconds; resident memory, KiB. */
uint64_t target_cpu_us(const struct target *t);
/* The same of its redis-server, which is not among them. */
uint64_t target_redis_cpu_us(const struct target *t);
uint64_t target_rss_kib(const struct target *t);
/* What it ran, and what it waited for the CPU besides, which others had. */
struct sched {
    uint64_t ran_us, waited_us;
};
void target_sched(const struct target *t, struct sched *out);
void own_sched(struct sched *out);

/* ---- run ---- */

/* Sockets, the target, and where each party sends; its users registered, where they are called. In any case load_end
 * puts it all away. */
bool load_begin(struct load *l, struct target *t, const struct load_options *o);
void load_end(struct load *l, struct target *t);

/* One run: what came of it, and what it cost. */
struct result {
    double offered, carried;    /* calls a second */
    double cpu_us, redis_us;    /* a call done; of the target alone, of its redis-server */
    double caller_us;           /* of SIPp's caller, which is not of the target */
    double own;                 /* part of the time that the generator ran */
    struct tally t;
};
bool run_once(struct target *t, const struct load_options *o, struct result *r);
/* Less than 0.1 % failed, and of the calls with RTP less than one in a hundred had some that was lost, none foreign. */
bool run_is_clean(const struct result *r);
/* The highest rate of a clean run. `guess`: where to begin; 0: below what is done with 200 calls at a time. Of the best
 * run; all 0: there was none. each: told of every run; or NULL. */
typedef void run_seen(const struct target *t, const struct load_options *o, const struct result *r);
bool run_max(struct target *t, const struct load_options *o, double guess, struct result *best, run_seen *each);

/* Memory with so many calls held, which have begun at a rate and end at it. */
struct held {
    uint32_t calls, up;         /* how many there should be, and are */
    double kib, further_kib;    /* a call of all; a call of the latter half */
    uint64_t before_kib, with_kib;
    struct tally t;
};
bool run_held(struct target *t, const struct load_options *o, uint32_t calls, struct held *h);

/* ---- sipp ---- */

/* Of `o` what SIPp has: rate, seconds, hold. */
bool sipp_run(struct target *t, const struct load_options *o, struct result *r);

/* ---- suite ---- */

/* All of it; tables on stdout, data for the plots in `folder`. False: a run could not be made. */
bool suite_run(const struct load_options *o, const char *program, const char *folder);

/* ---- print ---- */

void print_head(void);
void print_result(const struct target *t, const struct load_options *o, const struct result *r);
void print_held(const struct target *t, const struct held *h);
/* What the target has for RTP, and what of it was sent. */
void print_media(const struct load_options *o, uint32_t held);

/* ---- curve */

/* Every phase of `seconds_us`; tables on stdout, data for the plots in `folder`. False: a run could not be made. */
bool curve_run(struct load *l, struct target *t, uint64_t seconds_us, const char *folder);

#endif
