/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/player.h"

#include "rtp/g711.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE 8000u
#define LEVEL 4000.0          /* of each tone: about -18 dBm0 */
#define TWO_PI 6.28318530717958647692
#define LATE_US UINT64_C(1000000)
#define FILE_MAX_BYTES (64u + 2u * PLAYER_FRAMES_MAX * PLAYER_FRAME)

void player_source_free(struct player_source *s) {
    free(s->ulaw);
    free(s->alaw);
    *s = (struct player_source){ 0 };
}

static bool room_for(struct player_source *s, uint32_t frames) {
    player_source_free(s);
    s->ulaw = malloc((size_t)frames * PLAYER_FRAME);
    s->alaw = malloc((size_t)frames * PLAYER_FRAME);
    if (!s->ulaw || !s->alaw) {
        player_source_free(s);
        return false;
    }
    s->frames = frames;
    return true;
}

static void set_sample(struct player_source *s, size_t at, int16_t linear) {
    s->ulaw[at] = g711_ulaw(linear);
    s->alaw[at] = g711_alaw(linear);
}

/* ---- WAV (RIFF, little endian) */

enum { WAV_LINEAR = 1, WAV_ALAW = 6, WAV_ULAW = 7 };

struct wav {
    uint16_t format, channels, bits;
    uint32_t rate;
    const uint8_t *data;
    size_t data_n;
};

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p) {
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* False: not a WAV file. A data chunk that says more than there is (a stream that was cut) ends with the file. */
static bool read_chunks(struct wav *w, const uint8_t *bytes, size_t n) {
    size_t at = 12;
    if (n < at || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
        return false;
    while (n - at >= 8) {
        const uint8_t *chunk = bytes + at;
        size_t len = get32(chunk + 4), rest = n - at - 8;
        len = len < rest ? len : rest;
        if (memcmp(chunk, "fmt ", 4) == 0 && len >= 16) {
            w->format = get16(chunk + 8);
            w->channels = get16(chunk + 10);
            w->rate = get32(chunk + 12);
            w->bits = get16(chunk + 22);
        } else if (memcmp(chunk, "data", 4) == 0) {
            w->data = chunk + 8;
            w->data_n = len;
        }
        at += 8 + len;
        at += len % 2 && at < n ? 1 : 0;
    }
    return w->format && w->data;
}

static int16_t wav_sample(const struct wav *w, size_t i) {
    if (w->format == WAV_ALAW)
        return g711_from_alaw(w->data[i]);
    if (w->format == WAV_ULAW)
        return g711_from_ulaw(w->data[i]);
    return (int16_t)get16(w->data + 2 * i);
}

const char *player_wav(struct player_source *s, const uint8_t *bytes, size_t n) {
    struct wav w = { 0 };
    if (!read_chunks(&w, bytes, n))
        return "it is no WAV file";
    bool linear = w.format == WAV_LINEAR && w.bits == 16;
    bool g711 = (w.format == WAV_ALAW || w.format == WAV_ULAW) && w.bits == 8;
    if ((!linear && !g711) || w.channels != 1 || w.rate != RATE)
        return "it must have 8000 Hz, one channel, and A-law, mu-law or 16 bits linear";
    size_t frames = w.data_n / (linear ? 2 : 1) / PLAYER_FRAME;
    if (frames == 0)
        return "it is shorter than 20 ms";
    if (!room_for(s, frames < PLAYER_FRAMES_MAX ? (uint32_t)frames : PLAYER_FRAMES_MAX))
        return "no memory";
    for (size_t i = 0; i < (size_t)s->frames * PLAYER_FRAME; i++)
        set_sample(s, i, wav_sample(&w, i));
    return NULL;
}

/* ---- tones */

/* Cadence in milliseconds: sound, silence, and again; ITU-T E.180 supplement 2. */
static const struct ringback {
    char country[4];
    uint16_t hertz[2];
    uint16_t ms[4];
} ringbacks[] = {
    { "au", { 400, 450 }, { 400, 200, 400, 2000 } },
    { "br", { 425, 0 }, { 1000, 4000, 0, 0 } },
    { "ch", { 425, 0 }, { 1000, 4000, 0, 0 } },
    { "cn", { 450, 0 }, { 1000, 4000, 0, 0 } },
    { "de", { 425, 0 }, { 1000, 4000, 0, 0 } },
    { "es", { 425, 0 }, { 1500, 3000, 0, 0 } },
    { "fr", { 440, 0 }, { 1500, 3500, 0, 0 } },
    { "gb", { 400, 450 }, { 400, 200, 400, 2000 } },
    { "in", { 400, 0 }, { 400, 200, 400, 2000 } },
    { "it", { 425, 0 }, { 1000, 4000, 0, 0 } },
    { "jp", { 400, 0 }, { 1000, 2000, 0, 0 } },
    { "nl", { 425, 0 }, { 1000, 4000, 0, 0 } },
    { "pl", { 425, 0 }, { 1000, 4000, 0, 0 } },
    { "se", { 425, 0 }, { 1000, 5000, 0, 0 } },
    { "us", { 440, 480 }, { 2000, 4000, 0, 0 } },
};

static int16_t tone_sample(const struct ringback *r, size_t i) {
    double t = TWO_PI * (double)i / RATE;
    double sum = sin(t * r->hertz[0]) + (r->hertz[1] ? sin(t * r->hertz[1]) : 0);
    return (int16_t)(LEVEL * sum);
}

bool player_ringback(struct player_source *s, const char *country) {
    player_source_free(s);
    for (size_t k = 0; k < sizeof ringbacks / sizeof *ringbacks; k++) {
        const struct ringback *r = &ringbacks[k];
        if (strcmp(r->country, country) != 0)
            continue;
        size_t total = (size_t)(r->ms[0] + r->ms[1] + r->ms[2] + r->ms[3]) * RATE / 1000, at = 0;
        if (!room_for(s, (uint32_t)(total / PLAYER_FRAME)))
            return false;
        for (unsigned part = 0; part < 4; part++)
            for (size_t n = (size_t)r->ms[part] * RATE / 1000; n > 0; n--, at++)
                set_sample(s, at, part % 2 ? 0 : tone_sample(r, at));
        return true;
    }
    return strcmp(country, "off") == 0;
}

void player_country(uint32_t n, char out[4]) {
    const char *at = PLAYER_COUNTRIES;
    for (; n > 0 && strchr(at, '|'); n--)
        at = strchr(at, '|') + 1;
    size_t len = strcspn(at, "|");
    memcpy(out, at, len < 3 ? len : 3);
    out[len < 3 ? len : 3] = '\0';
}

/* ---- the whole */

static const char *read_file(struct player_source *s, const char *file) {
    FILE *f = fopen(file, "rb");
    if (!f)
        return "it cannot be read";
    uint8_t *bytes = malloc(FILE_MAX_BYTES);
    size_t n = bytes ? fread(bytes, 1, FILE_MAX_BYTES, f) : 0;
    const char *why = bytes ? player_wav(s, bytes, n) : "no memory";
    free(bytes);
    fclose(f);
    return why;
}

uint64_t player_length_us(const char *file) {
    struct player_source s = { 0 };
    if (strcmp(file, "off") != 0)
        read_file(&s, file);
    uint64_t us = s.frames * PLAYER_FRAME_US;
    player_source_free(&s);
    return us;
}

static void open_file(struct player_source *s, const char *file, struct log *log) {
    const char *why = strcmp(file, "off") == 0 ? NULL : read_file(s, file);
    if (why)
        log_line(log, TRACE_WARN, "media", "%s: %s; silence is played instead", file, why);
}

void player_open(struct player *p, const char *music, const char *announcement, const char *country, struct log *log) {
    *p = (struct player){ .next_us = 0 };
    memset(p->quiet[0], g711_ulaw(0), PLAYER_FRAME);
    memset(p->quiet[1], g711_alaw(0), PLAYER_FRAME);
    open_file(&p->sources[MEDIA_SOURCE_MUSIC], music, log);
    open_file(&p->sources[MEDIA_SOURCE_ANNOUNCEMENT], announcement, log);
    if (!player_ringback(&p->sources[MEDIA_SOURCE_RINGBACK], country))
        log_line(log, TRACE_WARN, "media", "ringback tone %s is not known", country);
}

void player_close(struct player *p) {
    for (unsigned i = 0; i < MEDIA_SOURCES; i++)
        player_source_free(&p->sources[i]);
}

uint64_t player_deadline(const struct player *p, const struct relay *r) {
    return r->player_count ? p->next_us : UINT64_MAX;
}

bool player_due(struct player *p, const struct relay *r, uint64_t now_us) {
    if (!r->player_count) {
        p->next_us = 0;
        return false;
    }
    if (p->next_us == 0 || p->next_us + LATE_US < now_us)
        p->next_us = now_us;
    if (p->next_us > now_us)
        return false;
    p->next_us += PLAYER_FRAME_US;
    return true;
}

const uint8_t *player_payload(const struct player *p, const struct relay_play *play) {
    const struct player_source *s = &p->sources[play->source];
    if (!s->frames)
        return p->quiet[play->alaw];
    size_t at = (size_t)(play->frames % s->frames) * PLAYER_FRAME;
    return (play->alaw ? s->alaw : s->ulaw) + at;
}
