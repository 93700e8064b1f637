/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * For bench/relay/run.py: what stands at the ends of its wires.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#define FRAME_BYTES (14 + 20 + 8 + 12 + 160) /* load.c's */

char license_name[] SEC("license") = "Dual MIT/GPL";

/* A veth does XDP only if its other end does, too. */
SEC("xdp")
int pass(struct xdp_md *x) {
    (void)x;
    return XDP_PASS;
}

/* Behind the ring that has seen it, media ends here: else the kernel would look for whom it is and answer by ICMP, in
 * the time of whoever sent it. */
SEC("tc/sink")
int sink(struct __sk_buff *skb) {
    return skb->len == FRAME_BYTES ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* What came to us goes back to whom it came from. */
SEC("tc/hop")
int hop(struct __sk_buff *skb) {
    struct ethhdr *eth = (void *)(long)skb->data, was;
    if (skb->pkt_type != 0 /* PACKET_HOST */ || (void *)(eth + 1) > (void *)(long)skb->data_end)
        return TC_ACT_UNSPEC;
    was = *eth;
    __builtin_memcpy(eth->h_dest, was.h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, was.h_dest, ETH_ALEN);
    return bpf_redirect(skb->ifindex, 0);
}
