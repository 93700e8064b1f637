/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/config_schema.h"

#include "core/runtime/mailbox.h"
#include "core/runtime/player.h"

#include <string.h>

#define AT(field) .offset = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)
#define ENGINE(field) AT(engine.field)
#define USER(field) .offset = offsetof(struct user_config, field), .size = sizeof(((struct user_config *)0)->field)
#define ROUTE(field) .offset = offsetof(struct route_config, field), .size = sizeof(((struct route_config *)0)->field)
#define PEER(field) .offset = offsetof(struct peer_config, field), .size = sizeof(((struct peer_config *)0)->field)
#define RULE(field) .offset = offsetof(struct transfer_rule, field), .size = sizeof(((struct transfer_rule *)0)->field)
#define QUIRK(field) .offset = offsetof(struct quirk_config, field), .size = sizeof(((struct quirk_config *)0)->field)
#define MICROS .type = CT_DURATION, .scale = 1
#define SECONDS .type = CT_DURATION, .scale = 1000000
#define RANGE(from, to) .min = (from), .max = (to)
#define MS(n) ((n)*UINT64_C(1000))
#define S(n) ((n)*UINT64_C(1000000))
#define REFER_CHOICES .type = CT_CHOICE, .choices = "default|local|reject|relay|auto"
#define ANCHOR_CHOICES .type = CT_CHOICE, .choices = "default|yes|no|auto"
#define SRTP_CHOICES .type = CT_CHOICE, .choices = "default|off|accept|offer|require"
#define HOLD_CHOICES .type = CT_CHOICE, .choices = "default|pass|local"

