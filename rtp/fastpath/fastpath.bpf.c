/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * The relay in the kernel, at a tc ingress hook and as XDP from the same lines. What is plainly RTP from the known
 * source of a stream is patched and sent on; all else passes to the socket, so to rtp/relay.h. "Plainly": IPv4
 * without options or IPv6 without extension headers, no fragment, UDP, both parties of one address family. On a VLAN
 * the program sits on the VLAN's own interface; a tagged frame is no packet of the interface below it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "rtp/fastpath_step.h"

#define LOCK_TRIES 64
#define TICK_TRIES 8
#define FAMILY_V4 2   /* AF_INET, AF_INET6 */
#define FAMILY_V6 10
#define TTL 64

char license_name[] SEC("license") = "Dual MIT/GPL";

/* Sized by the loader. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct fast_in);
} streams_in SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct fast_out);
} streams_out SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct fast_config);
} settings SEC(".maps");

/* A packet: where its headers are, who sent it, and what becomes of it. */
struct passage {
    struct fast_packet k;
    struct fast_addr src, dst;
    struct fast_out *out;
    __u32 udp_at, ip_len;          /* offset in the frame; bytes of the IP header */
    bool needs_mac;
};

/* An RTP header by words: in a frame it is aligned as the IP header's addresses are. */
struct rtp_words {
    __u32 word[RTP_HEADER_MIN / 4];
};

static __always_inline void copy_header(void *to, const void *from) {
    *(struct rtp_words *)to = *(const struct rtp_words *)from;
}

/* ---- taking it apart */

static __always_inline bool parse_v4(struct passage *p, void *data, void *end) {
    struct iphdr *ip = data + sizeof(struct ethhdr);
    if ((void *)(ip + 1) > end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
        (ip->frag_off & bpf_htons(0x3fff)) || ip->ttl <= 1)
        return false;
    p->src.ip[0] = ip->saddr;
    p->dst.ip[0] = ip->daddr;
    p->src.family = p->dst.family = FAST_V4;
    p->ip_len = sizeof *ip;
    return bpf_ntohs(ip->tot_len) >= sizeof *ip + sizeof(struct udphdr);
}

static __always_inline bool parse_v6(struct passage *p, void *data, void *end) {
    struct ipv6hdr *ip = data + sizeof(struct ethhdr);
    if ((void *)(ip + 1) > end || ip->nexthdr != IPPROTO_UDP || ip->hop_limit <= 1)
        return false;
    __builtin_memcpy(p->src.ip, &ip->saddr, 16);
    __builtin_memcpy(p->dst.ip, &ip->daddr, 16);
    p->src.family = p->dst.family = FAST_V6;
    p->ip_len = sizeof *ip;
    return true;
}

static __always_inline bool parse(struct passage *p, void *data, void *end) {
    struct ethhdr *eth = data;
    if ((void *)(eth + 1) > end)
        return false;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        if (!parse_v4(p, data, end))
            return false;
    } else if (eth->h_proto != bpf_htons(ETH_P_IPV6) || !parse_v6(p, data, end)) {
        return false;
    }
    p->udp_at = sizeof *eth + p->ip_len;
    struct udphdr *udp = data + (p->ip_len == sizeof(struct iphdr) ? sizeof *eth + sizeof(struct iphdr)
                                                                   : sizeof *eth + sizeof(struct ipv6hdr));
    if ((void *)(udp + 1) + RTP_HEADER_MIN > end)
        return false;
    p->src.port = bpf_ntohs(udp->source);
    p->dst.port = bpf_ntohs(udp->dest);
    __u32 n = bpf_ntohs(udp->len);
    if (n < sizeof *udp + RTP_HEADER_MIN || (void *)udp + n > end)
        return false;
    p->k.octets = n - sizeof *udp;
    copy_header(p->k.header, udp + 1);
    return true;
}

