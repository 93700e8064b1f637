/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp.h"

#include "parser/sdp_line.h"

static void put_line(struct sbuf *out, struct slice line) {
    sbuf_put(out, line);
    sbuf_lit(out, "\r\n");
}

/* "IN IP4 192.0.2.1" */
static void put_net_address(struct sbuf *out, const struct addr *a) {
    if (a->family == ADDR_V6)
        sbuf_lit(out, "IN IP6 ");
    else
        sbuf_lit(out, "IN IP4 ");
    addr_put_ip(out, a);
}

static void put_connection(struct sbuf *out, const struct addr *a) {
    sbuf_lit(out, "c=");
    put_net_address(out, a);
    sbuf_lit(out, "\r\n");
}

static void put_origin(struct sbuf *out, const struct sdp_patch *patch) {
    sbuf_lit(out, "o=");
    sbuf_put(out, patch->username.n ? patch->username : SL("-"));
    sbuf_char(out, ' ');
    sbuf_u64(out, patch->session_id);
    sbuf_char(out, ' ');
    sbuf_u64(out, patch->version);
    sbuf_char(out, ' ');
    if (patch->origin_at.n)
        sbuf_put(out, patch->origin_at);
    else
        put_net_address(out, &patch->address);
    sbuf_lit(out, "\r\n");
}

struct slice sdp_origin_at(struct slice text) {
    struct slice at = SLICE_NONE;
    while (sdp_next_line(&text, &at) && at.p[0] != 'o')
        at = SLICE_NONE;
    for (unsigned i = 0; i < 3; i++) {
        int32_t blank = slice_find(at, ' ');
        if (blank < 0)
            return SLICE_NONE;
        at = sdp_skip(at, (uint32_t)blank + 1);
    }
    return at;
}

static void put_direction(struct sbuf *out, int direction) {
    static const char names[][9] = { "inactive", "sendonly", "recvonly", "sendrecv" };
    sbuf_lit(out, "a=");
    sbuf_put(out, slice_str(names[direction & SDP_SENDRECV]));
    sbuf_lit(out, "\r\n");
}

static bool is_ice(struct slice line) {
    struct slice value;
    if (line.n < 6 || line.p[0] != 'a')
        return false;
    switch (line.p[2] | 0x20) {
    case 'i': return slice_ieq(slice_of(line.p + 2, 4), SL("ice-"));
    case 'c': return sdp_attribute(line, SL("candidate"), &value);
    case 'e': return sdp_attribute(line, SL("end-of-candidates"), &value);
    case 'r': return sdp_attribute(line, SL("remote-candidates"), &value);
    default: return false;
    }
}

/* What the direction of each m-line is to become; -1: as it is written. */
struct directions {
    int media[SDP_MEDIA_MAX];
    bool any;                     /* the session's own is removed then */
};

static struct directions directions_of(const struct sdp *in, const struct sdp_patch *patch) {
    struct directions d = { .any = false };
    for (uint32_t i = 0; i < in->media_count; i++) {
        d.media[i] = patch->media[i].direction;
        if (d.media[i] < 0 && in->media[i].zero_hold && !patch->pass && !addr_is_any(&patch->address))
            d.media[i] = in->media[i].direction & SDP_SENDONLY;
        d.any |= d.media[i] >= 0;
    }
    for (uint32_t i = 0; d.any && i < in->media_count; i++)
        if (d.media[i] < 0)
            d.media[i] = (int)in->media[i].direction;
    return d;
}

/* True if the session's part has a c= line. */
static bool rewrite_session(struct sbuf *out, const struct sdp *in, const struct sdp_patch *patch,
                            bool drop_direction) {
    struct slice rest = in->session, line;
    bool origin = false, connection = false;
    while (sdp_next_line(&rest, &line)) {
        if (line.p[0] == 'o') {
            if (!origin)
                put_origin(out, patch);
            origin = true;
        } else if (line.p[0] == 'c' && !patch->pass) {
            if (!connection)
                put_connection(out, &patch->address);
            connection = true;
        } else if (!(drop_direction && sdp_line_direction(line) >= 0) && !(patch->strip_ice && is_ice(line))) {
            put_line(out, line);
        }
    }
    return connection;
}

