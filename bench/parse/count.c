/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * parse-count CORPUS: the fields of MIXED against the oracle, then one walk over it with the best path of this machine,
 * for callgrind with --toggle-collect=corpus_walk (valgrind 3.19 has no AVX-512: the AVX2 path). Prints the path and
 * the number of messages.
 */
#include "bench/parse/bench.h"

#include <stdio.h>

int main(int argc, char **argv) {
    char path[1024];
    if (argc != 2) {
        fprintf(stderr, "usage: parse-count CORPUS\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/mixed", argv[1]);
    struct corpus mixed = corpus_load(path);
    corpus_shuffle(&mixed, 7);
    if (corpus_differences(&mixed, ours_best()))
        return 1;
    printf("%s: %u\n", ours_best()->name, mixed.count);
    return corpus_walk(&mixed, ours_best()) != mixed.count;
}