/* With an RTP header extension (X) the payload begins later: its length is in the packet. */
static __always_inline bool measure(struct passage *p, void *data, void *end) {
    __u32 header = p->k.rtp.header_len;
    if (p->k.header[0] & 0x10) {
        __u8 *at = data + (p->ip_len == sizeof(struct iphdr) ? 14 + 20 + 8 : 14 + 40 + 8) + (header & 0x7f);
        if ((void *)at + 4 > end)
            return false;
        header += 4 + 4 * ((__u32)at[2] << 8 | at[3]);
    }
    if (header > p->k.octets)
        return false;
    p->k.rtp.header_len = header;
    p->k.rtp.payload_len = p->k.octets - header;
    return true;
}

/* ---- whose it is */

/* The slot of one of our RTP ports. */
static __always_inline bool find_slot(const struct fast_config *c, struct passage *p) {
    __u16 offset = p->dst.port - c->first_port;
    if (p->dst.port < c->first_port || (offset & 1) || offset / 2 >= c->pairs)
        return false;
#pragma unroll
    for (int i = 0; i < FAST_LOCAL_MAX; i++) {
        if (i >= c->local_count)
            return false;
        if (c->local[i].ip[0] == p->dst.ip[0] && c->local[i].ip[1] == p->dst.ip[1] &&
            c->local[i].family == p->dst.family) {
            p->k.slot = c->local[i].base + offset / 2;
            return true;
        }
    }
    return false;
}

/* Without atomics of its own width the compiler would take a stronger one; on x86 a store is a release. */
static __always_inline void unlock(struct fast_out *out) {
#ifdef __TARGET_ARCH_x86
    asm volatile("" ::: "memory");
    *(volatile __u32 *)&out->lock = 0;
#else
    __sync_lock_test_and_set(&out->lock, 0);
#endif
}

static __always_inline bool try_lock(struct fast_out *out) {
    for (int i = 0; i < LOCK_TRIES; i++)
        if (__sync_lock_test_and_set(&out->lock, 1) == 0)
            return true;
    return false;
}

/* CLOCK_BOOTTIME at the kernel's last tick. The number of it the verifier makes a load in place; any clock is a call,
 * and what protects the kernel's returns makes that as dear as a quarter of all else. */
static __always_inline __u64 tick_us(const struct fast_config *c) {
    return fast_tick_us(c->tick, *(volatile __u64 *)&c->tick_at_us, c->tick_us_16, bpf_jiffies64());
}

/* The relay may have changed its mind between the look at `in` and the lock. */
static __always_inline enum fast_verdict step_locked(struct fast_in *in, struct passage *p) {
    struct fast_out *out = p->out;
    if (*(volatile __u32 *)&in->target != p->k.target || out->ifindex == 0 || out->dst.family != p->src.family ||
        out->src.family != p->src.family || (p->needs_mac && !out->mac_known))
        return FAST_UP;
    enum fast_verdict verdict = fast_step(in, out, &p->k);
    if (fast_wants_time(in, &p->k))
        fast_arrived(in, &p->k, bpf_ktime_get_boot_ns() / 1000);
    return verdict;
}

static __always_inline enum fast_verdict judge(struct passage *p, const struct fast_config *c, void *data, void *end) {
    struct fast_in *in = bpf_map_lookup_elem(&streams_in, &p->k.slot);
    if (!in)
        return FAST_UP;
    p->k.target = *(volatile __u32 *)&in->target;
    if (p->k.target == FAST_NOWHERE || !fast_addr_eq(&in->source, &p->src))
        return FAST_UP;
    p->k.now_us = tick_us(c);
    __u64 silent = p->k.now_us - *(volatile __u64 *)&c->beat_us;
    bool dead = (__s64)silent > FAST_DEAD_US;
    p->out = bpf_map_lookup_elem(&streams_out, &p->k.target);
    if (!p->out || (dead && silent > FAST_ORPHAN_US))
        return FAST_UP;
    enum fast_verdict verdict = FAST_UP;
    if (fast_parse(&p->k) && measure(p, data, end) && try_lock(p->out)) {
        verdict = step_locked(in, p);
        unlock(p->out);
    }
    return verdict == FAST_UP && dead ? FAST_DROP : verdict;
}

static __always_inline enum fast_verdict decide(struct passage *p, void *data, void *end) {
    __u32 zero = 0;
    const struct fast_config *c = bpf_map_lookup_elem(&settings, &zero);
    if (!c || !parse(p, data, end) || !find_slot(c, p))
        return FAST_UP;
    return judge(p, c, data, end);
}

