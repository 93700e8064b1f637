/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * g711: one sample of ITU-T G.711, to and from linear 16 bits.
 */
#ifndef REFEREE_RTP_G711_H
#define REFEREE_RTP_G711_H

#include <stdint.h>

uint8_t g711_ulaw(int16_t linear);
uint8_t g711_alaw(int16_t linear);
int16_t g711_from_ulaw(uint8_t code);
int16_t g711_from_alaw(uint8_t code);

#endif
