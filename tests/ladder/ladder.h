/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * ladder: plays a script of phones against the engine and compares what the engine sends, message by message, in
 * virtual time. The script's grammar stands at the head of player.c.
 *
 *   main.c     a file is played; exit status 0: as expected
 *   player.c   lines of the script -> steps
 *   words.c    a line -> words; times; {names} in texts
 *   srtp.c     keys in descriptions, and whether the relay has the same
 *   world.c    the engine, the relay, the store, time and the wire between
 *   store.c    the store's delays and failures, and the engine's death
 *   phone.c    phones and their dialogs: what they send
 *   body.c     session descriptions
 *   expect.c   what they are sent, against what the script says
 *   rules.c    what must hold of every message whatever the script says
 */
#ifndef REFEREE_LADDER_H
#define REFEREE_LADDER_H

#include "core/b2b/engine.h"
#include "parser/sdp.h"
#include "parser/sip_hdr.h"
#include "parser/sip_msg.h"
#include "rtp/relay.h"
#include "store/store.h"

#define NAME_MAX_LEN 40
#define TEXT_MAX 1024
#define SDP_TEXT_MAX 2048
#define MESSAGE_MAX 20000
#define WORDS_MAX 64
#define PHONES_MAX 16
#define DIALOGS_MAX 24
#define CDR_MAX 16
#define RULES_MAX 8
#define OPEN_MAX 32
#define VIDEO_PORT 1000 /* of a phone's second stream, above the first */
#define TAGS_MAX 4

/* ---- words of one line */

struct words {
    unsigned n;
    char *w[WORDS_MAX];
    bool used[WORDS_MAX];
    char memory[MESSAGE_MAX];
};

/* ---- one message on the wire */

struct packet {
    struct packet *next;
    uint64_t at_us;
    struct addr src, dst;
    bool copy; /* byte for byte what was sent to the same place before */
    uint32_t n;
    char bytes[];
};

/* ---- a phone's side of a dialog, or of a request outside one */

/* A request that we sent (then `status` is the engine's final answer) or got (then it is ours). */
struct exchange {
    enum sip_method method;
    uint32_t cseq;
    uint16_t status;     /* final; 0: none yet */
    uint16_t last;       /* any */
    bool offer;          /* it carried a session description */
    char branch[80];
    char to_tag[TEXT_MAX / 8]; /* of the last answer */
    char *bytes;
    uint32_t n;
};

/* What the engine's session description to this dialog was last. */
struct their_session {
    char text[SDP_TEXT_MAX];
    uint16_t port, video; /* of the first stream and the second; 0: none */
    unsigned at;          /* which address of ours, as world_address counts */
};

struct own_session {
    char codecs[TEXT_MAX / 4];
    char text[SDP_TEXT_MAX];
    uint64_t version;
    struct addr media;
};

struct phone;

struct dialog_side {
    char name[NAME_MAX_LEN];
    struct phone *phone;
    char call_id[TEXT_MAX / 4], remote_tag[TEXT_MAX / 8];
    char tags[TAGS_MAX][TEXT_MAX / 8]; /* ours; more than one: a fork */
    unsigned tag_count;
    char local_uri[TEXT_MAX], remote_uri[TEXT_MAX], target[TEXT_MAX];
    uint32_t cseq, their_cseq[TAGS_MAX]; /* theirs: in the dialog of each of our tags */
    uint32_t rseq, rseq_cseq; /* of the engine's last reliable 18x, and of its INVITE */
    uint32_t refer_cseq; /* of our last REFER */
    /* Of the last REFER to us, without its headers; or where the last one of ours can be watched. */
    char refer_to[TEXT_MAX];
    struct exchange sent[OPEN_MAX], got[OPEN_MAX];
    unsigned sent_count, got_count;
    bool offer_ours, offer_theirs; /* open */
    bool unstored; /* what the engine described last: its next version is any higher one */
    uint64_t update_until;         /* theirs is of an UPDATE, and over then (Timer F); 0: it is not */
    struct own_session own;
    struct their_session theirs;
    uint16_t rtp_seq;
};

struct phone {
    char name[NAME_MAX_LEN], user[NAME_MAX_LEN], supported[TEXT_MAX / 4], allow[TEXT_MAX / 4];
    bool tagless; /* as RFC 2543 allowed */
    struct addr addr, media;
    struct dialog_side dialogs[DIALOGS_MAX];
    unsigned dialog_count;
    struct packet *inbox;
};

/* ---- everything */

struct world {
    const char *file;
    int line;
    struct engine_config cfg;
    bool some_direct; /* a user of whom media goes from party to party */
    struct user_config users[PHONES_MAX];
    struct route_config routes[PHONES_MAX];
    struct peer_config peers[PHONES_MAX];
    struct transfer_rule rules[RULES_MAX];
    struct quirk_config quirks[RULES_MAX];
    char echo[2][CONFIG_NAME_MAX];
    char domains[2][CONFIG_HOST_MAX];
    struct phone phones[PHONES_MAX];
    unsigned phone_count, serial;
    char cdr[CDR_MAX][4096]; /* the last call data records */
    unsigned cdr_count;
    char ordered[TEXT_MAX]; /* what the operator was told last */
    struct engine *engine; /* NULL: not started yet */
    void *memory;
    struct relay relay;
    struct srtp_keys *keys; /* by stream */
    struct store *store;
    void *store_memory;
    struct waiting *unread;      /* records that the engine has not read yet since the last restart */
    struct waiting *store_queue; /* operations that are not answered yet */
    uint64_t store_delay_us;
    bool store_down, store_silent, store_mute;
    const struct dialog_side *store_refuses; /* writes of its call */
    uint32_t store_first; /* so many writes are done yet, unanswered */
    uint64_t now;
    uint64_t stamp; /* of the lines being printed; 0: now */
    struct packet *seen; /* all that was read, latest first */
    bool leftovers_expected, ended;
    struct outbox out;
};

