/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * The parser's benchmark: the messages of gen_corpus.py, the fields a B2BUA reads of each, and the parsers that read
 * them. A parser is only timed when its fields equal the oracle's byte for byte on every message.
 */
#ifndef REFEREE_BENCH_PARSE_H
#define REFEREE_BENCH_PARSE_H

#include "bench/parse/fields.h"
#include "parser/sip_path.h"

/* The same by each path of our parser, then the finding of headers alone (no fields). */
extern const struct contender ours[SIP_PATH_COUNT], ours_headers[SIP_PATH_COUNT];
/* The best of them on this machine. */
const struct contender *ours_best(void);

struct sample {
    struct slice message;         /* a heap block of its own, exactly as long */
    struct slice expected;        /* a line of FIELDS.txt */
};
struct corpus {
    struct sample *samples;
    unsigned count;
    uint64_t bytes;
};
/* Reads FOLDER/FIELDS.txt and the messages it names; ends the program with a message when one is missing. */
struct corpus corpus_load(const char *folder);
void corpus_shuffle(struct corpus *c, uint64_t seed);

/* Every message once; the number that was accepted. Not inlined: callgrind collects in it. */
unsigned corpus_walk(const struct corpus *c, const struct contender *who);

/* Each message that often in a row. */
unsigned corpus_walk_repeated(const struct corpus *c, const struct contender *who, unsigned times);

/* Writers of messages that a leg of the B2BUA sends; each gives the bytes it wrote. */
struct writer {
    const char *name;
    uint32_t (*write)(void);
};
extern const struct writer writers[];
extern const unsigned writer_count;
/* Makes the dialog of this INVITE, which stays the caller's. False: it is none. */
bool writers_begin(struct slice invite);

/* The line of FIELDS.txt behind the name. */
void fields_put(struct sbuf *b, const struct fields *f);
/* Messages on which the contender's fields differ from the oracle's; the first is printed. */
unsigned corpus_differences(const struct corpus *c, const struct contender *who);

#endif
