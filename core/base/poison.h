/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * poison: tells AddressSanitizer which bytes of our own pools are free, so that a use after free is seen though the
 * memory never goes back to the heap. No effect in other builds. Addresses and sizes are multiples of 8.
 */
#ifndef REFEREE_BASE_POISON_H
#define REFEREE_BASE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ON 1
#endif
#endif

#ifdef POISON_ON
#include <sanitizer/asan_interface.h>
static inline void poison(const void *p, size_t n) {
    __asan_poison_memory_region(p, n);
}
static inline void unpoison(const void *p, size_t n) {
    __asan_unpoison_memory_region(p, n);
}
#else
static inline void poison(const void *p, size_t n) {
    (void)p, (void)n;
}
static inline void unpoison(const void *p, size_t n) {
    (void)p, (void)n;
}
#endif

#endif
