/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * All UDP to a range of ports goes to one socket, for bench/relay/steered.c.
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_helpers.h>

char license_name[] SEC("license") = "Dual MIT/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_SOCKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} one SEC(".maps");

/* Set before it is loaded. */
const volatile __u32 first_port = 0, last_port = 0;

SEC("sk_lookup")
int to_one(struct bpf_sk_lookup *ctx) {
    __u32 zero = 0;
    if (ctx->protocol != IPPROTO_UDP || ctx->local_port < first_port || ctx->local_port > last_port)
        return SK_PASS;
    struct bpf_sock *sk = bpf_map_lookup_elem(&one, &zero);
    if (!sk)
        return SK_PASS;
    bpf_sk_assign(ctx, sk, 0);
    bpf_sk_release(sk);
    return SK_PASS;
}
