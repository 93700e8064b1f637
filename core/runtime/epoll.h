/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * epoll: the backend of io where io_uring is forbidden or too old: epoll, recvmmsg, sendmmsg. What is sent in a turn is
 * gathered and leaves at its end.
 */
#ifndef REFEREE_RUNTIME_EPOLL_H
#define REFEREE_RUNTIME_EPOLL_H

#include "core/runtime/io_backend.h"

struct epoll_io *epoll_new(struct io_common *c, const char **why);
void epoll_free(struct epoll_io *e);
bool epoll_arm(struct epoll_io *e, uint32_t slot);
void epoll_disarm(struct epoll_io *e, uint32_t slot);
/* Never NULL: a full queue is sent first. */
struct io_tx *epoll_tx(struct epoll_io *e);
void epoll_send(struct epoll_io *e, struct io_tx *tx);
uint32_t epoll_turn(struct epoll_io *e, uint64_t timeout_us, struct io_event *events);

#endif
