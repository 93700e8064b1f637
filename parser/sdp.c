/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp.h"

#include "parser/sdp_line.h"

int sdp_line_direction(struct slice line) {
    struct slice value;
    if (sdp_attribute(line, SL("sendrecv"), &value))
        return SDP_SENDRECV;
    if (sdp_attribute(line, SL("sendonly"), &value))
        return SDP_SENDONLY;
    if (sdp_attribute(line, SL("recvonly"), &value))
        return SDP_RECVONLY;
    return sdp_attribute(line, SL("inactive"), &value) ? SDP_INACTIVE : -1;
}

/* What a session or an m-line may both say. */
struct common {
    struct addr connection;
    bool has_connection;
    int direction;                /* -1: not said */
    bool ice, dtls;
};

/* "IN IP4 192.0.2.1", "IN IP4 224.2.1.1/127": ADDR_NONE for a host name (RFC 8866 section 5.7). */
static struct addr connection_of(struct slice value) {
    struct addr a = { 0 };
    struct slice word = SLICE_NONE;
    for (int i = 0; i < 3; i++)
        if (!sdp_next_word(&value, &word))
            return a;
    int32_t ttl = slice_find(word, '/');
    if (ttl >= 0)
        word.n = (uint32_t)ttl;
    if (!addr_parse_ip(word, &a))
        a = (struct addr){ 0 };
    return a;
}

static void read_common(struct common *c, struct slice line) {
    struct slice value;
    if (line.p[0] == 'c' && !c->has_connection) {
        c->connection = connection_of(sdp_skip(line, 2));
        c->has_connection = true;
    }
    if (line.p[0] != 'a')
        return;
    int direction = sdp_line_direction(line);
    if (direction >= 0 && c->direction < 0)
        c->direction = direction;
    c->ice |= sdp_attribute(line, SL("ice-ufrag"), &value) || sdp_attribute(line, SL("candidate"), &value);
    c->dtls |= sdp_attribute(line, SL("fingerprint"), &value);
}

static void read_origin(struct sdp *out, struct slice value) {
    struct slice username;
    out->origin = value;
    if (!sdp_next_word(&value, &username) || !sdp_next_word(&value, &out->session_id) ||
        !sdp_next_word(&value, &out->session_version))
        out->session_id = out->session_version = SLICE_NONE;
}

/* m=<media> <port>[/<count>] <proto> <fmt> ... (RFC 8866 section 5.14) */
static bool read_m_line(struct sdp_media *m, struct slice value) {
    struct slice port, format;
    uint64_t number;
    if (value.n == 0 || value.p[0] == ' ')
        return false;
    if (!sdp_next_word(&value, &m->kind) || !sdp_next_word(&value, &port) || !sdp_next_word(&value, &m->proto))
        return false;
    int32_t slash = slice_find(port, '/');
    if (slash >= 0)
        port.n = (uint32_t)slash;
    if (!slice_u64(port, 65535, &number))
        return false;
    m->port = (uint16_t)number;
    while (m->format_count < SDP_FORMATS_MAX && sdp_next_word(&value, &format))
        m->formats[m->format_count++] = format;
    return m->format_count > 0 || m->port == 0;
}

/* "53020" or "53020 IN IP4 192.0.2.1" (RFC 3605 section 2.1) */
static void read_rtcp(struct sdp_media *m, struct slice value) {
    struct slice word;
    uint64_t number;
    if (m->rtcp.port || !sdp_next_word(&value, &word) || !slice_u64(word, 65535, &number))
        return;
    m->rtcp = connection_of(value);
    m->rtcp.port = (uint16_t)number;
}

static void read_media_line(struct sdp_media *m, struct common *own, struct slice line) {
    struct slice value;
    read_common(own, line);
    if (line.p[0] != 'a')
        return;
    if (sdp_attribute(line, SL("rtcp"), &value))
        read_rtcp(m, value);
    m->rtcp_mux |= sdp_attribute(line, SL("rtcp-mux"), &value);
    m->crypto |= sdp_attribute(line, SL("crypto"), &value);
}

static void finish_media(struct sdp_media *m, const struct common *own, const struct common *session) {
    const struct common *connection = own->has_connection ? own : session;
    int direction = own->direction >= 0 ? own->direction : session->direction;
    m->connection = connection->connection;
    m->direction = direction >= 0 ? (enum sdp_direction)direction : SDP_SENDRECV;
    m->zero_hold = m->connection.family != ADDR_NONE && addr_is_any(&m->connection);
    m->ice = own->ice || session->ice;
    m->dtls = own->dtls || session->dtls;
}

/* The lines of one m-line, already cut out. */
static bool read_media(struct sdp_media *m, const struct common *session) {
    struct common own = { .direction = -1 };
    struct slice rest = m->lines, line;
    if (!sdp_next_line(&rest, &line) || !read_m_line(m, sdp_skip(line, 2)))
        return false;
    while (sdp_next_line(&rest, &line))
        read_media_line(m, &own, line);
    finish_media(m, &own, session);
    return true;
}

/* Cuts text into the session's part and one part an m-line; every line is checked to be x=... */
static bool cut(struct slice text, struct sdp *out) {
    struct slice rest = text, line;
    struct slice *part = &out->session;
    *part = slice_of(text.p, 0);
    while (sdp_next_line(&rest, &line)) {
        if (line.n < 2 || line.p[1] != '=')
            return false;
        if (line.p[0] == 'm') {
            if (out->media_count == SDP_MEDIA_MAX)
                return false;
            out->media[out->media_count] = (struct sdp_media){ .lines = slice_of(line.p, 0) };
            part = &out->media[out->media_count++].lines;
        }
        part->n = (uint32_t)(rest.p - part->p);
    }
    return true;
}

int32_t sdp_parse(struct slice text, struct sdp *out) {
    struct common session = { .direction = -1 };
    struct slice rest, line;
    /* An m-line is zeroed when it is met: eight of them are more than a description. */
    memset(out, 0, offsetof(struct sdp, media));
    out->text = text;
    if (text.n > INT32_MAX || !cut(text, out))
        return SDP_BAD;
    rest = out->session;
    if (!sdp_next_line(&rest, &line) || !slice_eq(line, SL("v=0")))
        return SDP_BAD;
    while (sdp_next_line(&rest, &line)) {
        if (line.p[0] == 'o' && !out->origin.p)
            read_origin(out, sdp_skip(line, 2));
        read_common(&session, line);
    }
    if (!out->origin.p)
        return SDP_BAD;
    for (uint32_t i = 0; i < out->media_count; i++)
        if (!read_media(&out->media[i], &session))
            return SDP_BAD;
    return (int32_t)text.n;
}

bool sdp_same_but_origin(struct slice a, struct slice b) {
    for (;;) {
        struct slice la, lb;
        bool more_a, more_b;
        do
            more_a = sdp_next_line(&a, &la);
        while (more_a && la.p[0] == 'o');
        do
            more_b = sdp_next_line(&b, &lb);
        while (more_b && lb.p[0] == 'o');
        if (more_a != more_b)
            return false;
        if (!more_a)
            return true;
        if (!slice_eq(la, lb))
            return false;
    }
}
