/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_frame.h"
#include "parser/sip_scan.h"

/* CRLFs in front; 0: a message begins. */
static int32_t keep_alive(struct slice bytes, enum sip_frame_kind *kind) {
    static const char ping[] = "\r\n\r\n";
    uint32_t same = 0;
    while (same < 4 && same < bytes.n && bytes.p[same] == ping[same])
        same++;
    if (same == 0)
        return 0;
    if (same == 4) {
        *kind = SIP_FRAME_PING;
        return 4;
    }
    if (same == bytes.n)
        return SIP_PARTIAL;
    if (same < 2)
        return SIP_BAD;
    *kind = SIP_FRAME_PONG;
    return 2;
}

/* Bytes with the empty line, 0: not there yet. */
static uint32_t head_length(struct slice bytes) {
    struct slice rest = bytes;
    while (rest.n >= 4) {
        const char *cr = memchr(rest.p, '\r', rest.n - 3);
        if (!cr)
            return 0;
        scan_skip(&rest, (uint32_t)(cr - rest.p));
        if (memcmp(rest.p, "\r\n\r\n", 4) == 0)
            return bytes.n - rest.n + 4;
        scan_skip(&rest, 1);
    }
    return 0;
}

/* Content-Length; -1: none, bad, or several that differ. */
static int64_t body_length(struct slice head) {
    int64_t length = -1;
    struct slice name, value;
    int32_t lf = slice_find(head, '\n');
    scan_skip(&head, (uint32_t)(lf + 1));
    for (;;) {
        enum sip_line line = sip_line_next(&head, &name, &value);
        uint64_t v;
        if (line == SIP_LINE_END)
            return length;
        if (line == SIP_LINE_BARE || line == SIP_LINE_CUT)
            return -1;
        if (line == SIP_LINE_SKIP || sip_hdr_id_of(name) != SIP_H_CONTENT_LENGTH)
            continue;
        if (!scan_number(value, &v) || (length >= 0 && (uint64_t)length != v))
            return -1;
        length = (int64_t)v;
    }
}

int32_t sip_frame(struct slice bytes, uint32_t max, enum sip_frame_kind *kind) {
    if (!bytes.n)
        return SIP_PARTIAL;
    int32_t n = keep_alive(bytes, kind);
    if (n)
        return n;
    struct slice window = slice_of(bytes.p, bytes.n < max ? bytes.n : max);
    uint32_t head = head_length(window);
    if (!head)
        return bytes.n >= max ? SIP_BAD : SIP_PARTIAL;
    int64_t body = body_length(slice_of(bytes.p, head));
    if (body < 0 || head + body > max)
        return SIP_BAD;
    *kind = SIP_FRAME_MESSAGE;
    return head + body <= bytes.n ? (int32_t)(head + body) : SIP_PARTIAL;
}
