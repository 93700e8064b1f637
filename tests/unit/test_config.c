/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/config_schema.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

static char file[] = "/tmp/referee-config-XXXXXX";
static struct config_error error;

static struct config *load(const char *text) {
    FILE *f = fopen(file, "w");
    if (!f)
        return NULL;
    fputs(text, f);
    fclose(f);
    error.text[0] = 0;
    return config_load(file, &error);
}

/* The complaint after "FILE:". */
static void refuses(const char *text, const char *want) {
    struct config *c = load(text);
    const char *got = error.text + (strlen(error.text) > sizeof file ? sizeof file : 0);
    if (c || strncmp(got, want, strlen(want)) != 0)
        printf("\n%s\ngives \"%s\", want \"%s\"\n", text, c ? "no error" : got, want);
    CHECK_TRUE(!c && strncmp(got, want, strlen(want)) == 0);
    CHECK_TRUE(c || strncmp(error.text, file, sizeof file - 1) == 0);
    config_free(c);
}

static void test_defaults_run(void) {
    struct config *c = load("");
    CHECK_TRUE(c != NULL);
    if (!c)
        return;
    CHECK_EQ(c->engine.t1_us, 500000);
    CHECK_EQ(c->engine.nonce_lifetime_s, 300);
    CHECK_EQ(c->engine.media_port_min, 30000);
    CHECK_EQ(c->engine.media_port_max, 30999);
    CHECK_EQ(c->engine.replace_timeout_us, 8000000);
    CHECK_EQ(c->listen.count, 1);
    CHECK_EQ(((struct addr *)c->listen.items)->port, 5060);
    CHECK_EQ(c->echo.count, 2);
    CHECK_EQ(c->users.count, 0);
    CHECK_TRUE(config_resolve(c, &error));
    CHECK_TRUE(c->engine.auth_md5 && !c->engine.auth_sha256);
    CHECK_EQ(c->engine.refer, REFER_LOCAL);
    CHECK_EQ(c->engine.attended, ATTENDED_REPLACE);
    CHECK_SLICE(slice_str(c->engine.policy.echo[1]), "*43");
    CHECK_FALSE(addr_is_any(&c->engine.sip_addr));
    CHECK_TRUE(c->engine.sip_host[0] != 0);
    config_free(c);
}

/* What the simulator runs with is what a daemon without a file runs with. */
static void test_defaults_agree_with_the_engine(void) {
    struct engine_config n;
    struct config *c = load("");
    CHECK_TRUE(c && config_resolve(c, &error));
    if (!c)
        return;
    engine_config_defaults(&n);
    const struct engine_config *m = &c->engine;
    CHECK_EQ(m->t1_us, n.t1_us);
    CHECK_EQ(m->t2_us, n.t2_us);
    CHECK_EQ(m->t4_us, n.t4_us);
    CHECK_EQ(m->invite_timeout_us, n.invite_timeout_us);
    CHECK_EQ(m->auth_required, n.auth_required);
    CHECK_EQ(m->auth_md5, n.auth_md5);
    CHECK_EQ(m->auth_sha256, n.auth_sha256);
    CHECK_EQ(m->nonce_lifetime_s, n.nonce_lifetime_s);
    CHECK_EQ(m->expires_min_s, n.expires_min_s);
    CHECK_EQ(m->expires_max_s, n.expires_max_s);
    CHECK_EQ(m->expires_default_s, n.expires_default_s);
    CHECK_EQ(m->media_port_min, n.media_port_min);
    CHECK_EQ(m->media_port_max, n.media_port_max);
    CHECK_EQ(m->media_quarantine_us, n.media_quarantine_us);
    CHECK_EQ(m->media_nat, n.media_nat);
    CHECK_EQ(m->refer, n.refer);
    CHECK_EQ(m->attended, n.attended);
    CHECK_EQ(m->notify_progress, n.notify_progress);
    CHECK_EQ(m->replace_timeout_us, n.replace_timeout_us);
    CHECK_EQ(m->ring_timeout_us, n.ring_timeout_us);
    CHECK_EQ(m->bye_wait_us, n.bye_wait_us);
    CHECK_EQ(m->subscription_s, n.subscription_s);
    CHECK_EQ(m->max_depth, n.max_depth);
    config_free(c);
}

