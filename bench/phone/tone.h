/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * tone: sine tones as G.711, and how they are found again in what arrived (Goertzel). 8000 samples a second.
 */
#ifndef REFEREE_BENCH_TONE_H
#define REFEREE_BENCH_TONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TONE_RATE 8000u
#define TONE_WINDOW 800u          /* samples: 100 ms, so that 440, 620 and 880 Hz have whole periods in it */
/* Samples are heard as a tone when this share of their energy is it: G.711 leaves 0.99, the wrong law 0.9. */
#define TONE_SHARE_HEARD 0.97

enum g711_law { G711_ULAW, G711_ALAW };

uint8_t g711_encode(enum g711_law law, int16_t sample);
int16_t g711_decode(enum g711_law law, uint8_t code);

/* A generator that keeps its phase from packet to packet. */
struct tone_source {
    double phase, step;
};
void tone_source_init(struct tone_source *t, double hertz);
void tone_source_fill(struct tone_source *t, enum g711_law law, uint8_t *out, size_t n);

/* Share of the energy of n samples that lies at `hertz`: 1.0 for a pure tone, near 0 for another one; 0 for silence. */
double tone_share(const int16_t *samples, size_t n, double hertz);

#endif
