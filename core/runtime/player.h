/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * player: what the relay's MEDIA_PLAY sounds like. Music from a WAV file (8000 Hz, one channel; PCMA, PCMU or linear 16
 * bits), read once at start, and ringback tones by country (ITU-T E.180). A frame every 20 ms to each stream that is
 * played to; each hears the beginning first and the whole again and again.
 */
#ifndef REFEREE_RUNTIME_PLAYER_H
#define REFEREE_RUNTIME_PLAYER_H

#include "core/base/outbox.h"
#include "core/base/slice.h"
#include "core/runtime/log.h"
#include "rtp/relay.h"

#define PLAYER_FRAME 160
#define PLAYER_FRAME_US UINT64_C(20000)
/* Of a file: half an hour. */
#define PLAYER_FRAMES_MAX 90000u

/* Whole frames, in both laws. */
struct player_source {
    uint8_t *ulaw, *alaw;     /* PLAYER_FRAME bytes each; NULL: silence is played */
    uint32_t frames;
};

struct player {
    struct player_source sources[MEDIA_SOURCES];
    uint8_t quiet[2][PLAYER_FRAME];
    uint64_t next_us;         /* of the next frame; 0: nobody listens */
};

/* How long an announcement is; 0: "off", or it cannot be used. */
uint64_t player_length_us(const char *file);
/* Files: "off" or a path; country: one of PLAYER_COUNTRIES. A file that cannot be used is said in the log, and
 * then there is silence; so there is where no source was named. */
void player_open(struct player *p, const char *music, const char *announcement, const char *country, struct log *log);
void player_close(struct player *p);

/* When player_frame wants to be asked next; UINT64_MAX: nobody is played to. */
uint64_t player_deadline(const struct player *p, const struct relay *r);
/* True once for each frame that is due by now. Frames missed by over a second are left out. */
bool player_due(struct player *p, const struct relay *r, uint64_t now_us);
/* What the stream is to hear now, PLAYER_FRAME bytes. */
const uint8_t *player_payload(const struct player *p, const struct relay_play *play);

/* Bytes of a WAV file as a source. NULL, or what is wrong with it. */
const char *player_wav(struct player_source *s, const uint8_t *bytes, size_t n);
/* False: no such country. "off" leaves silence. */
bool player_ringback(struct player_source *s, const char *country);
void player_source_free(struct player_source *s);

/* Of the configuration, and the name of the n-th of them. */
void player_country(uint32_t n, char out[4]);
#define PLAYER_COUNTRIES "off|au|br|ch|cn|de|es|fr|gb|in|it|jp|nl|pl|se|us"

#endif