const struct config_key config_keys[] = {
    { "version", CT_COUNT, AT(version), RANGE(1, CONFIG_VERSION), .standard = "1", .help = "of this file's format" },
    { "node.name", CT_TEXT, AT(node_name), .standard = "node1", .help = "name of this node in logs" },

    { "sip.listen[]", CT_LISTEN, .size = sizeof(struct addr), .standard = "0.0.0.0:5060",
      .help = "addresses and ports to listen on, IPv4 and IPv6 ([::]:5060)" },
    { "sip.advertise", CT_TEXT, AT(sip_advertise), .standard = "auto",
      .help = "host, or host:port, that goes into Via and Contact; auto: the address listened on, or the LAN address" },
    { "sip.realm", CT_TEXT, ENGINE(realm), .standard = "referee", .help = "realm of digest authentication" },
    { "sip.domains[]", CT_TEXT, .size = CONFIG_HOST_MAX, .standard = "",
      .help = "domains that are ours besides the advertised host" },
    { "sip.user_agent", CT_TEXT, ENGINE(user_agent), .standard = "Referee", .help = "Server and User-Agent header" },
    { "sip.t1", .type = CT_DURATION, .scale = 1, ENGINE(t1_us), RANGE(MS(10), S(10)), .standard = "500ms",
      .help = "RFC 3261 T1, the round-trip estimate" },
    { "sip.t2", .type = CT_DURATION, .scale = 1, ENGINE(t2_us), RANGE(MS(10), S(60)), .standard = "4s",
      .help = "RFC 3261 T2, longest interval between retransmissions" },
    { "sip.t4", .type = CT_DURATION, .scale = 1, ENGINE(t4_us), RANGE(MS(10), S(60)), .standard = "5s",
      .help = "RFC 3261 T4, longest life of a message in the network" },
    { "sip.invite_timeout", MICROS, ENGINE(invite_timeout_us), RANGE(S(1), S(3600)), .standard = "180s",
      .help = "RFC 3261 Timer C: a call that is not answered by then is cancelled" },

    { "auth.required", CT_BOOL, ENGINE(auth_required), .standard = "true",
      .help = "digest for registrations, and for calls that come from no trusted peer" },
    { "auth.algorithms[]", CT_CHOICE, .size = 4, .choices = "md5|sha-256", .standard = "md5",
      .help = "digests offered (RFC 8760), the best one first" },
    { "auth.nonce_lifetime", SECONDS, ENGINE(nonce_lifetime_s), RANGE(S(5), S(86400)), .standard = "300s",
      .help = "after that a nonce is stale and the phone is given a new one" },
    { "auth.secret", CT_TEXT, AT(auth_secret), .standard = "auto",
      .help = "secret behind nonces, tokens and branches, the same in a whole cluster; auto: random at each start" },

    { "registrar.min_expires", SECONDS, ENGINE(expires_min_s), RANGE(S(1), S(86400)), .standard = "60s",
      .help = "a registration for less is refused with 423" },
    { "registrar.max_expires", SECONDS, ENGINE(expires_max_s), RANGE(S(1), S(604800)), .standard = "7200s",
      .help = "a registration for more is cut to this" },
    { "registrar.default_expires", SECONDS, ENGINE(expires_default_s), RANGE(S(1), S(604800)), .standard = "3600s",
      .help = "when the phone names no time" },

    { "session_timer.expires", SECONDS, ENGINE(session.expires_s), RANGE(0, S(604800)), .standard = "1800s",
      .help = "RFC 4028: after this a call that nobody refreshed ends; 0: not asked for, who asks us is served" },
    { "session_timer.min_se", SECONDS, ENGINE(session.min_se_s), RANGE(S(2), S(86400)), .standard = "90s",
      .help = "a shorter interval is refused with 422; below 90s is against the RFC, and for tests" },
    { "session_timer.refresher", CT_CHOICE, ENGINE(session.refresher), .choices = "auto|us|peer", .standard = "auto",
      .help = "who refreshes; auto: the other party if it can; us: always we; peer: asked to in our INVITE too" },

    { "media.address[]", CT_TEXT, .size = CONFIG_HOST_MAX, .standard = "auto",
      .help = "addresses that RTP sockets are bound to, each with all of media.ports; parties take them in turn, each "
              "one of its family; auto: the first one of sip.listen" },
    { "media.advertise[]", CT_TEXT, .size = CONFIG_HOST_MAX, .standard = "auto",
      .help = "what goes into SDP for each of them; auto: media.address, or as sip.advertise" },
    { "media.ports", CT_PORTS, ENGINE(media_port_min), RANGE(1024, 65535), .standard = "30000-30999",
      .help = "first and last port; each party of a call takes a pair" },
    { "media.quarantine", MICROS, ENGINE(media_quarantine_us), RANGE(0, S(3600)), .standard = "5s",
      .help = "a port pair is not used again for this long" },
    { "media.nat", CT_BOOL, ENGINE(media_nat), .standard = "true",
      .help = "media may come from another port, or the address that the signalling comes from, and is sent there" },
    { "media.strict", CT_BOOL, ENGINE(media_strict), .standard = "false",
      .help = "media comes from the address and port in the SDP, or is dropped" },
    { "media.timeout", MICROS, ENGINE(media_timeout_us), RANGE(0, S(86400)), .standard = "60s",
      .help = "a party that sends neither RTP nor RTCP for so long, and is not on hold, ends its call; 0s: never" },
    { "media.fastpath", CT_CHOICE, AT(fastpath), .choices = "auto|tc|xdp|packet|off", .standard = "auto",
      .help = "streams are forwarded in the kernel, by a BPF program at each interface's tc hook (auto, tc) "
              "or as native XDP; what cannot be had is logged, and user space serves: what it relays leaves by a "
              "packet socket where that may be opened (packet: all does); off: by the ports' sockets" },
    { "media.fastpath_pins", CT_TEXT, AT(fastpath_pins), .standard = "auto",
      .help = "folder in a bpffs where its maps stay, so that media flows on while the daemon restarts; off: none" },
    { "media.music", CT_TEXT, AT(music), .standard = "off",
      .help = "WAV file (8000 Hz, one channel, A-law, mu-law or 16 bits) for who waits; off: silence" },
    { "media.anchor", CT_CHOICE, AT(anchor), RANGE(ANCHOR_YES, 0), .choices = "yes|no|auto", .standard = "auto",
      .help = "media goes through here; or from party to party: descriptions pass, no ports are taken; auto: so where "
              "a description has DTLS" },
    { "media.srtp", CT_CHOICE, AT(srtp), RANGE(SRTP_MODE_OFF, 0), .choices = "off|accept|offer|require",
      .standard = "accept",
      .help = "SRTP with keys in SDP (RFC 4568): rejected; taken where a party offers it; also offered beside plain "
              "RTP (RFC 8643); or nothing else" },
    { "media.hold", CT_CHOICE, AT(hold), RANGE(HOLD_PASS, 0), .choices = "pass|local", .standard = "pass",
      .help = "a hold goes to the other party; or it is answered here, and the other party hears music" },

    { "transfer.mode", CT_CHOICE, AT(refer), RANGE(REFER_LOCAL, 0), .choices = "local|reject|relay|auto",
      .standard = "local",
      .help = "REFER is carried out here; refused with 403; passed on to the transferee, who calls "
              "through us; or passed on where the transferee can do it, else carried out here" },
    { "transfer.relay", CT_CHOICE, AT(relay), .choices = "splice|forward", .standard = "splice",
      .help =
          "relayed and attended: the target is re-INVITEd in its own dialog, or gets an INVITE with Replaces of it" },
    { "transfer.relay_replaces", CT_CHOICE, AT(relay_replaces), .choices = "keep|far-leg|opaque", .standard = "keep",
      .help = "relayed and attended: the Replaces is the transferor's own; or names the target's dialog, and the "
              "Refer-To the target itself; or has a token for the Call-ID" },
    { "transfer.early_uas_replace", CT_CHOICE, AT(early_uas_replace), .choices = "deny|allow", .standard = "deny",
      .help = "INVITE with Replaces of a call that its caller still waits for: 481, as RFC 3891 wants it; or the "
              "newcomer waits in its place" },
    { "transfer.attended", CT_CHOICE, AT(attended), .choices = "replace|join", .standard = "replace",
      .help = "attended transfer by INVITE with Replaces "
              "(join if that fails), or by joining the existing leg at once" },
    { "transfer.splice", CT_CHOICE, AT(splice), .choices = "offer|late-offer", .standard = "offer",
      .help = "a joined target is offered what is on record of the transferee (if it refuses that, what the "
              "transferee says when asked); or that at once" },
    { "transfer.accept_code", CT_CHOICE, AT(accept), .choices = "auto|200|202", .standard = "auto",
      .help = "of a REFER; auto: 202 in a dialog, 200 outside or when no subscription is wanted" },
    { "transfer.replace_timeout", MICROS, ENGINE(replace_timeout_us), RANGE(MS(100), S(60)), .standard = "8s",
      .help = "a target silent on INVITE with Replaces is joined after this" },
    { "transfer.ring_timeout", MICROS, ENGINE(ring_timeout_us), RANGE(S(1), S(3600)), .standard = "120s",
      .help = "a target that only rings fails the transfer after this" },
    { "transfer.transferor_bye_wait", MICROS, ENGINE(bye_wait_us), RANGE(MS(100), S(60)), .standard = "3s",
      .help = "after success the transferor has this long to hang up by itself" },
    { "transfer.max_depth", CT_COUNT, ENGINE(max_depth), RANGE(1, 64), .standard = "10",
      .help = "transfers of one call" },
    { "transfer.per_minute", CT_COUNT, ENGINE(transfers_per_minute), RANGE(0, 1000000), .standard = "0",
      .help = "transfers that one user or peer may ask for; more are refused with 403; 0: any number" },
    { "transfer.pending", CT_COUNT, ENGINE(transfers_pending), RANGE(0, 1000000), .standard = "0",
      .help = "transfers of one user or peer that are undecided at a time; 0: any number" },
    { "transfer.notify_progress", CT_BOOL, ENGINE(notify_progress), .standard = "true",
      .help = "tell the transferor when the target rings" },
    { "transfer.recall", CT_BOOL, ENGINE(recall), .standard = "false",
      .help = "the transferor has hung up and the transfer fails: ring it again, then recall_uri, then end the call" },
    { "transfer.recall_time", MICROS, ENGINE(recall_time_us), RANGE(S(1), S(600)), .standard = "30s",
      .help = "how long each of them may ring" },
    { "transfer.recall_uri", CT_TEXT, ENGINE(recall_uri), .standard = "",
      .help = "URI to ring when the transferor does not answer the recall" },
    { "transfer.recall_announcement", CT_TEXT, AT(announcement), .standard = "off",
      .help = "WAV file (as media.music) that the transferee hears when nobody answers the recall, before its BYE" },
    { "transfer.subscription_expires", SECONDS, ENGINE(subscription_s), RANGE(S(10), S(3600)), .standard = "180s",
      .help = "of the implicit subscription (RFC 3515)" },
    { "transfer.music", CT_BOOL, ENGINE(transfer_music), .standard = "false",
      .help = "the transferee hears media.music while the target is called" },
    { "transfer.ringback", CT_CHOICE, AT(ringback_choice), .choices = PLAYER_COUNTRIES, .standard = "off",
      .help = "the transferee hears this country's ringback tone as soon as the target rings" },
    { "transfer.early_media", CT_BOOL, ENGINE(transfer_early_media), .standard = "true",
      .help = "the transferee hears what the target sends before it answers, if it can take it as it is" },
    { "transfer.rules[].from", CT_TEXT, RULE(from), .standard = "",
      .help = "user:NAME, peer:NAME, user: or peer: for all of them; nothing: anybody" },
    { "transfer.rules[].prefix", CT_TEXT, RULE(prefix), .standard = "",
      .help = "of the number transferred to, without escapes and separators; nothing: any" },
    { "transfer.rules[].domain", CT_TEXT, RULE(domain), .standard = "", .help = "transferred to; nothing: any" },
    { "transfer.rules[].class", CT_CHOICE, RULE(to), .choices = "any|local|outside", .standard = "any",
      .help = "local: users and echo numbers of ours; outside: all else" },
    { "transfer.rules[].calls", CT_BOOL, RULE(calls), .standard = "false",
      .help = "holds for calls too, by who calls: INVITE gets 403" },
    { "transfer.rules[].action", CT_CHOICE, RULE(action), .choices = "allow|deny", .standard = "deny",
      .help = "deny: the REFER gets 403" },

    { "limits.calls", CT_COUNT, ENGINE(calls_max), RANGE(1, 1000000), .standard = "1000",
      .help = "calls at a time; more are answered 503" },
    { "limits.transactions", CT_COUNT, ENGINE(txns_max), RANGE(16, 4000000), .standard = "16k",
      .help = "transactions held, most of them for half a minute behind their final response; a quarter of so many, "
              "and 64, may be without one" },
    { "limits.registrations", CT_COUNT, ENGINE(bindings_max), RANGE(1, 1000000), .standard = "10k",
      .help = "contacts registered" },
    { "limits.per_source", CT_COUNT, ENGINE(per_source), RANGE(0, 1000000), .standard = "0",
      .help = "messages a second of one address, a /64 of IPv6, that is no trusted peer's; more are dropped unread; "
              "0: any number" },
    { "limits.busy", CT_COUNT, ENGINE(busy_percent), RANGE(0, 100), .standard = "100",
      .help = "percent of its time that a shard may have more to do than it does; then new calls get 503, then "
              "registrations; 100: any, until its sockets are half full; 0: none" },
    { "limits.lag", MICROS, ENGINE(lag_us), RANGE(0, S(10)), .standard = "250ms",
      .help = "how long a message may wait for its turn, else as limits.busy; 0: any time" },
    { "limits.emergency[]", CT_TEXT, .size = CONFIG_NAME_MAX, .standard = "",
      .help = "numbers that are never refused for want of time, beside urn:service:sos" },
    { "limits.emergency_reserve", CT_COUNT, ENGINE(emergency_reserve), RANGE(0, 50), .standard = "2",
      .help = "percent of limits.calls and of media.ports, rounded down, that calls to those alone may have" },
    { "limits.failures", CT_COUNT, ENGINE(failures), RANGE(0, 10000), .standard = "32",
      .help = "failed transfers whose ladder is kept for refereectl; 28 KiB each" },
    { "limits.trace_lines", CT_COUNT, ENGINE(trace_lines), RANGE(64, 1 << 20), .standard = "16384",
      .help = "lines of the flight recorder, rounded up to a power of two" },

    { "routes[].name", CT_TEXT, ROUTE(name), .standard = "", .help = "for logs" },
    { "routes[].prefix", CT_TEXT, ROUTE(prefix), .standard = "", .help = "of the number called; nothing: any" },
    { "routes[].domain", CT_TEXT, ROUTE(domain), .standard = "", .help = "of the URI called; nothing: any" },
    { "routes[].next_hop", CT_HOP, ROUTE(next_hop), .standard = "", .help = "IP address and port (5060) to send to" },
    { "routes[].strip", CT_COUNT, ROUTE(strip), RANGE(0, 32), .standard = "0",
      .help = "characters taken off the number" },
    { "routes[].prepend", CT_TEXT, ROUTE(prepend), .standard = "", .help = "put in front of the number after that" },

    { "peers[].name", CT_TEXT, PEER(name), .standard = "", .help = "for logs, and as the identity of its calls" },
    { "peers[].address", CT_NET, PEER(net), .standard = "", .help = "IP address or network (192.0.2.0/24)" },
    { "peers[].trusted", CT_BOOL, PEER(trusted), .standard = "false", .help = "may call without digest" },
    { "peers[].deny", CT_BOOL, PEER(deny), .standard = "false",
      .help = "what comes from there is dropped unread" },
    { "peers[].media_strict", CT_BOOL, PEER(media_strict), .standard = "false", .help = "media.strict for this peer" },
    { "peers[].transfer", REFER_CHOICES, PEER(refer), .standard = "default", .help = "overrides transfer.mode" },
    { "peers[].anchor", ANCHOR_CHOICES, PEER(anchor), .standard = "default", .help = "overrides media.anchor" },
    { "peers[].per_minute", CT_COUNT, PEER(transfers_per_minute), RANGE(0, 1000000), .standard = "0",
      .help = "overrides transfer.per_minute; 0: does not" },
    { "peers[].srtp", SRTP_CHOICES, PEER(srtp), .standard = "default", .help = "overrides media.srtp" },
    { "peers[].hold", HOLD_CHOICES, PEER(hold), .standard = "default", .help = "overrides media.hold" },

    { "peers[].username", CT_TEXT, PEER(username), .standard = "",
      .help = "answers its 401 and 407 (digest); nothing: not answered" },
    { "peers[].password", CT_TEXT, PEER(password), .standard = "", .help = "to that name" },
    { "peers[].realm", CT_TEXT, PEER(realm), .standard = "", .help = "only challenges of this realm; nothing: any" },

    { "users[].name", CT_TEXT, USER(name), .standard = "", .help = "user part of the address, and digest user name" },
    { "users[].password", CT_TEXT, USER(password), .standard = "", .help = "or one or both of the hashes below" },
    { "users[].ha1_md5", CT_HEX, USER(ha1_md5), .standard = "", .help = "MD5 of name:realm:password, in hex" },
    { "users[].ha1_sha256", CT_HEX, USER(ha1_sha256), .standard = "",
      .help = "SHA-256 of name:realm:password, in hex" },
    { "users[].display", CT_TEXT, USER(display), .standard = "", .help = "display name" },
    { "users[].transfer", REFER_CHOICES, USER(refer), .standard = "default", .help = "overrides transfer.mode" },
    { "users[].anchor", ANCHOR_CHOICES, USER(anchor), .standard = "default", .help = "overrides media.anchor" },
    { "users[].per_minute", CT_COUNT, USER(transfers_per_minute), RANGE(0, 1000000), .standard = "0",
      .help = "overrides transfer.per_minute; 0: does not" },
    { "users[].srtp", SRTP_CHOICES, USER(srtp), .standard = "default", .help = "overrides media.srtp" },
    { "users[].hold", HOLD_CHOICES, USER(hold), .standard = "default", .help = "overrides media.hold" },

    { "quirks[].agent", CT_TEXT, QUIRK(agent), .standard = "",
      .help = "beginning of the User-Agent or Server header; nothing: any" },
    { "quirks[].peer", CT_TEXT, QUIRK(peer), .standard = "", .help = "name of a peer; nothing: any" },
    { "quirks[].replaces_swapped", CT_BOOL, QUIRK(replaces_swapped), .standard = "false",
      .help = "to-tag and from-tag of its Replaces may be the wrong way round" },
    { "quirks[].replaces_tagless", CT_BOOL, QUIRK(replaces_tagless), .standard = "false",
      .help = "its Replaces may lack tags: its only dialog of that Call-ID is meant" },
    { "quirks[].no_notify", CT_BOOL, QUIRK(no_notify), .standard = "false", .help = "its REFER gets no NOTIFY" },
    { "quirks[].bye_at_once", CT_BOOL, QUIRK(bye_at_once), .standard = "false",
      .help = "it waits for our BYE as soon as it has answered the final NOTIFY" },
    { "quirks[].accept_200", CT_BOOL, QUIRK(accept_200), .standard = "false", .help = "its REFER gets 200, not 202" },

    { "echo.number[]", CT_TEXT, .size = CONFIG_NAME_MAX, .standard = "echo,*43",
      .help = "numbers that answer and send the caller's own audio back" },
    { "drain.timeout", MICROS, AT(drain_timeout_us), RANGE(0, S(86400)), .standard = "30s",
      .help = "after SIGTERM: calls may go on for this long, then they get BYE" },
    { "runtime.backend", CT_CHOICE, AT(backend), .choices = "auto|io_uring|epoll", .standard = "auto",
      .help = "auto: io_uring where the kernel gives it, else epoll" },
    { "runtime.shards", CT_COUNT, AT(shards), RANGE(0, MAILBOX_SHARDS_MAX), .standard = "1",
      .help = "threads, each with calls, sockets and media ports of its own; 0: one for each core that we may use; "
              "1 with cluster.media_vips" },
    { "runtime.steering", CT_BOOL, AT(steering), .standard = "true",
      .help = "of several shards: a BPF program gives each message to the shard that has its call, where one may be "
              "loaded" },
    { "runtime.receive_buffer", CT_BYTES, AT(receive_buffer), RANGE(4096, 1 << 30), .standard = "4M",
      .help = "of the kernel, for each SIP socket" },
    { "log.level", CT_CHOICE, AT(log_level), .choices = "error|warn|info|debug|wire", .standard = "info",
      .help = "what is written to stderr; wire: every message" },
    { "cdr.file", CT_TEXT, AT(cdr_file), .standard = "off",
      .help = "a line of JSON for each call and each transfer is appended here; SIGHUP opens it again; off: none" },
    { "admin.socket", CT_TEXT, AT(admin_socket), .standard = "auto",
      .help = "path of the UNIX socket for refereectl; auto: in the runtime directory; off: none" },
    { "cluster.node", CT_COUNT, ENGINE(node), RANGE(0, 65535), .standard = "0",
      .help = "number of this node, no other one's; 0: this daemon is alone" },
    { "cluster.listen", CT_LISTEN, AT(cluster_listen), .standard = "127.0.0.1:7060",
      .help = "TCP, for the other nodes: they send here what this one owns; of several shards each has a port, the "
              "next ones" },
    { "cluster.advertise", CT_TEXT, AT(cluster_advertise_text), .standard = "auto",
      .help = "address:port that the other nodes are told, of the first shard; auto: as in cluster.listen" },
    { "cluster.media_vips[]", CT_HOP, .size = sizeof(struct addr), .min = 1, .standard = "",
      .help = "media addresses of the other nodes, which come here when their node dies; with one shard only" },
    { "cluster.media_vip_wait", MICROS, ENGINE(media_vip_wait_us), RANGE(0, S(60)), .standard = "5s",
      .help = "how long calls that are taken over wait for that; then their parties are told to send elsewhere" },
    { "cluster.reinvites_per_second", CT_COUNT, ENGINE(reinvites_per_second), RANGE(1, 100000), .standard = "200",
      .help = "of parties that must send their media elsewhere after a takeover; those that talk come first" },
    { "cluster.rebalance", CT_CHOICE, ENGINE(rebalance), .choices = "live|idle", .standard = "live",
      .help = "when a node has come: its part of the buckets goes to it with their calls, one after the other, whose "
              "parties are told by re-INVITE; or each when it has no calls" },
    { "cluster.record_format", CT_CHOICE, ENGINE(record_format), .choices = "auto|1|2", .standard = "auto",
      .help = "highest format of records that any node may write while this one lives; auto: that all of them read" },
    { "store.kind", CT_CHOICE, AT(store_kind), .choices = "memory|redis", .standard = "memory",
      .help = "where records of calls and registrations live: with this process, or in Redis" },
    { "store.durability", CT_CHOICE, AT(store_durability), .choices = "auto|off|async|confirmed", .standard = "auto",
      .help = "confirmed: what is promised to a party (200, 202, the final NOTIFY) leaves when its record is stored; "
              "async: nothing waits, what could not be written is written again; off: neither; auto: confirmed with "
              "redis, else off" },
    { "store.budget", MICROS, ENGINE(durability_budget_us), RANGE(MS(1), S(10)), .standard = "30ms",
      .help = "confirmed: after this the call goes on, counted as not protected" },
    { "store.records", CT_COUNT, AT(store_records), RANGE(16, 4000000), .standard = "16k",
      .help = "records held in memory" },
    { "store.servers[]", CT_HOP, .size = sizeof(struct addr), .min = 6379, .standard = "127.0.0.1:6379",
      .help = "Redis, IP address and port: one server and those to try instead, Sentinels, or nodes of a cluster" },
    { "store.sentinel", CT_TEXT, AT(redis.master), .standard = "",
      .help = "name of the master that the Sentinels at store.servers tell of; nothing: there are none" },
    { "store.cluster", CT_BOOL, AT(store_cluster), .standard = "false",
      .help = "store.servers are of a Redis Cluster" },
    { "store.user", CT_TEXT, AT(redis.user), .standard = "", .help = "ACL user; nothing: the default user" },
    { "store.password", CT_TEXT, AT(redis.password), .standard = "", .help = "of the user; nothing: no AUTH" },
    { "store.password_file", CT_TEXT, AT(store_password_file), .standard = "",
      .help = "file whose first line is the password, instead of store.password" },
    { "store.sentinel_password", CT_TEXT, AT(redis.sentinel_password), .standard = "",
      .help = "of the Sentinels; nothing: no AUTH there" },
    { "store.db", CT_COUNT, AT(redis.db), RANGE(0, 1023), .standard = "0", .help = "number of the database" },
    { "store.prefix", CT_TEXT, AT(redis.prefix), .standard = "referee:", .help = "in front of every key" },
    { "store.timeout", MICROS, AT(redis.timeout_us), RANGE(MS(20), S(60)), .standard = "1s",
      .help = "a server that says nothing for so long is left, an operation without an answer has failed" },
    { "store.queue", CT_COUNT, AT(redis.queue), RANGE(64, 1000000), .standard = "4k",
      .help = "operations held while the server cannot be reached, the latest of each record" },
    { "store.replicas", CT_COUNT, AT(redis.replicas), RANGE(0, 16), .standard = "0",
      .help = "replicas that must have a write before it counts as stored (WAIT)" },
    { "store.replica_wait", .type = CT_DURATION, .scale = 1000, AT(redis.replica_wait_ms), RANGE(MS(1), S(10)),
      .standard = "30ms", .help = "how long they have for it" },
    { "store.required", CT_BOOL, AT(store_required), .standard = "false",
      .help = "wait with starting until Redis is there, instead of starting without it" },
    { "store.tls", CT_BOOL, AT(store_tls), .standard = "false", .help = "connect to Redis by TLS" },
    { "store.tls_ca", CT_TEXT, AT(store_tls_ca), .standard = "",
      .help = "file of the certificates that may have signed the server's; nothing: the system's" },
    { "store.tls_cert", CT_TEXT, AT(store_tls_cert), .standard = "",
      .help = "file of our own certificate; nothing: none" },
    { "store.tls_key", CT_TEXT, AT(store_tls_key), .standard = "",
      .help = "file of its key; nothing: in store.tls_cert" },
    { "store.tls_name", CT_TEXT, AT(store_tls_name), .standard = "",
      .help = "name that the server's certificate must bear; nothing: any" },
};
const uint32_t config_key_count = sizeof config_keys / sizeof *config_keys;
_Static_assert(sizeof config_keys / sizeof *config_keys <= CONFIG_KEYS_MAX, "the loader's notes have room");

