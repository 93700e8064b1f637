/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* SRTP in descriptions: what a phone writes, and whether the relay has the keys that both have agreed to. */
#include "parser/sdp.h"
#include "parser/sdp_crypto.h"
#include "tests/ladder/ladder.h"

bool srtp_is_spec(const char *list) {
    return strncmp(list, "srtp", 4) == 0 || strncmp(list, "osrtp", 5) == 0;
}

/* What stands behind a '/' in front of the first comma. */
static bool has_flag(const char *list, const char *flag) {
    size_t n = strlen(flag);
    for (const char *at = list; *at && *at != ','; at++)
        if (*at == '/' && strncmp(at + 1, flag, n) == 0 && (at[n + 1] == '/' || at[n + 1] == ',' || !at[n + 1]))
            return true;
    return false;
}

const char *srtp_profile(const char *list) {
    if (list[0] == 'o')
        return "RTP/AVP";
    return has_flag(list, "f") ? "RTP/SAVPF" : "RTP/SAVP";
}

static enum srtp_suite wanted_suite(const char *list) {
    return has_flag(list, "32")    ? SRTP_AES_CM_128_HMAC_SHA1_32
           : has_flag(list, "gcm") ? SRTP_AEAD_AES_128_GCM
           : has_flag(list, "256") ? SRTP_AES_256_CM_HMAC_SHA1_80
                                   : SRTP_NONE;
}

/* Of a dialog's own for each line of it. */
static void make_key(const struct dialog_side *d, bool other, unsigned line, struct sdp_crypto *c) {
    unsigned seed = 17 * line + (other ? 101 : 0);
    for (const char *p = d->phone->name; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    for (const char *p = d->name; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    for (unsigned i = 0; i < srtp_key_bytes(c->suite); i++)
        c->key[i] = (uint8_t)(seed + i * 13);
}

/* One of what the phone was told of last: the wanted suite, else the first. False: there is none. */
static bool choose(const struct dialog_side *d, unsigned line, enum srtp_suite want, struct sdp_crypto *out) {
    struct sdp s;
    if (sdp_parse(slice_str(d->theirs.text), &s) < 0 || line >= s.media_count)
        return false;
    struct slice rest = s.media[line].lines;
    while (sdp_crypto_next(&rest, out))
        if (want == SRTP_NONE || out->suite == want)
            return true;
    return false;
}

void srtp_put(const struct dialog_side *d, const char *list, unsigned line, struct sbuf *out) {
    enum srtp_suite want = wanted_suite(list);
    struct sdp_crypto c, theirs;
    c = (struct sdp_crypto){ .tag = 1, .suite = want ? want : SRTP_AES_CM_128_HMAC_SHA1_80 };
    if (choose(d, line, want, &theirs))
        c = (struct sdp_crypto){ .tag = theirs.tag, .suite = theirs.suite };
    if (has_flag(list, "none"))
        return;
    if (has_flag(list, "bad"))
        put(out, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:tooshort\r\n");
    if (has_flag(list, "f8"))
        put(out, "a=crypto:3 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n");
    if (has_flag(list, "bad") || has_flag(list, "only"))
        return;
    if (has_flag(list, "tag"))
        c.tag += 40;
    make_key(d, has_flag(list, "new"), line, &c);
    sdp_crypto_put(out, &c);
    if (!has_flag(list, "mki"))
        return;
    out->n -= 2;
    put(out, "|2^31|1:4\r\n");
}

void srtp_tell(const struct sdp_media *m, struct sbuf *out) {
    bool secure = slice_ieq(m->proto, SL("RTP/SAVP")) || slice_ieq(m->proto, SL("RTP/SAVPF"));
    if (!secure && !m->crypto)
        return;
    put(out, "%s%s,", secure ? "srtp" : "osrtp", m->port && !m->crypto ? "/none" : "");
}

/* ---- the relay's side */

void srtp_note(struct world *w, const struct media_cmd *cmd) {
    if (cmd->stream >= w->relay.count)
        return;
    if (cmd->verb == MEDIA_OPEN || cmd->verb == MEDIA_CLOSE)
        w->keys[cmd->stream] = (struct srtp_keys){ 0 };
    if (cmd->verb == MEDIA_SRTP)
        w->keys[cmd->stream] = cmd->keys;
}

/* What a line of both descriptions comes to, seen from the phone. */
static struct srtp_keys agreed(const struct dialog_side *d, unsigned line) {
    char own[SDP_TEXT_MAX + 64];
    struct sbuf b = sbuf_on(own, sizeof own);
    struct sdp ours, theirs;
    struct sdp_crypto mine, yours;
    struct srtp_keys k = { 0 };
    put(&b, "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n%s", d->own.text);
    if (sdp_parse(sbuf_slice(&b), &ours) < 0 || sdp_parse(slice_str(d->theirs.text), &theirs) < 0 ||
        line >= ours.media_count || line >= theirs.media_count)
        return k;
    for (struct slice mine_rest = ours.media[line].lines; sdp_crypto_next(&mine_rest, &mine);)
        for (struct slice rest = theirs.media[line].lines; sdp_crypto_next(&rest, &yours);) {
            if (mine.tag != yours.tag || mine.suite != yours.suite)
                continue;
            k.suite = (uint8_t)mine.suite;
            k.mki_n = mine.mki_n;
            memcpy(k.in, mine.key, sizeof k.in);
            memcpy(k.out, yours.key, sizeof k.out);
            return k;
        }
    return k;
}

void srtp_check(struct world *w, const struct dialog_side *d, uint32_t stream, bool video) {
    struct srtp_keys want = agreed(d, video);
    const struct srtp_keys *got = &w->keys[stream];
    if (got->suite == SRTP_BROKEN)
        fail(w, "%s: nothing passes for want of a common key", d->phone->name);
    if (got->suite != want.suite)
        fail(w, "%s: the relay speaks %.*s, expected: %.*s", d->phone->name,
             SLICE_FMT(srtp_suite_name((enum srtp_suite)got->suite)),
             SLICE_FMT(srtp_suite_name((enum srtp_suite)want.suite)));
    if (w->relay.streams[stream].srtp != (want.suite != SRTP_NONE))
        fail(w, "%s: the kernel would be given SRTP", d->phone->name);
    if (want.suite && (memcmp(got->in, want.in, sizeof want.in) != 0 || got->mki_n != want.mki_n))
        fail(w, "%s: the relay would not understand it", d->phone->name);
    if (want.suite && memcmp(got->out, want.out, sizeof want.out) != 0)
        fail(w, "%s would not understand what the relay sends", d->phone->name);
}

bool srtp_mode_named(const char *name, enum srtp_mode *out) {
    static const char *const names[] = { [SRTP_MODE_OFF] = "off", [SRTP_MODE_ACCEPT] = "accept",
                                         [SRTP_MODE_OFFER] = "offer", [SRTP_MODE_REQUIRE] = "require" };
    for (unsigned i = SRTP_MODE_OFF; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum srtp_mode)i;
            return true;
        }
    return false;
}
