/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * sdp_memo: the descriptions that were read in this step. One message makes several modules look at the same texts;
 * each text is parsed once, and what is asked for again is a copy of its views. They point into a copy of the text, so
 * they are good until the end of the step even if the text itself moves.
 */
#ifndef REFEREE_B2B_SDP_MEMO_H
#define REFEREE_B2B_SDP_MEMO_H

#include "core/base/arena.h"
#include "parser/sdp.h"

struct sdp_memo;

/* NULL while `a` counts. */
struct sdp_memo *sdp_memo_new(struct arena *a);
/* A step begins: all is forgotten. */
void sdp_memo_begin(struct sdp_memo *memo);
/* As sdp_parse. A text that is too long, or one too many, is parsed each time; then the views are of `text`. */
int32_t sdp_memo_parse(struct sdp_memo *memo, struct slice text, struct sdp *out);
/* The same for who asks for formats and their attributes only: it may be another text's, which differs from this one in
 * nothing but o=, c=, ports of m-lines and the values of direction lines, as what a party is told does from what the
 * other has said, and a hold from what was said before. */
int32_t sdp_memo_parse_alike(struct sdp_memo *memo, struct slice text, struct sdp *out);
/* That they so differ. Both are descriptions that can be read. */
bool sdp_is_alike(struct slice a, struct slice b);
/* As sdp_codecs. */
uint32_t sdp_memo_codecs(struct sdp_memo *memo, const struct sdp_media *m, struct sdp_codec out[SDP_FORMATS_MAX]);

#endif