/* Prints what happened, what is wrong and the engine's own trace; ends the program with status 1. */
_Noreturn void fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* words.c */
void words_split(struct world *w, const char *line, struct words *out);
/* "key:VALUE" -> VALUE, marked as used; NULL: not there. next: the one behind word *at. */
const char *words_value(struct words *ws, const char *key);
const char *words_next_value(struct words *ws, const char *key, unsigned *at);
bool words_flag(struct words *ws, const char *flag);
/* "again" 1, "again*5" 5, not there 0. */
unsigned words_count(struct world *w, struct words *ws, const char *flag);
/* Whatever is left was not understood. */
void words_end(struct world *w, const struct words *ws);
bool parse_time(const char *text, uint64_t *us);
bool parse_number(const char *text, uint64_t *out);
/* Replaces {NAME:what}. */
void expand(struct world *w, const char *text, struct sbuf *out);
void put(struct sbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void copy_text(char *to, size_t cap, struct slice from);

/* world.c */
void world_init(struct world *w, const char *file);
void world_start(struct world *w);
void world_send(struct world *w, const struct addr *from, const char *bytes, uint32_t n);
void world_event(struct world *w, struct event *ev);
/* or_message: no further than to the first message that is sent. */
void world_advance(struct world *w, uint64_t us, bool or_message);
/* Fails if something lies unread in any inbox. */
void world_all_read(struct world *w);
void world_leftover(struct world *w);
uint64_t world_wall_ms(const struct world *w);
/* The engine and the relay are new, the store is not. */
void world_renew(struct world *w);
/* Number of an address that media comes to; more than there are: it is none. */
unsigned world_address(const struct world *w, const struct addr *a);
/* The stream of the relay that d was told to send to. */
uint32_t world_stream(const struct world *w, const struct dialog_side *d, bool video);
void world_media(struct world *w, struct dialog_side *from, const char *to, uint8_t sent, uint8_t heard, bool video);
/* Fails unless this is played to d: music, ringback or off. */
void world_played(struct world *w, const struct dialog_side *d, const char *what);

/* store.c */
void store_later(struct world *w, const struct store_op *op);
uint64_t store_due(const struct world *w);
bool store_take(struct world *w, struct event *ev);
/* n: the time of `slow`, the number of `first`. */
void store_step(struct world *w, const char *what, uint64_t n);
void store_refuse(struct world *w, const struct dialog_side *d);
/* Nobody is there for so long. */
/* late: only the first record is read now, and the others by store_read. */
void store_restart(struct world *w, uint64_t dead_us, bool late);
void store_read(struct world *w, uint32_t count);
void store_forget_unread(struct world *w);
void store_forget_queue(struct world *w);
void store_unprotected(struct world *w, uint64_t n);
void store_metric(struct world *w, const char *name, uint64_t n);

/* phone.c */
struct phone *phone_find(struct world *w, const char *name);
/* "A" or "A.consult"; made when new. */
struct dialog_side *dialog_named(struct world *w, const char *name);
struct dialog_side *dialog_by_call_id(struct phone *p, struct slice call_id);
void dialog_reset(struct world *w, struct dialog_side *d);
void phone_send(struct world *w, struct dialog_side *d, const char *what, struct words *ws);
void phone_register(struct world *w, struct phone *p);
void replaces_of(const struct dialog_side *d, struct sbuf *out);
const char *own_tag(const struct dialog_side *d);
struct exchange *exchange_add(struct world *w, struct exchange *list, unsigned *count, const struct sip_msg *m);

/* body.c */
void sdp_make(struct world *w, struct dialog_side *d, const char *spec, struct sbuf *out);
/* "pcmu,pcma:sendrecv" */
void sdp_tell(struct slice text, struct sbuf *out);
/* The same form from what a script says. */
void sdp_spec(const char *spec, struct sbuf *out);

/* srtp.c: "srtp" (RTP/SAVP) or "osrtp" (RTP/AVP with keys), with flags behind '/'; player.c has them. */
bool srtp_is_spec(const char *list);
const char *srtp_profile(const char *list);
/* a=crypto of m-line `line`: tag and suite as the phone was told of last, or its own. */
void srtp_put(const struct dialog_side *d, const char *list, unsigned line, struct sbuf *out);
void srtp_tell(const struct sdp_media *m, struct sbuf *out);
/* What the engine told the relay. */
void srtp_note(struct world *w, const struct media_cmd *cmd);
/* Phone and relay have the same keys, or none. */
void srtp_check(struct world *w, const struct dialog_side *d, uint32_t stream, bool video);
bool srtp_mode_named(const char *name, enum srtp_mode *out);

/* expect.c */
void expect(struct world *w, struct dialog_side *d, const char *what, struct words *ws);
struct packet *packet_take(struct world *w, struct phone *p, struct dialog_side *d);
/* One line of the ladder. */
void show(struct world *w, const struct phone *p, bool to_phone, struct slice bytes, bool copy);

/* rules.c */
void rules_request(struct world *w, struct dialog_side *d, const struct sip_msg *m);
void rules_response(struct world *w, struct dialog_side *d, const struct sip_msg *m, struct exchange *x);

/* player.c */
void play(struct world *w, const char *file);

/* ---- config.c */

/* The word of that number, marked as used; a ladder without it is wrong. */
const char *word(struct world *w, struct words *ws, unsigned i);
uint64_t word_time(struct world *w, struct words *ws, unsigned i);
uint64_t word_number(struct world *w, struct words *ws, unsigned i);
void do_config(struct world *w, struct words *ws);

#endif
