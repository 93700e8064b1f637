#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# bench/parse/count.sh B: instructions a message of MIXED with all fields, by callgrind, against the number in
# bench/parse/instructions: more than 3 % over it fails. After a change that makes it less, write the new number there.
set -eu
build=$1
corpus=$build/parse-corpus
limit=$(sed '/^#/d' bench/parse/instructions)
mkdir -p "$corpus"
python3 bench/parse/gen_corpus.py "$corpus"
cmp "$corpus/corpus/FIELDS.txt" tests/data/sip/corpus/FIELDS.txt
said=$(valgrind --tool=callgrind --callgrind-out-file="$build/parse-count.callgrind" --toggle-collect=corpus_walk \
    "$build/parse-count" "$corpus" 2>"$build/parse-count.log") || { cat "$build/parse-count.log"; exit 1; }
count=$(sed -n 's/^summary: //p' "$build/parse-count.callgrind")
count=$((count / ${said##*: }))
echo "${said%%:*}: $count instructions a message of MIXED, the file says $limit"
[ "$count" -ge $((limit * 97 / 100)) ] || echo "    less than the file says: write $count into bench/parse/instructions"
if [ "$count" -le $((limit * 103 / 100)) ]; then
    echo "parse-count: 1 passed, 0 failed, 0 skipped"
else
    echo "FAIL parse-count: more than 3 % over the file"
    echo "parse-count: 0 passed, 1 failed, 0 skipped"
    exit 1
fi