#define LIST(field) offsetof(struct config, field)
const struct config_list_def config_lists[] = {
    { "sip.listen", LIST(listen), sizeof(struct addr), 8, false, "", false },
    { "sip.domains", LIST(domains), CONFIG_HOST_MAX, 64, false, "", false },
    { "auth.algorithms", LIST(algorithms), 4, 2, false, "", false },
    { "transfer.rules", LIST(rules), sizeof(struct transfer_rule), 1024, true,
      "who may transfer to where: the first that fits decides; without one it is allowed", false },
    { "routes", LIST(routes), sizeof(struct route_config), 1024, true,
      "where calls to numbers that are not registered here go; the first that fits is taken", false },
    { "peers", LIST(peers), sizeof(struct peer_config), 256, true, "parties known by their address: trunks, PBXs",
      false },
    { "users", LIST(users), sizeof(struct user_config), 100000, true, "who may register and call", false },
    { "quirks", LIST(quirks), sizeof(struct quirk_config), 256, true,
      "user agents that need something done otherwise; what all entries say that fit holds together", false },
    { "echo.number", LIST(echo), CONFIG_NAME_MAX, 16, false, "", false },
    { "media.address", LIST(media_address), CONFIG_HOST_MAX, MEDIA_MORE_MAX + 1, false, "", true },
    { "media.advertise", LIST(media_advertise), CONFIG_HOST_MAX, MEDIA_MORE_MAX + 1, false, "", true },
    { "limits.emergency", LIST(emergency), CONFIG_NAME_MAX, 64, false, "", false },
    { "cluster.media_vips", LIST(media_vips), sizeof(struct addr), MEDIA_VIPS_MAX, false, "", false },
    { "store.servers", LIST(store_servers), sizeof(struct addr), REDIS_SERVERS_MAX, false, "", false },
};
const uint32_t config_list_count = sizeof config_lists / sizeof *config_lists;
_Static_assert(sizeof config_lists / sizeof *config_lists <= CONFIG_LISTS_MAX, "the loader's notes have room");

const struct config_key *config_key_find(const char *path) {
    for (uint32_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0)
            return &config_keys[i];
    return NULL;
}

const struct config_list_def *config_list_find(const char *path) {
    for (uint32_t i = 0; i < config_list_count; i++)
        if (strcmp(config_lists[i].path, path) == 0)
            return &config_lists[i];
    return NULL;
}

const struct config_list_def *config_list_of(const struct config_key *k) {
    const char *bracket = strstr(k->path, "[]");
    for (uint32_t i = 0; bracket && i < config_list_count; i++) {
        size_t n = strlen(config_lists[i].path);
        if (n == (size_t)(bracket - k->path) && memcmp(config_lists[i].path, k->path, n) == 0)
            return &config_lists[i];
    }
    return NULL;
}
