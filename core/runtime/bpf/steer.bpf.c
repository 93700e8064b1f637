/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * Chooses among the sockets that share a port the one of the shard that has the message's bucket. What it cannot tell
 * goes where the kernel's own hash says. steer_frame does the same for a frame, for the test that compares it with
 * steer_fast.h in user space.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "core/sip/steer_fast.h"

#define UDP_HEADER 8

char license_name[] SEC("license") = "Dual MIT/GPL";

/* By the loader. */
const volatile __u64 key0, key1;
const volatile __u8 cluster;

/* The shard that has a bucket; user space may change it. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, STEER_FAST_BUCKETS);
    __type(key, __u32);
    __type(value, __u32);
} shard_of SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} sockets SEC(".maps");

struct work {
    struct steer_fast s;
    __u8 bytes[STEER_FAST_BYTES];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct work);
} works SEC(".maps");

/* The loop's argument has to be on the stack. */
struct progress {
    struct work *w;
};

static long step(__u32 i, struct progress *p) {
    return steer_fast_byte(&p->w->s, p->w->bytes[i & (STEER_FAST_BYTES - 1)]);
}

static __always_inline __u32 bucket_of(void *packet, __u32 at, __u32 n) {
    __u32 zero = 0;
    struct work *w = bpf_map_lookup_elem(&works, &zero);
    if (!w || n == 0)
        return STEER_FAST_NOTHING;
    if (n > STEER_FAST_BYTES)
        n = STEER_FAST_BYTES;
    /* So that the verifier sees the bound where it is used. */
    __u32 last = n - 1;
    asm volatile("%0 &= 2047" : "+r"(last));
    if (bpf_skb_load_bytes(packet, at, w->bytes, last + 1) < 0)
        return STEER_FAST_NOTHING;
    __builtin_memset(&w->s, 0, sizeof w->s);
    w->s.k0 = key0;
    w->s.k1 = key1;
    w->s.cluster = cluster;
    struct progress p = { w };
    bpf_loop(n, step, &p, 0);
    return steer_fast_end(&w->s);
}

SEC("sk_reuseport")
int steer_socket(struct sk_reuseport_md *md) {
    __u32 bucket = md->len > UDP_HEADER ? bucket_of(md, UDP_HEADER, md->len - UDP_HEADER) : STEER_FAST_NOTHING;
    __u32 *shard = bpf_map_lookup_elem(&shard_of, &bucket);
    if (shard)
        (void)bpf_sk_select_reuseport(md, &sockets, shard, 0);
    return SK_PASS;
}

SEC("tc")
int steer_frame(struct __sk_buff *skb) {
    return skb->len > ETH_HLEN ? (int)bucket_of(skb, ETH_HLEN, skb->len - ETH_HLEN) : STEER_FAST_NOTHING;
}
