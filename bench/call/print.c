/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/call/call.h"

void print_head(void) {
    printf("%-13s %-10s %9s %9s %8s %8s %8s %8s %8s %8s %8s %8s %8s %9s %8s\n", "target", "scenario", "offered/s",
           "done/s", "failed", "rtp", "rtp bad", "resent", "p50 us", "p99 us", "p99.9 us", "gener. %", "CPU us",
           "transfers", "xfer p99");
}

static void print_faults(const struct result *r) {
    if (r->t.first_fault[0])
        printf("  first failure: %s\n", r->t.first_fault);
    if (r->t.rtp_lost || r->t.rtp_foreign)
        printf("  RTP: of %lu packets %lu lost; %lu foreign\n", (unsigned long)r->t.rtp_sent,
               (unsigned long)r->t.rtp_lost, (unsigned long)r->t.rtp_foreign);
    if (r->t.busy || r->t.bad)
        printf("  %lu calls were due with all slots taken, %lu messages could not be read\n", (unsigned long)r->t.busy,
               (unsigned long)r->t.bad);
}

void print_result(const struct target *t, const struct load_options *o, const struct result *r) {
    printf("%-13s %-10s %9.0f %9.0f %8lu %8lu %8lu %8lu %8lu %8lu %8lu %8.0f %8.1f %9lu %8lu\n", t->name,
           scenario_names[o->scenario], r->offered, r->carried, (unsigned long)r->t.failed,
           (unsigned long)r->t.rtp_calls, (unsigned long)r->t.rtp_bad, (unsigned long)r->t.resent,
           (unsigned long)hist_at(&r->t.setup, 500), (unsigned long)hist_at(&r->t.setup, 990),
           (unsigned long)hist_at(&r->t.setup, 999), 100 * r->own, r->cpu_us, (unsigned long)r->t.transfers,
           (unsigned long)hist_at(&r->t.transfer, 990));
    print_faults(r);
    if (r->redis_us > 0)
        printf("  redis-server, on the target's core, took %.1f us a call besides\n", r->redis_us);
    if (r->caller_us > 0)
        printf("  that is the callee; the caller took %.1f us a call besides\n", r->caller_us);
    fflush(stdout);
}

void print_held(const struct target *t, const struct held *h) {
    printf("%-13s memory %lu KiB, with %u calls held %lu KiB: %.2f KiB a call, %.2f a further one; %lu failed\n",
           t->name, (unsigned long)h->before_kib, h->up, (unsigned long)h->with_kib, h->kib, h->further_kib,
           (unsigned long)h->t.failed);
    if (h->up < h->calls)
        printf("  %u calls were to be held; first failure: %s\n", h->calls, h->t.first_fault);
    if (h->t.rtp_bad)
        printf("  RTP: %lu of %lu calls had some that was lost, or foreign\n", (unsigned long)h->t.rtp_bad,
               (unsigned long)h->t.rtp_calls);
    fflush(stdout);
}

void print_media(const struct load_options *o, uint32_t held) {
    struct target t = { .kind = T_REFEREE, .held = held };
    struct media_room m = configure_media(&t);
    if (m.addresses)
        printf("Media: referee anchors it on %u address%s with %u ports each (a call takes four), quarantine %s;",
               m.addresses, m.addresses == 1 ? "" : "es", m.ports, MEDIA_QUARANTINE);
    else
        printf("Media: with %u calls referee does not anchor it (ports, descriptors);", held);
    printf("\nthrough kamailio, sipp and direct it goes from party to party.\n");
    if (o->rtp_of)
        printf("One call in %u has RTP, %u packets each way, which are checked; it is up for %u ms more than others.\n",
               o->rtp_of, MEDIA_PACKETS, (MEDIA_PACKETS - 1) * MEDIA_PACE_MS);
    else
        printf("No call has RTP.\n");
    fflush(stdout);
}
