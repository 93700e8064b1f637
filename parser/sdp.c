/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sdp.h"

#include "parser/sdp_line.h"

/* The first two letters of an attribute's name, folded: most lines are none that we read, and who takes one for its
 * letters looks at all of the name. */
#define ATTRIBUTE(a, b) ((unsigned)(a) | (unsigned)(b) << 8)
static unsigned attribute_of(struct slice line) {
    return line.n < 4 || line.p[0] != 'a' ? 0 : ATTRIBUTE((uint8_t)line.p[2], (uint8_t)line.p[3]) | 0x2020;
}

int sdp_line_direction(struct slice line) {
    struct slice value;
    switch (attribute_of(line)) {
    case ATTRIBUTE('s', 'e'):
        if (sdp_attribute(line, SL("sendrecv"), &value))
            return SDP_SENDRECV;
        return sdp_attribute(line, SL("sendonly"), &value) ? SDP_SENDONLY : -1;
    case ATTRIBUTE('r', 'e'): return sdp_attribute(line, SL("recvonly"), &value) ? SDP_RECVONLY : -1;
    case ATTRIBUTE('i', 'n'): return sdp_attribute(line, SL("inactive"), &value) ? SDP_INACTIVE : -1;
    default: return -1;
    }
}

/* What a session or an m-line may both say. */
struct common {
    struct addr connection;
    bool has_connection;
    int direction; /* -1: not said */
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

static void read_connection(struct common *c, struct slice line) {
    if (c->has_connection)
        return;
    c->connection = connection_of(sdp_skip(line, 2));
    c->has_connection = true;
}

static void read_direction(struct common *c, struct slice line) {
    int direction = sdp_line_direction(line);
    if (direction >= 0 && c->direction < 0)
        c->direction = direction;
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

/* Of an m-line, or of the session, where m is NULL. */
static void read_attribute(struct common *c, struct sdp_media *m, struct slice line) {
    struct slice value;
    unsigned name = attribute_of(line);
    if (name == ATTRIBUTE('r', 't') && line.n >= 6 && (line.p[4] | 0x20) != 'c')
        return; /* rtpmap: most of them */
    switch (name) {
    case ATTRIBUTE('s', 'e'):
    case ATTRIBUTE('r', 'e'):
    case ATTRIBUTE('i', 'n'): read_direction(c, line); return;
    case ATTRIBUTE('i', 'c'): c->ice |= sdp_attribute(line, SL("ice-ufrag"), &value); return;
    case ATTRIBUTE('c', 'a'): c->ice |= sdp_attribute(line, SL("candidate"), &value); return;
    case ATTRIBUTE('f', 'i'): c->dtls |= sdp_attribute(line, SL("fingerprint"), &value); return;
    case ATTRIBUTE('c', 'r'):
        if (m)
            m->crypto |= sdp_attribute(line, SL("crypto"), &value);
        return;
    case ATTRIBUTE('r', 't'):
        if (!m)
            return;
        if (sdp_attribute(line, SL("rtcp"), &value))
            read_rtcp(m, value);
        m->rtcp_mux |= sdp_attribute(line, SL("rtcp-mux"), &value);
        return;
    default: return;
    }
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

/* What the walk over the lines stands at. */
struct reading {
    struct sdp *out;
    struct sdp_media *m;        /* NULL: before the first m-line */
    struct common session, own; /* own: of m */
    struct common *now;         /* of the two */
};

/* The session or the m-line ends before `at`. */
static void close_part(struct reading *r, const char *at) {
    struct slice *part = r->m ? &r->m->lines : &r->out->session;
    part->n = (uint32_t)(at - part->p);
    if (r->m)
        finish_media(r->m, &r->own, &r->session);
}

static bool open_media(struct reading *r, struct slice line) {
    struct sdp *out = r->out;
    close_part(r, line.p);
    if (out->media_count == SDP_MEDIA_MAX)
        return false;
    r->m = &out->media[out->media_count++];
    /* Not the formats: they are most of it, and those that there are get written. */
    memset(r->m, 0, offsetof(struct sdp_media, formats));
    memset(&r->m->connection, 0, sizeof *r->m - offsetof(struct sdp_media, connection));
    r->m->lines = slice_of(line.p, 0);
    r->own = (struct common){ .direction = -1 };
    r->now = &r->own;
    return read_m_line(r->m, sdp_skip(line, 2));
}

static bool read_line(struct reading *r, struct slice line) {
    if (line.n < 2 || line.p[1] != '=')
        return false;
    if (line.p[0] == 'a')
        read_attribute(r->now, r->m, line);
    else if (line.p[0] == 'm')
        return open_media(r, line);
    else if (line.p[0] == 'c')
        read_connection(r->now, line);
    else if (line.p[0] == 'o' && !r->m && !r->out->origin.p)
        read_origin(r->out, sdp_skip(line, 2));
    return true;
}

int32_t sdp_parse(struct slice text, struct sdp *out) {
    struct reading r = { .out = out, .session = { .direction = -1 }, .now = &r.session };
    struct slice rest = text, line;
    /* An m-line is zeroed when it is met: eight of them are more than a description. */
    memset(out, 0, offsetof(struct sdp, media));
    out->text = text;
    out->session = slice_of(text.p, 0);
    if (text.n > INT32_MAX || !sdp_next_line(&rest, &line) || !slice_eq(line, SL("v=0")))
        return SDP_BAD;
    while (sdp_next_line(&rest, &line))
        if (!read_line(&r, line))
            return SDP_BAD;
    if (!out->origin.p)
        return SDP_BAD;
    close_part(&r, text.p + text.n);
    return (int32_t)text.n;
}

bool sdp_has_fingerprint(struct slice text) {
    struct slice line, value;
    while (sdp_next_line(&text, &line))
        if (attribute_of(line) == ATTRIBUTE('f', 'i') && sdp_attribute(line, SL("fingerprint"), &value) &&
            value.p[-1] == ':')
            return true;
    return false;
}

/* Lines that both begin with are taken off both. */
static void skip_same_lines(struct slice *a, struct slice *b) {
    uint32_t n = slice_alike(a->p, b->p, a->n < b->n ? a->n : b->n);
    if (n == a->n && n == b->n) {
        a->n = b->n = 0;
        return;
    }
    while (n && a->p[n - 1] != '\n')
        n--;
    *a = sdp_skip(*a, n);
    *b = sdp_skip(*b, n);
}

static bool next_but_origin(struct slice *rest, struct slice *line) {
    while (sdp_next_line(rest, line))
        if (line->p[0] != 'o')
            return true;
    return false;
}

bool sdp_same_but_origin(struct slice a, struct slice b) {
    for (;;) {
        struct slice la = SLICE_NONE, lb = SLICE_NONE;
        skip_same_lines(&a, &b);
        bool more_a = next_but_origin(&a, &la), more_b = next_but_origin(&b, &lb);
        if (more_a != more_b)
            return false;
        if (!more_a)
            return true;
        if (!slice_eq(la, lb))
            return false;
    }
}
