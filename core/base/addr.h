/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * addr: a transport address. Pure: text to bytes and back, no look-ups (RFC 3261 section 19.1.1, RFC 5118).
 */
#ifndef REFEREE_BASE_ADDR_H
#define REFEREE_BASE_ADDR_H

#include "core/base/sbuf.h"

enum addr_family { ADDR_NONE, ADDR_V4, ADDR_V6 };

struct addr {
    uint8_t ip[16];               /* network order; IPv4 in the first 4, the rest zero */
    uint16_t port;                /* host order */
    uint8_t family;               /* enum addr_family */
    uint8_t transport;            /* enum sip_transport of parser/sip_msg.h; 0: UDP */
    uint32_t scope;               /* of a link-local IPv6 address */
};

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; port and transport untouched, scope 0. False: not an address, *out
 * untouched. Strict but for RFC 5118 section 4.10; no leading zeros in IPv4, no zone ids. */
bool addr_parse_ip(struct slice s, struct addr *out);
/* "192.0.2.1:5060", "[2001:db8::1]:5060", or without a port: default_port. What has two colons and no
 * brackets is IPv6 without a port. Otherwise as addr_parse_ip. */
bool addr_parse(struct slice s, uint16_t default_port, struct addr *out);
/* Without brackets; "0.0.0.0" for ADDR_NONE. */
void addr_put_ip(struct sbuf *b, const struct addr *a);
/* IPv6 in brackets: as a SIP host. */
void addr_put_host(struct sbuf *b, const struct addr *a);
/* host:port */
void addr_put(struct sbuf *b, const struct addr *a);
/* Family and bytes; scopes are not compared. */
bool addr_eq_ip(const struct addr *a, const struct addr *b);
/* IP, port and transport. */
bool addr_eq(const struct addr *a, const struct addr *b);
/* 0.0.0.0 or :: or ADDR_NONE */
bool addr_is_any(const struct addr *a);
/* First `bits` of the addresses are equal (same family). */
bool addr_in_net(const struct addr *a, const struct addr *net, unsigned bits);

#endif
