/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "parser/sip_write.h"

/* Section 8.1.3.2: an unknown one counts as x00 of its class. */
static struct slice class_reason(uint16_t status) {
    static const char *const classes[] = { "Trying", "Session Progress", "OK", "Multiple Choices", "Bad Request",
                                           "Server Internal Error", "Busy Everywhere" };
    unsigned class = status / 100u;
    return slice_str(classes[class <= 6 ? class : 0]);
}

struct slice sip_reason(uint16_t status) {
    switch (status) {
#define REASON(code, text) case code: return SL(text);
#include "parser/sip_reason.def"
#undef REASON
    default: return class_reason(status);
    }
}
