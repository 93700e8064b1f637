/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Each target is told the same: what calls "b" goes to party B, "c" to party C; callers are trusted. What calls with a
 * 00 in front goes to a trunk, which is party B too, with + in its place.
 */
#include "bench/call/call.h"

#include <sys/resource.h>

#define PORTS_A_CALL 4          /* two parties, RTP and RTCP */
#define ADDRESSES_MAX 2
#define FIRST_PORT 16000u
#define PORTS_MAX 45000u
#define PORTS_USUAL 8000u
#define OTHER_DESCRIPTORS 256

static FILE *open_file(const struct target *t, const char *name, char path[160]) {
    snprintf(path, 160, "%s/%s", t->dir, name);
    return fopen(path, "we");
}

/* Each port is a descriptor of the daemon's, which may have as many as the hard limit says. */
static bool may_have(unsigned ports) {
    struct rlimit r;
    return getrlimit(RLIMIT_NOFILE, &r) == 0 && (r.rlim_max == RLIM_INFINITY || ports + OTHER_DESCRIPTORS < r.rlim_max);
}

/* A fiftieth of the ports is kept for emergency calls. */
struct media_room configure_media(const struct target *t) {
    unsigned needed = t->held * PORTS_A_CALL / 48 * 50, n = needed / PORTS_MAX + 1;
    if (!t->held)
        return (struct media_room){ 1, PORTS_USUAL };
    if (n > ADDRESSES_MAX || !may_have(needed))
        return (struct media_room){ 0, 0 };
    return (struct media_room){ n, needed / n / PORTS_A_CALL * PORTS_A_CALL };
}

static void put_media(const struct target *t, FILE *f) {
    struct media_room m = configure_media(t);
    fprintf(f, "media:\n  address: ['127.0.0.2'%s]\n  ports: '%u-%u'\n  quarantine: " MEDIA_QUARANTINE "\n",
            m.addresses == ADDRESSES_MAX ? ", '127.0.0.3'" : "", FIRST_PORT,
            FIRST_PORT + (m.addresses ? m.ports : PORTS_USUAL) - 1);
    if (m.addresses == 0)
        fprintf(f, "  anchor: 'no'\n");
}

static void put_limits(const struct target *t, FILE *f) {
    fprintf(f, "limits:\n  calls: %u\n  transactions: 3000000\n  registrations: 10k\n"
               "  emergency: [" EMERGENCY_NUMBER "]\n", t->held ? t->held + t->held / 16 : 16384);
}

static void put_routes(const struct load *l, FILE *f) {
    struct slice b = line_slice(&l->host[PARTY_B]), c = line_slice(&l->host[PARTY_C]);
    fprintf(f,
            "routes:\n  - {name: bench, prefix: b, next_hop: '%.*s'}\n"
            "  - {name: bench, prefix: c, next_hop: '%.*s'}\n"
            "  - {name: trunk, prefix: '" TRUNK_DIALLED "', next_hop: '%.*s', strip: %zu, prepend: '"
            TRUNK_PREFIX "'}\n"
            "peers:\n  - {name: bench, address: 127.0.0.1/32, trusted: true}\n"
            "  - {name: trunk, address: 127.0.0.1/32, username: " TRUNK_USER ", password: " TRUNK_PASSWORD "}\n",
            SLICE_FMT(b), SLICE_FMT(c), SLICE_FMT(b), sizeof TRUNK_DIALLED - 1);
}

/* With Redis what is promised is confirmed first, by default. */
static void put_store(const struct target *t, FILE *f) {
    if (t->kind == T_REFEREE_REDIS)
        fprintf(f, "store:\n  kind: redis\n  servers: ['127.0.0.1:%u']\n", t->redis.port);
    else
        fprintf(f, "store:\n  records: %u\n", 65536 + 2 * t->held);
}

static bool configure_referee(const struct target *t, const struct load *l, char path[160]) {
    FILE *f = open_file(t, "refereed.yaml", path);
    if (!f)
        return false;
    fprintf(f, "version: 1\nsip:\n  listen: ['127.0.0.1:%u']\nlog:\n  level: warn\nadmin:\n  socket: %s/admin.sock\n%s",
            t->addr.port, t->dir, t->extra ? t->extra : "");
    if (t->kind == T_REFEREE_2)
        fprintf(f, "runtime:\n  shards: 2\n");
    put_media(t, f);
    put_limits(t, f);
    put_routes(l, f);
    put_store(t, f);
    if (l->o.scenario == SC_REGISTER || l->o.scenario == SC_REGISTERED) {
        fprintf(f, "users:\n");
        for (uint32_t i = 0; i < l->o.users; i++)
            fprintf(f, "  - {name: 'u%u', password: secret}\n", i);
    }
    return fclose(f) == 0;
}

static const char kamailio_text[] =
    "debug=0\nlog_stderror=yes\nfork=yes\nchildren=2\nauto_aliases=no\nlisten=udp:127.0.0.1:%u\ndisable_tcp=yes\n"
    "maxbuffer=4194304\ndns=no\nrev_dns=no\nuse_dns_cache=no\nserver_signature=no\nsip_warning=0\n"
    "mpath=\"/usr/lib/x86_64-linux-gnu/kamailio/modules/\"\n"
    "loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"pv.so\"\n"
    "loadmodule \"maxfwd.so\"\nloadmodule \"textops.so\"\nloadmodule \"siputils.so\"\nloadmodule \"dialog.so\"\n"
    "modparam(\"dialog\", \"dlg_match_mode\", 0)\nmodparam(\"dialog\", \"db_mode\", 0)\n"
    "request_route {\n"
    "  if (!mf_process_maxfwd_header(\"70\")) {\n    sl_send_reply(\"483\", \"Too Many Hops\");\n    exit;\n  }\n"
    "  if (has_totag()) {\n    loose_route();\n    t_relay();\n    exit;\n  }\n"
    "  if (is_method(\"CANCEL\")) {\n    if (t_check_trans()) t_relay();\n    exit;\n  }\n"
    "  t_check_trans();\n  record_route();\n  if (is_method(\"INVITE\")) dlg_manage();\n"
    "  if ($rU == \"c\") $du = \"sip:127.0.0.1:%u\"; else $du = \"sip:127.0.0.1:%u\";\n  t_relay();\n}\n";

/* A stateful proxy that stays in the path and knows its dialogs, with the allocator that its users tune it with. */
static bool configure_kamailio(const struct target *t, const struct load *l, char path[160]) {
    FILE *f = open_file(t, "kamailio.cfg", path);
    if (!f)
        return false;
    fprintf(f, kamailio_text,
            t->addr.port, l->addr[PARTY_C].port, l->addr[PARTY_B].port);
    return fclose(f) == 0;
}

bool configure_target(const struct target *t, const struct load *l, char path[160]) {
    return target_is_referee(t) ? configure_referee(t, l, path) : configure_kamailio(t, l, path);
}
