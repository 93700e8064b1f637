/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * limits: the bounds and the protocol's time constants that more than one module relies on, each with its reason.
 * Plain macros without suffix or cast and without includes, so that #if, static assertions and BPF programs can use
 * them. A bound of one module alone stands in its own header (SIP_MESSAGE_MAX, OUTBOX_MAX, BUF_CLASSES, ...); limits.c
 * ties them together. Whoever reaches a bound gets an ordinary answer (503 with Retry-After, 482, 483, ...), never a
 * crash and never silence.
 */
#ifndef REFEREE_BASE_LIMITS_H
#define REFEREE_BASE_LIMITS_H

/* Groups of calls, the unit of ownership: enough that a few hundred shards share evenly, few enough that all of
 * them are claimed in seconds. Written as hex digits in every token, so changing it changes the wire form. The
 * simulator's worlds of several engines may have fewer, since claiming them is half of their work (make BUCKETS=n). */
#ifndef LIMIT_BUCKETS
#define LIMIT_BUCKETS 4096
#endif
#define LIMIT_BUCKET_DIGITS 3

/* Shards of all nodes of a cluster, those that lived lately too: four nodes of 64, or 32 of 8. */
#define LIMIT_MEMBERS 256

/* Calls at once of one shard unless configured: 16 MiB of calls at 4 KiB each. */
#define LIMIT_CALLS_DEFAULT 4096

/* The two parties, transfer targets tried one after the other, a consultation joined in, and what is ending meanwhile.
 * The token spends one hex digit on the leg. */
#define LIMIT_LEGS_PER_CALL 8
/* Early dialogs of one INVITE that we send; a downstream proxy's larger fork is answered by the first eight. */
#define LIMIT_FORKS_PER_LEG 8
/* What pools are sized by: INVITE on both legs, REFER, NOTIFY, re-INVITE and BYE in flight together. An average: one
 * call may use more while another uses less. */
#define LIMIT_TXN_PER_CALL 6
/* Of so many transactions one may be without its final response, behind which it lingers for half a minute; and some
 * more, for those who hold few. */
#define LIMIT_TXN_PER_OPEN 4
#define LIMIT_TXN_OPEN_MORE 64

/* Contacts of one address of record: the phones of one person. */
#define LIMIT_BINDINGS_PER_AOR 10
/* Max-Forwards of our own requests, and the most we let a request keep (RFC 3261 section 8.1.1.6). */
#define LIMIT_HOPS_MAX 70
/* Transfers of one call one after the other, each of which may refer on: past it 403, so that two phones that transfer
 * to each other come to an end. */
#define LIMIT_TRANSFER_DEPTH 10
/* m= lines of one description: audio, video, application, each with room; a description with more gets 488. */
#define LIMIT_SDP_MEDIA 8

/* RFC 3261 section 17.1.1.1 and table 4, in microseconds; the configuration may change T1, T2 and T4. */
#define SIP_T1_US 500000
#define SIP_T2_US 4000000
#define SIP_T4_US 5000000
/* Timers B, F, H and J, L and M of RFC 6026: the life of a transaction, and of what must outlive it. */
#define SIP_64_T1_US (64 * SIP_T1_US)
/* "greater than 32 seconds for unreliable transports" in the text, "> 32s" in table 4. */
#define SIP_TIMER_D_US 32000000
/* "MUST be larger than 3 minutes" (section 16.6, item 11): a ringing leg without a final answer. */
#define SIP_TIMER_C_US 185000000
/* Section 17.2.1: the server transaction says 100 itself if its user has not within this time. */
#define SIP_TRYING_US 200000
/* Section 13.3.1.1: a provisional response is repeated each minute, so that no proxy's Timer C ends the call. */
#define SIP_PROVISIONAL_US 60000000

#endif