static void test_transfer_rules(void) {
    struct config *c = load("transfer:\n  per_minute: 30\n  pending: 2\n  rules:\n"
                            "    - { from: 'user:1001', prefix: '0900', class: outside }\n"
                            "    - { domain: example.net, action: allow }\n  max_depth: 3\n"
                            "users:\n  - { name: a, password: b, per_minute: 7 }\n  - { name: b, password: b }\n"
                            "peers:\n  - { name: trunk, address: 192.0.2.1, per_minute: 600 }\n"
                            "quirks:\n  - { agent: 'Old/1.', no_notify: true }\n"
                            "  - { peer: trunk, replaces_swapped: yes, bye_at_once: true, accept_200: true }\n");
    CHECK_TRUE(c && config_resolve(c, &error));
    if (!c)
        return;
    const struct policy_config *p = &c->engine.policy;
    CHECK_EQ(c->engine.transfers_per_minute, 30);
    CHECK_EQ(c->engine.transfers_pending, 2);
    CHECK_EQ(c->engine.max_depth, 3);
    CHECK_EQ(p->rule_count, 2);
    CHECK_TRUE(strcmp(p->rules[0].from, "user:1001") == 0 && strcmp(p->rules[0].prefix, "0900") == 0);
    CHECK_EQ(p->rules[0].to, TRANSFER_TO_OUTSIDE);
    CHECK_EQ(p->rules[0].action, TRANSFER_DENY);
    CHECK_EQ(p->peers[0].transfers_per_minute, 600);
    CHECK_TRUE(p->users[0].transfers_per_minute == 7 && p->users[1].transfers_per_minute == 0);
    CHECK_EQ(p->rules[1].to, TRANSFER_TO_ANY);
    CHECK_EQ(p->rules[1].action, TRANSFER_ALLOW);
    CHECK_EQ(p->quirk_count, 2);
    CHECK_TRUE(p->quirks[0].no_notify && !p->quirks[0].accept_200 && !p->quirks[0].replaces_swapped);
    CHECK_TRUE(p->quirks[1].replaces_swapped && p->quirks[1].bye_at_once && p->quirks[1].accept_200);
    config_free(c);
    refuses("transfer:\n  rules:\n    - { action: maybe }\n", "3: transfer.rules[].action: \"maybe\" is not allowed");
    refuses("quirks:\n  - { agnet: x }\n", "2: quirks[].agnet: unknown key; allowed here: agent, peer,");
}

static void test_values(void) {
    struct config *c = load(
        "version: 1\n"
        "sip: { listen: [ '127.0.0.1:5070', 'udp:[::1]:5071' ], t1: 30ms, t2: 5s, advertise: sip.example.com:5099 }\n"
        "limits:\n  transactions: 64k\n"
        "auth: { required: no, algorithms: [md5], secret: 0123456789abcdef }\n"
        "media: { ports: 40000-40009, advertise: 192.0.2.7 }\n"
        "transfer: { mode: reject, attended: join }\n"
        "routes:\n  - { prefix: '00', next_hop: 192.0.2.1, strip: 2, prepend: '+' }\n"
        "  - domain: example.net\n    next_hop: '[2001:db8::1]:5080'\n"
        "peers:\n  - { name: pbx, address: 192.0.2.0/24, trusted: true, transfer: reject }\n"
        "users:\n  - name: '1001'\n    password: pw\n    display: Al\n");
    CHECK_TRUE(c != NULL && config_resolve(c, &error));
    if (!c)
        return;
    const struct engine_config *n = &c->engine;
    CHECK_EQ(n->t1_us, 30000);
    CHECK_EQ(n->txns_max, 64000);
    CHECK_EQ(c->listen.count, 2);
    CHECK_EQ(((struct addr *)c->listen.items)[1].family, ADDR_V6);
    CHECK_SLICE(slice_str(n->sip_host), "sip.example.com");
    CHECK_EQ(n->sip_addr.port, 5099);
    CHECK_FALSE(n->auth_required);
    CHECK_TRUE(n->auth_md5 && !n->auth_sha256);
    CHECK_EQ(n->media_port_max, 40009);
    CHECK_EQ(n->media_addr.ip[3], 7);
    CHECK_EQ(c->media_bind[0].ip[0], 127);
    CHECK_EQ(n->refer, REFER_REJECT);
    CHECK_EQ(n->attended, ATTENDED_JOIN);
    CHECK_EQ(n->policy.route_count, 2);
    CHECK_EQ(n->policy.routes[0].next_hop.port, 5060);
    CHECK_EQ(n->policy.routes[0].strip, 2);
    CHECK_EQ(n->policy.routes[1].next_hop.port, 5080);
    CHECK_EQ(n->policy.peers[0].bits, 24);
    CHECK_EQ(n->policy.peers[0].refer, REFER_REJECT);
    CHECK_SLICE(slice_str(n->policy.users[0].display), "Al");
    config_free(c);
}

