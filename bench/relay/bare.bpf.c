/* SPDX-License-Identifier: AGPL-3.0-or-later OR MIT OR GPL-2.0-only
 *
 * What a relay in the kernel costs without the features of ours: the product's program with its steps taken out one by
 * one, for bench/relay/price.c. Each forwards as xdp_send does.
 */
#include "rtp/fastpath/fastpath.bpf.c"

/* Steps that are there. */
#define LATCH 1     /* source, heartbeat and its clock */
#define LOCK 2      /* of the listener's entry, with what is looked at under it */
#define REWRITE 4   /* reception, payload type, SSRC, sequence, timestamp, counters: fast_step */
#define REPORT 8    /* of that, reception alone: RTCP's figures */
#define CLOCK 16    /* read for each packet, not the kernel's last tick */

static __always_inline bool known(const struct fast_in *in, struct passage *p, const struct fast_config *c, int steps) {
    if (!fast_addr_eq(&in->source, &p->src))
        return false;
    p->k.now_us = steps & CLOCK ? bpf_ktime_get_boot_ns() / 1000 : tick_us(c);
    return (__s64)(p->k.now_us - *(volatile __u64 *)&c->beat_us) <= FAST_DEAD_US;
}

static __always_inline bool step(struct fast_in *in, struct passage *p, int steps) {
    if (steps & REWRITE)
        return step_locked(in, p) == FAST_SEND;
    if (steps & REPORT) {
        p->k.counted = reception_count(&in->heard.reception, &p->k.rtp);
        if (fast_wants_time(in, &p->k))
            fast_arrived(in, &p->k, bpf_ktime_get_boot_ns() / 1000);
    }
    return p->out->ifindex != 0 && p->out->mac_known;
}

static __always_inline bool passes(struct passage *p, void *data, void *end, int steps) {
    __u32 zero = 0;
    const struct fast_config *c = bpf_map_lookup_elem(&settings, &zero);
    if (!c || !parse(p, data, end) || !find_slot(c, p))
        return false;
    struct fast_in *in = bpf_map_lookup_elem(&streams_in, &p->k.slot);
    if (!in)
        return false;
    p->k.target = *(volatile __u32 *)&in->target;
    if ((steps & LATCH) && !known(in, p, c, steps))
        return false;
    p->out = bpf_map_lookup_elem(&streams_out, &p->k.target);
    if (!p->out || ((steps & (REWRITE | REPORT)) && !(fast_parse(&p->k) && measure(p, data, end))))
        return false;
    if ((steps & LOCK) && !try_lock(p->out))
        return false;
    bool sends = step(in, p, steps);
    if (steps & LOCK)
        unlock(p->out);
    return sends;
}

static __always_inline int forward(struct xdp_md *x, int steps) {
    struct passage p = { .needs_mac = true };
    return passes(&p, (void *)(long)x->data, (void *)(long)x->data_end, steps) ? xdp_send(x, &p) : XDP_PASS;
}

SEC("xdp")
int bare(struct xdp_md *x) {
    return forward(x, 0);
}

SEC("xdp")
int latch(struct xdp_md *x) {
    return forward(x, LATCH);
}

SEC("xdp")
int lock(struct xdp_md *x) {
    return forward(x, LATCH | LOCK);
}

SEC("xdp")
int report(struct xdp_md *x) {
    return forward(x, LATCH | LOCK | REPORT);
}

SEC("xdp")
int rewrite(struct xdp_md *x) {
    return forward(x, LATCH | LOCK | REWRITE);
}

SEC("xdp")
int clock(struct xdp_md *x) {
    return forward(x, LATCH | LOCK | REWRITE | CLOCK);
}
