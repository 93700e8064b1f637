/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/base/buf.h"

#include "core/base/check.h"
#include "core/base/poison.h"

static const uint32_t class_cap[BUF_CLASSES] = { 512, 768, 1024, 1536, 2048, 4096, 16384, 65536 };

/* At least 8 bytes stay behind each buffer; under AddressSanitizer they are always poisoned. */
static size_t stride_of(uint32_t cap) {
    return (sizeof(struct buf) + cap + 8 + 31) & ~(size_t)31;
}

static void push_free(struct buf_pool *p, struct buf *b) {
    uint32_t class_index = b->class_index;
    b->next = p->free[class_index];
    p->free[class_index] = b;
    poison(b, stride_of(class_cap[class_index]));
}

static struct buf *pop_free(struct buf_pool *p, uint32_t class_index) {
    struct buf *b = p->free[class_index];
    unpoison(b, sizeof *b + class_cap[class_index]);
    p->free[class_index] = b->next;
    b->next = NULL;
    return b;
}

void buf_pool_init(struct buf_pool *p, struct arena *a, const uint32_t count[BUF_CLASSES]) {
    *p = (struct buf_pool){ .used = { 0 } };
    for (uint32_t c = 0; c < BUF_CLASSES; c++) {
        size_t n = stride_of(class_cap[c]) * count[c];
        p->cap[c] = class_cap[c];
        p->fresh[c] = arena_take_raw(a, n);
        if (!p->fresh[c])
            continue;
        p->count[c] = p->fresh_n[c] = count[c];
        poison(p->fresh[c], n);
    }
}

static struct buf *carve(struct buf_pool *p, uint32_t class_index) {
    struct buf *b = (struct buf *)(void *)p->fresh[class_index];
    p->fresh[class_index] += stride_of(class_cap[class_index]);
    p->fresh_n[class_index]--;
    unpoison(b, sizeof *b + class_cap[class_index]);
    *b = (struct buf){ .cap = class_cap[class_index], .class_index = class_index };
    return b;
}

struct buf *buf_get(struct buf_pool *p, size_t need) {
    for (uint32_t c = 0; c < BUF_CLASSES; c++) {
        if (class_cap[c] < need || (!p->free[c] && !p->fresh_n[c]))
            continue;
        struct buf *b = p->free[c] ? pop_free(p, c) : carve(p, c);
        CHECK(b->refs == 0 && b->class_index == c);
        b->refs = 1;
        b->len = 0;
        p->used[c]++;
        return b;
    }
    return NULL;
}

struct buf *buf_copy_two(struct buf_pool *p, struct slice head, struct slice tail) {
    struct buf *b = buf_get(p, (size_t)head.n + tail.n);
    if (!b)
        return NULL;
    if (head.n)
        memcpy(b->data, head.p, head.n);
    if (tail.n)
        memcpy(b->data + head.n, tail.p, tail.n);
    b->len = head.n + tail.n;
    return b;
}

struct buf *buf_copy(struct buf_pool *p, struct slice s) {
    return buf_copy_two(p, s, SLICE_NONE);
}

void buf_ref(struct buf *b) {
    CHECK(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
}

void buf_unref(struct buf_pool *p, struct buf **b) {
    struct buf *x = *b;
    if (!x)
        return;
    *b = NULL;
    CHECK(x->refs > 0);
    if (--x->refs > 0)
        return;
    CHECK(x->class_index < BUF_CLASSES && p->used[x->class_index] > 0);
    CHECK(x->len <= x->cap);
    p->used[x->class_index]--;
    push_free(p, x);
}