static void test_media_addresses(void) {
    struct config *c = load("media:\n  address: [192.0.2.1, '::', 192.0.2.3]\n"
                            "  advertise: [198.51.100.1, auto, auto]\n");
    CU_ASSERT_FATAL(c && config_resolve(c, &error));
    CHECK_EQ(c->engine.media_more_count, 2);
    CHECK_EQ(c->media_bind[0].ip[0], 192);
    CHECK_EQ(c->engine.media_addr.ip[0], 198);
    CHECK_TRUE(addr_is_any(&c->media_bind[1]));
    CHECK_EQ(c->engine.media_more[0].family, ADDR_V6);
    CHECK_FALSE(addr_is_any(&c->engine.media_more[0]));
    CHECK_EQ(c->engine.media_more[1].ip[3], 3);
    config_free(c);
    c = load("media: { address: 192.0.2.1 }\n");
    CU_ASSERT_FATAL(c != NULL);
    CHECK_TRUE(config_override(c, "media.address=192.0.2.8,fd00::8", &error));
    CHECK_TRUE(config_resolve(c, &error));
    CHECK_EQ(c->engine.media_more_count, 1);
    CHECK_EQ(c->engine.media_addr.ip[3], 8);
    config_free(c);
    static const char *const wrong[][2] = {
        { "media: { address: [192.0.2.1, 192.0.2.1] }\n", "media.address: \"192.0.2.1\": covers another one" },
        { "media: { address: [192.0.2.1, 0.0.0.0] }\n", "media.address: \"0.0.0.0\": covers another one" },
        { "media: { address: [192.0.2.1, x] }\n", "media.address: \"x\": an IP address, or auto" },
        { "media: { address: [192.0.2.1, '::1'], advertise: 192.0.2.7 }\n", "as many as media.address has" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        c = load(wrong[i][0]);
        CU_ASSERT_FATAL(c != NULL);
        CHECK_FALSE(config_resolve(c, &error));
        CHECK_TRUE(strstr(error.text, wrong[i][1]) != NULL);
        config_free(c);
    }
}

static void test_complaints(void) {
    refuses("media: { address: [] }\n", "2: media.address: is empty; at least one address, or auto");
    refuses("media: { address: [a, a, a, a, a, a, a, a, a] }\n", "1: media.address: too many; at most 8");
    refuses("sip:\n  t1: 500\n",
            "2: sip.t1: \"500\" is not allowed; a time with its unit (ms, s, m, h) from 10ms to 10s");
    refuses("sip:\n  realm: x\n  t3: 1s\n", "3: sip.t3: unknown key; allowed here: listen, advertise, realm, domains");
    refuses("\n\nfoo: 1\n", "3: foo: unknown key; allowed here: version, node, sip, auth,");
    refuses("users:\n  - name: a\n    password: b\n    pasword: c\n",
            "4: users[].pasword: unknown key; allowed here: name, password,");
    refuses("users:\n  - name: a\n", "2: users[].password: missing;");
    refuses("users:\n  - name: a\n    ha1_md5: 12\n", "3: users[].ha1_md5: is not a hash; exactly 32 hex digits");
    refuses("routes:\n  - prefix: a\n", "2: routes[].next_hop: missing;");
    refuses("peers:\n  - { name: a, address: 10.0.0.1, username: u }\n", "2: peers[]: username or password missing");
    refuses("peers:\n  - { name: a, address: 10.0.0.0/33 }\n", "2: peers[].address: \"10.0.0.0/33\" is neither");
    refuses("version: 2\n", "1: version: \"2\" is not allowed; a number from 1 to 1,");
    refuses("runtime: { shards: 65 }\n", "1: runtime.shards: \"65\" is not allowed; a number from 0 to 64");
    refuses("transfer:\n  mode: relayed\n",
            "2: transfer.mode: \"relayed\" is not allowed; one of local|reject|relay|auto");
    refuses("transfer:\n  accept_code: 201\n", "2: transfer.accept_code: \"201\" is not allowed; one of auto|200|202");
    refuses("transfer:\n  mode: maybe\n", "2: transfer.mode: \"maybe\" is not allowed; one of local|reject");
    refuses("media:\n  ports: 30001-30999\n", "2: media.ports: \"30001-30999\" is not allowed");
    refuses("sip:\n  listen: [tcp:0.0.0.0:5060]\n", "2: sip.listen[]: \"tcp:0.0.0.0:5060\": only UDP");
    refuses("sip: 5\n", "1: sip: is a section;");
    refuses("users: x\n", "1: users: takes a list;");
    refuses("sip:\n  realm: [a]\n", "2: sip.realm: has the wrong form; one value");
    refuses("sip:\n  realm: a\n  realm: b\n", "3: sip.realm: given twice");
    refuses("sip:\n  listen: []\n", "3: sip.listen: is empty;");
    refuses("registrar:\n  min_expires: 2h\n", "3: registrar: expires are out of order");
    refuses("sip:\n  realm: \"a\n", "3: not YAML:");
    refuses("sip:\n  realm: &a x\n  user_agent: *a\n", "3: sip.user_agent: is an alias");
    refuses("auth: { required: maybe }\n", "1: auth.required: \"maybe\" is not allowed; true or false");
    refuses("version: 1\n---\nversion: 1\n", "2: a second document; one");
    CHECK_TRUE(config_load("/nonexistent/x.yaml", &error) == NULL);
    CHECK_TRUE(strstr(error.text, "cannot be opened") != NULL);
}

static void test_resolve_complaints(void) {
    struct config *c = load("sip: { advertise: 'a b' }\n");
    CHECK_TRUE(c && !config_resolve(c, &error));
    CHECK_TRUE(strncmp(error.text, "sip.advertise:", 14) == 0);
    config_free(c);
    c = load("auth: { secret: short }\n");
    CHECK_TRUE(c && !config_resolve(c, &error) && !strstr(error.text, "short"));
    config_free(c);
}

static void check_share(const struct config *c, uint32_t shard, uint32_t first, uint32_t end) {
    struct config *own = config_for_shard(c, shard);
    CHECK_TRUE(own != NULL);
    if (!own)
        return;
    const struct engine_config *n = &own->engine;
    CHECK_TRUE(n->shared && n->shards == 3 && n->shard == shard);
    CHECK_EQ(n->media_own_first, first);
    CHECK_EQ(n->media_own_end, end);
    CHECK_EQ(n->media_port_max, c->engine.media_port_max);
    CHECK_EQ(n->calls_max, 34);
    CHECK_EQ(n->bindings_max, c->engine.bindings_max);
    CHECK_EQ(memcmp(n->secret, c->engine.secret, sizeof n->secret), 0);
    CHECK_TRUE(shard == 0 || memcmp(&n->seed, &c->engine.seed, sizeof n->seed) != 0);
    CHECK_TRUE(n->policy.users != c->engine.policy.users && n->policy.user_count == 1);
    CHECK_SLICE(slice_str(n->policy.users[0].name), "a");
    config_free(own);
}

static void check_member(struct config *c, uint32_t shard, uint32_t number, uint16_t listen, uint16_t advertise) {
    CHECK_TRUE(c && config_resolve(c, &error) && c->shards == 2);
    struct config *own = c ? config_for_shard(c, shard) : NULL;
    CHECK_TRUE(own != NULL);
    if (!own)
        return;
    CHECK_EQ(own->engine.node, number);
    CHECK_EQ(own->cluster_listen.port, listen);
    CHECK_EQ(own->cluster_advertise.port, advertise);
    config_free(own);
}

static void test_shards(void) {
    struct config *c = load("runtime: { shards: 3 }\nlimits: { calls: 100 }\nmedia: { ports: 40000-40019 }\n"
                            "users:\n  - { name: a, password: b }\n");
    CHECK_TRUE(c && config_resolve(c, &error));
    if (!c)
        return;
    check_share(c, 0, 0, 3);
    check_share(c, 1, 3, 6);
    check_share(c, 2, 6, 10);
    config_free(c);
    c = load("runtime: { shards: 0 }\n");
    CHECK_TRUE(c && config_resolve(c, &error) && c->shards >= 1 && c->engine.shared == (c->shards > 1));
    config_free(c);
    c = load("");
    CHECK_TRUE(c && config_resolve(c, &error) && c->shards == 1 && !c->engine.shared);
    config_free(c);
    c = load("runtime: { shards: 3 }\nmedia: { ports: 40000-40003 }\n");
    CHECK_TRUE(c && !config_resolve(c, &error));
    CHECK_TRUE(strstr(error.text, "each shard needs a pair of media.ports") != NULL);
    config_free(c);
    c = load("runtime: { shards: 2 }\nauth: { secret: the-same-on-every-node }\nstore: { kind: redis }\n"
             "cluster: { node: 1 }\n");
    check_member(c, 0, 1, 7060, 0);
    check_member(c, 1, 65537, 7061, 0);
    config_free(c);
    c = load("runtime: { shards: 2 }\nauth: { secret: the-same-on-every-node }\nstore: { kind: redis }\n"
             "cluster: { node: 7, listen: 127.0.0.1:0, advertise: '192.0.2.1:9000' }\n");
    check_member(c, 1, 65543, 0, 9001);
    config_free(c);
    c = load("runtime: { shards: 2 }\nauth: { secret: the-same-on-every-node }\nstore: { kind: redis }\n"
             "cluster: { node: 7, listen: 127.0.0.1:65535 }\n");
    CHECK_TRUE(c && !config_resolve(c, &error));
    CHECK_TRUE(strstr(error.text, "each shard needs a port, from that of cluster.listen on") != NULL);
    config_free(c);
    c = load("runtime: { shards: 2 }\ncluster: { media_vips: [192.0.2.9] }\n");
    CHECK_TRUE(c && !config_resolve(c, &error));
    CHECK_TRUE(strstr(error.text, "cluster.media_vips are for one shard so far") != NULL);
    config_free(c);
    c = load("runtime: { shards: 0 }\ncluster: { media_vips: [192.0.2.9] }\n");
    CHECK_TRUE(c && config_resolve(c, &error) && c->shards == 1);
    config_free(c);
}

/* The key's last name, followed by a colon, stands between its section's line and the next line that begins a
 * section. */
static bool documented(const char *text, const struct config_key *k) {
    char head[64], leaf[64];
    const char *dot = strchr(k->path, '.');
    size_t head_n = strcspn(k->path, ".[");
    snprintf(head, sizeof head, "\n%.*s:", (int)head_n, k->path);
    const char *from = strstr(text, head);
    if (!from || !dot)
        return from != NULL;
    snprintf(leaf, sizeof leaf, " %.*s:", (int)strcspn(dot + 1, "["), dot + 1);
    /* A section in a comment is an example of a list. */
    char example[64];
    snprintf(example, sizeof example, "\n# %.*s:", (int)head_n, k->path);
    const char *commented = strstr(text, example);
    const char *begin = commented && commented < from ? commented : from;
    const char *at = strstr(begin, leaf);
    const char *end = from + 1;
    while ((end = strchr(end, '\n')) && !(end[1] >= 'a' && end[1] <= 'z'))
        end++;
    return at && (!end || at < end);
}

static void check_store_complaint(const char *text, const char *key) {
    struct config *c = load(text);
    CHECK_TRUE(c && !config_resolve(c, &error));
    CHECK_TRUE(strncmp(error.text, key, strlen(key)) == 0);
    config_free(c);
}

static void test_store(void) {
    struct config *c = load("store: { kind: redis, servers: [192.0.2.1, '[2001:db8::1]:7000'], sentinel: m,\n"
                            "  user: u, db: 3, timeout: 200ms, replicas: 2, replica_wait: 40ms, queue: 100 }\n");
    CHECK_TRUE(c && config_resolve(c, &error));
    const struct store_redis_config *r = &c->redis;
    CHECK_TRUE(r->topology == REDIS_SENTINEL && r->server_count == 2 && r->servers[0].port == 6379);
    CHECK_TRUE(r->servers[1].port == 7000 && r->servers[1].family == ADDR_V6);
    CHECK_TRUE(r->db == 3 && r->timeout_us == 200000 && r->replicas == 2 && r->replica_wait_ms == 40);
    CHECK_TRUE(strcmp(r->prefix, "referee:") == 0 && strcmp(r->user, "u") == 0 && r->queue == 100);
    config_free(c);
    check_store_complaint("store: { kind: redis, sentinel: m, cluster: true }\n", "store.sentinel:");
    check_store_complaint("store: { kind: redis, cluster: true, db: 1 }\n", "store.db:");
    check_store_complaint("store: { kind: redis, prefix: 'a{b' }\n", "store.prefix:");
    check_store_complaint("store: { kind: redis, timeout: 30ms }\n", "store.replica_wait:");
    check_store_complaint("store: { kind: redis, password_file: /nowhere }\n", "store.password_file:");
    check_store_complaint("store: { kind: redis, servers: [] }\n", "store.servers:");
}

static void test_sample_documents_every_key(void) {
    static char text[65536];
    FILE *f = fopen("deploy/refereed.yaml", "r");
    CHECK_TRUE(f != NULL);
    if (!f)
        return;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    for (uint32_t i = 0; i < config_key_count; i++) {
        if (!documented(text, &config_keys[i]))
            printf("\ndeploy/refereed.yaml does not document %s\n", config_keys[i].path);
        CHECK_TRUE(documented(text, &config_keys[i]));
    }
    struct config *c = config_load("deploy/refereed.yaml", &error);
    CHECK_TRUE(c != NULL);
    CHECK_EQ(c ? c->users.count : 0, 3);
    config_free(c);
}

static void test_printed_defaults_load(void) {
    FILE *f = fopen(file, "w");
    CHECK_TRUE(f != NULL);
    if (!f)
        return;
    config_print(f);
    fclose(f);
    struct config *c = config_load(file, &error);
    if (!c)
        printf("\n%s\n", error.text);
    CHECK_TRUE(c != NULL);
    CHECK_EQ(c ? c->echo.count : 0, 2);
    CHECK_EQ(c ? c->engine.t2_us : 0, 4000000);
    config_free(c);
}

int main(void) {
    int fd = mkstemp(file);
    if (fd < 0)
        return 2;
    close(fd);
    int failed = UNIT_RUN("config", UNIT(test_defaults_run), UNIT(test_defaults_agree_with_the_engine),
                          UNIT(test_values), UNIT(test_transfer_rules), UNIT(test_media_addresses),
                          UNIT(test_complaints),
                          UNIT(test_resolve_complaints), UNIT(test_shards), UNIT(test_store),
                          UNIT(test_sample_documents_every_key), UNIT(test_printed_defaults_load));
    unlink(file);
    return failed;
}
