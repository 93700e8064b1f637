/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * media: a leg's side of the media. Takes ports, rewrites descriptions so that both parties send to us, and programs
 * the relay through the outbox. A leg sees one payload type for a codec as long as it lives, whoever it talks with (RFC
 * 3264 section 8.3.2).
 *
 * Rule for what is relayed: m-lines of RTP/AVP, RTP/AVPF and, with a=crypto, RTP/SAVP and RTP/SAVPF, at most
 * LEG_STREAMS, as enum srtp_mode of the party lets them (media_srtp.h); others (DTLS, T.38, ...) are rejected with port
 * 0, and a description of which nothing remains is refused with 488. ICE is stripped.
 *
 * A leg that is `direct` takes no port: its descriptions pass between the parties, all but the o= line, and nothing is
 * relayed, played or recorded of it. Both legs of a pair are, or none.
 */
#ifndef REFEREE_B2B_MEDIA_H
#define REFEREE_B2B_MEDIA_H

#include "core/b2b/state.h"
#include "parser/sdp.h"

/* Does the media of a party with this principal, who says this, go from party to party? text may be absent. */
bool media_goes_direct(const struct engine *e, struct slice principal, struct slice text);
/* Two legs that are to talk: if one is direct, both are; the ports of one that was not are kept until they are
 * connected. */
void media_pair(struct leg *a, struct leg *b);
/* Status a description of l's peer deserves: 0 fine, 400 malformed, 488 nothing in it that we relay (direct: no
 * m-line). */
uint16_t media_check(const struct engine *e, struct leg *l, struct slice sdp);
/* The same of an offer of l's peer; 488 also if it goes over to a family of which no media address is. */
uint16_t media_check_offer(const struct engine *e, struct leg *l, struct slice sdp);
/* The same for who has no leg yet. *why: for the reason of the refusal; absent: the usual one. */
uint16_t media_check_new(const struct engine *e, struct slice principal, bool direct, struct slice sdp,
                         struct slice *why);
/* A message of l's peer brings a description that deserves no refusal. */
static inline bool media_in(const struct engine *e, struct leg *l, const struct sip_msg *msg) {
    return msg->body.n && media_check(e, l, msg->body) == 0;
}
/* The same of an answer, which may reject every line (RFC 3264 section 6). */
static inline bool media_answered(const struct engine *e, struct leg *l, const struct sip_msg *msg) {
    return msg->body.n && media_check(e, l, msg->body) != 400;
}
/* Line by line an answer is of its offer's transport, where it rejects one too (RFC 3264 section 6). */
bool media_is_answer(const struct engine *e, struct slice answer, struct slice offer);
/* The leg that a stream of the relay faces, and its number there. NULL: none, or no more. */
struct leg *media_leg(const struct engine *e, uint32_t stream, uint32_t generation, unsigned *index);
/* MEDIA_SRTP. False: no room; nothing is told. */
bool media_tell_keys(struct engine *e, const struct leg_stream *s, const struct srtp_keys *keys);
/* What the leg's peer sent: kept (as its full offer too, if `offer`), and its addresses are told to the relay. False:
 * it cannot be read, or no memory. */
bool media_received(struct engine *e, struct leg *l, struct slice sdp, bool offer);
/* The same for an offer within the session: it stands once it is answered. */
bool media_offered(struct engine *e, struct leg *l, struct slice sdp);
/* The peer's offer was answered, or refused: then what it sent before holds again (RFC 3261 section 14.1). No effect
 * if none was open. */
void media_offer_settled(struct engine *e, struct leg *l, bool accepted);
/* A description for leg `to`, made from another leg's text: our addresses, our o= line (version up by one only if
 * something changed), direction as given (-1: as in the text), as many m-lines as the leg must have (RFC 3264). Ports
 * are taken where needed. The result is also to->LEG_SDP_LOCAL and good until that is set again; absent: no ports or no
 * memory. */
struct slice media_describe(struct engine *e, struct leg *to, struct slice text, int direction);
/* The same without sending: nothing is set. media_describe of it (direction -1) gives what would be sent by then. */
struct slice media_compose(struct engine *e, struct leg *to, struct slice text, int direction);
/* An answer to the open offer of leg `to`, of what another leg has offered too (text): the formats that both have under
 * the same numbers, the direction that both want. The rest as media_describe. Absent: nothing in common, or no ports or
 * no memory. */
struct slice media_answer_common(struct engine *e, struct leg *to, struct slice text);
/* An answer to the leg's open offer with the session that it had: no more formats and directions than it was told of.
 * Absent: nothing of that fits. */
struct slice media_answer_as_before(struct engine *e, struct leg *l);
/* An answer to the leg's open offer that rejects every line. Absent: no memory, or it cannot be read. */
struct slice media_refuse_all(struct engine *e, struct leg *l, struct slice offer);
/* An answer by ourselves to the leg's own offer, from what we last sent it: direction reversed. Absent: it does not
 * fit. */
struct slice media_answer_alone(struct engine *e, struct leg *l, struct slice offer);
/* True if media_describe would send l what it has already, but for the o= line. */
bool media_is_same(struct engine *e, struct leg *l, struct slice text, int direction);

/* False: the peer was told last to send to what is not ours any more, but was a former owner's of the call. */
bool media_is_here(const struct engine *e, const struct leg *l);

/* A port for a leg that nothing is known of but that it will talk, so that it is there when it is needed. False: there
 * is none. */
bool media_reserve(struct engine *e, struct leg *l);
/* Every m-line that is relayed of what l's peer said has its ports. */
bool media_has_ports(const struct engine *e, const struct leg *l, struct slice text);
/* What arrives from a goes to b and back, m-line by m-line, from now on; former routes of both end. Where the two have
 * other payload types for a codec, the relay translates. */
void media_connect(struct engine *e, struct leg *a, struct leg *b);
/* The same while `a` has not agreed to b's description yet: it is sent what its present session knows. */
void media_connect_early(struct engine *e, struct leg *a, struct leg *b);
/* What arrives from b goes to `a`, as far as a's present session knows it; where a's own goes stays as it is. */
void media_listen(struct engine *e, struct leg *a, struct leg *b);
/* The relay is told of l's streams as if they were new: it is not the one that had them. First that they are there,
 * then where l's party is. */
void media_take_up(struct engine *e, struct leg *l);
void media_resume(struct engine *e, struct leg *l);
/* l's streams get ports of one of this node's own addresses, of which its peer is still to be told. Routes to and from
 * l end: it is to be connected again. False: no ports; nothing has changed. */
bool media_come_home(struct engine *e, struct leg *l);
/* They go on in another shard of this process, which has the leg now. */
void media_leave(struct engine *e, struct leg *l);
/* What arrives from l goes nowhere. */
void media_mute(struct engine *e, struct leg *l);
/* l hears this instead of whom it heard, until it is connected again. False: it takes nothing now, or no G.711. */
bool media_play(struct engine *e, struct leg *l, enum media_source source);
/* What arrives from l goes back to it. */
void media_echo(struct engine *e, struct leg *l);
/* Gives the ports back. */
void media_close(struct engine *e, struct leg *l);

#endif
