/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "bench/demo/demo.h"

#include <stdio.h>

static const int tone_hertz[WHO_COUNT] = { 440, 620, 880, 1180 };

static struct media *ear(struct demo *d, enum who at, enum dlg dlg) {
    int i = d->bound[at][dlg];
    return i < 0 ? NULL : d->media[at][i];
}

/* Nine windows of ten are that tone, and there are enough of them. */
static bool heard(const struct media_heard *h, enum who from, uint64_t us) {
    uint64_t least = us / 100000 / 2;
    return h->windows >= least && h->tone[from] * 10 >= h->windows * 9 && h->tone[from] > 0;
}

static double mean_share(const struct media_heard *h, enum who from) {
    return h->tone[from] ? h->share_sum[from] / h->tone[from] : 0;
}

uint64_t audio_time(const struct demo *d, uint64_t us) {
    uint64_t less = us * 2 / 5 > 400000 ? us * 2 / 5 : 400000;
    return d->quick && less < us ? less : us;
}

bool audio_expect(struct demo *d, uint64_t us, const enum who (*pairs)[2], unsigned n, enum dlg dlg) {
    bool all = true;
    us = audio_time(d, us);
    demo_run(d, 100000);
    for (unsigned i = 0; i < n; i++)
        if (ear(d, pairs[i][1], dlg))
            media_mark(ear(d, pairs[i][1], dlg), clock_us());
    demo_run(d, us);
    for (unsigned i = 0; i < n; i++) {
        enum who from = pairs[i][0], at = pairs[i][1];
        struct media *m = ear(d, at, dlg);
        const struct media_heard *h = m ? media_heard(m) : &(struct media_heard){ 0 };
        bool good = heard(h, from, us);
        demo_say(d, good, "%s hears %s's %d Hz: %u of %u windows, share of energy %.3f, longest gap %.0f ms",
                 phone_names[at], phone_names[from], tone_hertz[from], h->tone[from], h->windows, mean_share(h, from),
                 (double)h->gap_us / 1000);
        all = all && good;
    }
    return all;
}

bool audio_silence(struct demo *d, enum who at, enum dlg dlg) {
    struct media *m = ear(d, at, dlg);
    if (!m)
        return false;
    demo_run(d, 100000);
    media_mark(m, clock_us());
    demo_run(d, 300000);
    bool good = media_heard(m)->packets == 0;
    demo_say(d, good, "%s hears nothing: %llu packets", phone_names[at], (unsigned long long)media_heard(m)->packets);
    return good;
}

void audio_splice(struct demo *d, enum who far, int dialog) {
    d->splice_us = d->now_us;
    if (ear(d, d->near, d->near_dlg))
        media_mark(ear(d, d->near, d->near_dlg), d->now_us);
    media_mark(d->media[far][dialog], d->now_us);
}

/* The listener whose dialog goes on must not notice another sender: one SSRC, its sequence numbers going on. */
static bool continues(struct demo *d, enum who at, const struct media_heard *h) {
    bool good = h->ssrcs == 1 && h->ssrc_kept && h->step > 0 && h->step < 50;
    demo_say(d, good, "%s's stream goes on through the transfer: SSRC %s, sequence number %+d", phone_names[at],
             h->ssrc_kept ? "kept" : "changed", h->step);
    return good;
}

static bool report_line(struct demo *d, enum who from, enum who at, enum dlg dlg) {
    const struct media *m = ear(d, at, dlg);
    const struct media_heard *h = m ? media_heard(m) : &(struct media_heard){ 0 };
    bool good = heard(h, from, audio_time(d, 1500000)) && h->gap_us <= d->gap_limit_us;
    double first = h->tone_first_us[from] ? (double)(h->tone_first_us[from] - d->splice_us) / 1000 : -1;
    printf("%s -> %s  %4d Hz  %-5s  %4u of %-4u  %12.3f  %15.0f ms  %8.0f ms  %4u  %5u\n", phone_names[from],
           phone_names[at], tone_hertz[from], good ? "yes" : "NO", h->tone[from], h->windows, mean_share(h, from),
           first, (double)h->gap_us / 1000, h->lost, h->ssrcs);
    if (!good)
        demo_say(d, false, "%s does not hear %s as it should", phone_names[at], phone_names[from]);
    return good;
}

bool audio_report(struct demo *d, enum who far, enum dlg far_dlg, bool goes_on) {
    printf("\naudio since the splice\n");
    printf("%-6s  %7s  heard  %12s  energy share  first packet after  longest gap  lost  SSRCs\n", "", "tone",
           "windows");
    bool there = report_line(d, d->near, far, far_dlg);
    bool back = report_line(d, far, d->near, d->near_dlg);
    return there && back && (!goes_on || continues(d, d->near, media_heard(ear(d, d->near, d->near_dlg))));
}