/* A payload type by its new number; other words as they are. */
static void put_format(struct sbuf *out, struct slice word, const struct sdp_renumber *types) {
    uint64_t number;
    for (uint32_t i = 0; types && slice_u64(word, 127, &number) && i < types->count; i++) {
        if (types->pair[i].from == number) {
            sbuf_u64(out, types->pair[i].to);
            return;
        }
    }
    sbuf_put(out, word);
}


static bool is_dropped(const struct sdp_media *m, uint32_t drop, struct slice format) {
    for (uint32_t i = 0; drop && i < m->format_count; i++)
        if (slice_eq(m->formats[i], format))
            return drop >> i & 1;
    return drop != 0;
}

/* "apt=96" in the parameters of a format names another (RFC 4588 section 8.1). */
static void put_parameters(struct sbuf *out, struct slice text, const struct sdp_renumber *types) {
    for (uint32_t i = 0; i + 4 <= text.n; i++) {
        if (!slice_ieq(slice_of(text.p + i, 4), SL("apt=")))
            continue;
        uint32_t end = i + 4;
        while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
            end++;
        sbuf_put(out, slice_of(text.p, i + 4));
        put_format(out, slice_of(text.p + i + 4, end - i - 4), types);
        text = sdp_skip(text, end);
        break;
    }
    put_line(out, text);
}

/* True if it was an attribute of one format, which is written with its new number. */
static bool put_format_attribute(struct sbuf *out, struct slice line, const struct sdp_renumber *types) {
    struct slice value, word;
    bool fmtp = sdp_attribute(line, SL("fmtp"), &value);
    if (!fmtp && !sdp_attribute(line, SL("rtpmap"), &value) && !sdp_attribute(line, SL("rtcp-fb"), &value))
        return false;
    sbuf_put(out, slice_of(line.p, (size_t)(value.p - line.p)));
    sdp_next_word(&value, &word);
    put_format(out, word, types);
    if (fmtp)
        put_parameters(out, value, types);
    else
        put_line(out, value);
    return true;
}

static void put_rtcp(struct sbuf *out, uint16_t port, const struct addr *address) {
    sbuf_lit(out, "a=rtcp:");
    sbuf_u64(out, port);
    if (address) {
        sbuf_char(out, ' ');
        put_net_address(out, address);
    }
    sbuf_lit(out, "\r\n");
}

/* One m-line while it is written. */
struct rewriting {
    struct sbuf *out;
    const struct sdp_media *in;
    const struct sdp_patch *patch;
    const struct sdp_renumber *types;
    struct slice proto, crypto;
    uint32_t drop;
    uint16_t port, rtcp_port;
    int direction;
    bool connection;              /* a c= line stands for it already */
    bool own_connection;
    bool rtcp, directed;          /* the attribute was written */
};

/* The m= line with another port; "/count" goes, the rest stays as it was but for its formats. */
static void rewrite_m_line(struct rewriting *w, struct slice line) {
    struct slice rest = line, word;
    sdp_next_word(&rest, &word);
    sbuf_put(w->out, slice_of(line.p, (size_t)(rest.p - line.p)));
    sbuf_char(w->out, ' ');
    sbuf_u64(w->out, w->port);
    sdp_next_word(&rest, &word);
    if (w->proto.p) {
        sdp_next_word(&rest, &word);
        sbuf_char(w->out, ' ');
        sbuf_put(w->out, w->proto);
    }
    if (!w->types && !w->drop) {
        put_line(w->out, rest);
        return;
    }
    for (bool format = w->proto.p != NULL; sdp_next_word(&rest, &word); format = true) {
        if (format && is_dropped(w->in, w->drop, word))
            continue;
        sbuf_char(w->out, ' ');
        put_format(w->out, word, format ? w->types : NULL);
    }
    sbuf_lit(w->out, "\r\n");
}

