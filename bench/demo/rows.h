/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * rows: how the first columns of a table of expected lines are written: who, TX or RX, REQUEST or REPLY, dialog.
 */
#ifndef REFEREE_BENCH_ROWS_H
#define REFEREE_BENCH_ROWS_H

#define TX true
#define RX false
#define REQUEST(m) SIP_M_##m, 0
#define REPLY(code, m) SIP_M_##m, code
/* What the description in it has to say; ANCHORED and OWN_DIALOG take SDP_... as well. */
#define DIRECTION(dir) .check = check_direction, .arg = dir
#define ANCHORED(dir) .check = check_anchored, .arg = dir
#define OWN_DIALOG(dir) .check = check_own_dialog, .arg = dir
/* Status of the sipfrag; negative: and the subscription ends with it. */
#define NOTIFIED(status) .check = check_notify, .arg = status

#endif
