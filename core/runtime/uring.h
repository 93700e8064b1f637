/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * uring: the io_uring backend of io. One ring a thread; multishot recvmsg into two provided buffer rings; sends keep
 * their buffer until the completion. Needs Linux 6.1. user_data is op (8 bits), slot (24), generation (32).
 *
 * Re-arming: a multishot request that ends (F_MORE clear) is armed again at the start of the next turn, after the
 * buffers of the last turn went back; while a group has none to give, its sockets wait.
 */
#ifndef REFEREE_RUNTIME_URING_H
#define REFEREE_RUNTIME_URING_H

#include "core/runtime/io_backend.h"

#define URING_SQ_ENTRIES 512
#define URING_CQ_ENTRIES 2048     /* not more than there are buffers */
#define URING_BUFFERS 1024        /* of each class */

struct uring *uring_new(struct io_common *c, const char **why);
void uring_free(struct uring *u);
/* Starts receiving (or watching). False: the ring is full and stays so. */
bool uring_arm(struct uring *u, uint32_t slot);
void uring_disarm(struct uring *u, uint32_t slot);
/* A free send slot; NULL: all are in flight. */
struct io_tx *uring_tx(struct uring *u);
void uring_send(struct uring *u, struct io_tx *tx);
/* Gives the kernel what waits, so that a send past the ring does not overtake it. */
void uring_push(struct uring *u);
uint32_t uring_turn(struct uring *u, uint64_t timeout_us, struct io_event *events);

#endif