/* rtpmap, fmtp or rtcp-fb of a format that is dropped. */
static bool is_of_dropped(const struct rewriting *w, struct slice line) {
    struct slice value, format;
    bool of_format = sdp_attribute(line, SL("rtpmap"), &value) || sdp_attribute(line, SL("fmtp"), &value) ||
                     sdp_attribute(line, SL("rtcp-fb"), &value);
    return of_format && sdp_next_word(&value, &format) && !slice_eq(format, SL("*")) &&
           is_dropped(w->in, w->drop, format);
}

static void rewrite_rtcp(struct rewriting *w) {
    if (w->rtcp_port && !w->rtcp)
        put_rtcp(w->out, w->rtcp_port, w->in->rtcp.family != ADDR_NONE ? &w->patch->address : NULL);
    w->rtcp = true;
}

static void rewrite_direction(struct rewriting *w) {
    if (!w->directed)
        put_direction(w->out, w->direction);
    w->directed = true;
}

static void rewrite_media_line(struct rewriting *w, struct slice line) {
    struct slice value;
    /* c= stands after m= and i= (RFC 8866 section 9). */
    if (!w->connection && line.p[0] != 'i') {
        put_connection(w->out, &w->patch->address);
        w->connection = w->own_connection = true;
    }
    if (w->patch->pass && (line.p[0] == 'c' || sdp_attribute(line, SL("rtcp"), &value))) {
        put_line(w->out, line);
    } else if (line.p[0] == 'c') {
        if (!w->own_connection)
            put_connection(w->out, &w->patch->address);
        w->own_connection = true;
    } else if (sdp_attribute(line, SL("rtcp"), &value)) {
        rewrite_rtcp(w);
    } else if (w->direction >= 0 && sdp_line_direction(line) >= 0) {
        rewrite_direction(w);
    } else if (w->drop && is_of_dropped(w, line)) {
        return;
    } else if (w->types && put_format_attribute(w->out, line, w->types)) {
        return;
    } else if (!(w->patch->strip_ice && is_ice(line)) &&
               !(w->patch->strip_crypto && sdp_attribute(line, SL("crypto"), &value))) {
        put_line(w->out, line);
    }
}

static void rewrite_media(struct rewriting *w) {
    struct slice rest = w->in->lines, line;
    if (!sdp_next_line(&rest, &line))
        return;
    rewrite_m_line(w, line);
    while (sdp_next_line(&rest, &line))
        rewrite_media_line(w, line);
    if (!w->connection)
        put_connection(w->out, &w->patch->address);
    if (w->port && w->rtcp_port && w->rtcp_port != (uint32_t)w->port + 1 && !w->rtcp)
        put_rtcp(w->out, w->rtcp_port, NULL);
    if (w->direction >= 0)
        rewrite_direction(w);
    if (w->port)
        sbuf_put(w->out, w->crypto);
}

void sdp_rewrite(struct sbuf *out, const struct sdp *in, const struct sdp_patch *patch) {
    struct directions directions = directions_of(in, patch);
    bool connection = rewrite_session(out, in, patch, directions.any);
    for (uint32_t i = 0; i < in->media_count; i++) {
        struct rewriting w = {
            .out = out,
            .in = &in->media[i],
            .patch = patch,
            .types = patch->media[i].types,
            .proto = patch->media[i].proto,
            .crypto = patch->media[i].crypto,
            .drop = patch->media[i].drop,
            .port = in->media[i].format_count ? patch->media[i].port : 0,
            .rtcp_port = patch->media[i].rtcp_port,
            .direction = directions.media[i],
            .connection = connection || patch->pass,
        };
        rewrite_media(&w);
    }
}