/* ---- sending it on */

static __always_inline __u32 fold(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* What a change of these words adds to an Internet checksum (RFC 1624), unfolded. */
static __always_inline __u64 words_change(const __u32 *from, const __u32 *to, int n) {
    __u64 sum = 0;
    for (int i = 0; i < n; i++)
        sum += (__u64)to[i] + (__u32)~from[i];
    return sum;
}

static __always_inline __u64 addresses_change_of(const struct passage *p, int words) {
    return words_change((const __u32 *)p->src.ip, (const __u32 *)p->out->src.ip, words) +
           words_change((const __u32 *)p->dst.ip, (const __u32 *)p->out->dst.ip, words);
}

static __always_inline __u64 addresses_change(const struct passage *p) {
    return p->ip_len == sizeof(struct iphdr) ? addresses_change_of(p, 1) : addresses_change_of(p, 4);
}

static __always_inline __u64 ports_change(const struct passage *p) {
    __u32 from = (__u32)bpf_htons(p->src.port) | (__u32)bpf_htons(p->dst.port) << 16;
    __u32 to = (__u32)bpf_htons(p->out->src.port) | (__u32)bpf_htons(p->out->dst.port) << 16;
    return words_change(&from, &to, 1);
}

static __always_inline void write_v4(const struct passage *p, struct iphdr *ip) {
    __u16 *words = (void *)ip;
    __u64 sum = 0;
    ip->saddr = p->out->src.ip[0];
    ip->daddr = p->out->dst.ip[0];
    ip->ttl = TTL;
    ip->check = 0;
#pragma unroll
    for (int i = 0; i < 10; i++)
        sum += words[i];
    ip->check = ~fold(sum);
}

static __always_inline void write_v6(const struct passage *p, struct ipv6hdr *ip) {
    __builtin_memcpy(&ip->saddr, p->out->src.ip, 16);
    __builtin_memcpy(&ip->daddr, p->out->dst.ip, 16);
    ip->hop_limit = TTL;
}

static __always_inline void write_udp(const struct passage *p, struct udphdr *udp) {
    udp->source = bpf_htons(p->out->src.port);
    udp->dest = bpf_htons(p->out->dst.port);
    copy_header(udp + 1, p->k.header);
}

static __always_inline void write_macs(const struct passage *p, struct ethhdr *eth) {
    __builtin_memcpy(eth->h_dest, p->out->hop_mac, ETH_ALEN);
    __builtin_memcpy(eth->h_source, p->out->our_mac, ETH_ALEN);
}

/* NULL: the frame is not what it was. */
static __always_inline struct udphdr *write_ip(const struct passage *p, void *data, void *end) {
    if (p->ip_len == sizeof(struct iphdr)) {
        struct iphdr *ip = data + sizeof(struct ethhdr);
        if ((void *)(ip + 1) + sizeof(struct udphdr) + RTP_HEADER_MIN > end)
            return 0;
        write_v4(p, ip);
        return (void *)(ip + 1);
    }
    struct ipv6hdr *ip = data + sizeof(struct ethhdr);
    if ((void *)(ip + 1) + sizeof(struct udphdr) + RTP_HEADER_MIN > end)
        return 0;
    write_v6(p, ip);
    return (void *)(ip + 1);
}

/* ---- tc */

/* The kernel knows whether the checksum is complete or left to the device. */
static __always_inline int fix_udp_checksum(struct __sk_buff *skb, const struct passage *p, const __u32 *before) {
    __u32 at = p->udp_at + __builtin_offsetof(struct udphdr, check);
    __u64 rest = ports_change(p) + words_change(before, (const __u32 *)p->k.header, RTP_HEADER_MIN / 4);
    int bad = bpf_l4_csum_replace(skb, at, 0, fold(addresses_change(p)), BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
    return bad ? bad : bpf_l4_csum_replace(skb, at, 0, fold(rest), BPF_F_MARK_MANGLED_0);
}

/* From the ingress of our device to that of the other end's, in the same turn: no neighbour is looked up, and nothing
 * waits for that end's next one. Who bridges there needs the MACs. */
static __always_inline int tc_straight(struct __sk_buff *skb, const struct passage *p) {
    struct ethhdr *eth = (void *)(long)skb->data;
    if ((void *)(eth + 1) > (void *)(long)skb->data_end)
        return TC_ACT_SHOT;
    write_macs(p, eth);
    return bpf_redirect_peer(p->out->ifindex, 0);
}

static __always_inline int tc_send(struct __sk_buff *skb, struct passage *p, const __u32 *before) {
    struct bpf_redir_neigh hop = {};
    if (fix_udp_checksum(skb, p, before))
        return TC_ACT_SHOT;
    struct udphdr *udp = write_ip(p, (void *)(long)skb->data, (void *)(long)skb->data_end);
    if (!udp)
        return TC_ACT_SHOT;
    write_udp(p, udp);
    if (p->out->straight)
        return tc_straight(skb, p);
    hop.nh_family = p->out->hop_family == FAST_V4 ? FAMILY_V4 : FAMILY_V6;
    __builtin_memcpy(hop.ipv6_nh, p->out->hop_ip, 16);
    return bpf_redirect_neigh(p->out->ifindex, &hop, sizeof hop, 0);
}

SEC("tc")
int referee_tc(struct __sk_buff *skb) {
    struct passage p = {};
    __u32 before[RTP_HEADER_MIN / 4];
    /* A tag lies beside the packet here, no more in it: for a VLAN's own interface it would be gone by now. */
    if (skb->pkt_type != 0 /* PACKET_HOST */ || skb->vlan_present)
        return TC_ACT_UNSPEC;
    enum fast_verdict verdict = decide(&p, (void *)(long)skb->data, (void *)(long)skb->data_end);
    if (verdict == FAST_UP)
        return TC_ACT_UNSPEC;
    if (verdict == FAST_DROP)
        return TC_ACT_SHOT;
    void *at = (void *)(long)skb->data + (p.ip_len == sizeof(struct iphdr) ? 14 + 20 + 8 : 14 + 40 + 8);
    if (at + RTP_HEADER_MIN > (void *)(long)skb->data_end)
        return TC_ACT_SHOT;
    copy_header(before, at);
    return tc_send(skb, &p, before);
}

/* ---- XDP */

static __always_inline int xdp_send(struct xdp_md *x, const struct passage *p) {
    void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
    struct ethhdr *eth = data;
    __u32 before[RTP_HEADER_MIN / 4];
    struct udphdr *udp = write_ip(p, data, end);
    if (!udp)
        return XDP_DROP;
    copy_header(before, udp + 1);
    __u64 sum = (__u16)~udp->check + addresses_change(p) + ports_change(p) +
                words_change(before, (const __u32 *)p->k.header, RTP_HEADER_MIN / 4);
    write_udp(p, udp);
    if (udp->check) {
        __u16 check = ~fold(sum);
        udp->check = check ? check : 0xffff;
    }
    write_macs(p, eth);
    return p->out->ifindex == x->ingress_ifindex ? XDP_TX : bpf_redirect(p->out->ifindex, 0);
}

/* A stream whose next hop XDP does not know is left to tc behind it, before anything is counted. */
SEC("xdp")
int referee_xdp(struct xdp_md *x) {
    struct passage p = { .needs_mac = true };
    void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
    switch (decide(&p, data, end)) {
    case FAST_SEND:
        return xdp_send(x, &p);
    case FAST_DROP:
        return XDP_DROP;
    default:
        return XDP_PASS;
    }
}

/* ---- asked by the daemon (BPF_PROG_TEST_RUN): which tick it is, and when that was */

SEC("tc")
int referee_tick(struct __sk_buff *skb) {
    __u32 zero = 0;
    struct fast_config *c = bpf_map_lookup_elem(&settings, &zero);
    (void)skb;
    for (int i = 0; c && i < TICK_TRIES; i++) {
        __u64 tick = bpf_jiffies64(), ns = bpf_ktime_get_coarse_ns();
        if (bpf_jiffies64() != tick)
            continue;
        c->seen_tick = tick;
        c->seen_ns = ns;
        return 1;
    }
    return 0;
}
