/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * fastpath_device: where the fast path goes: interfaces, hooks, the folder of pins. Private to fastpath.c.
 */
#ifndef REFEREE_RUNTIME_FASTPATH_DEVICE_H
#define REFEREE_RUNTIME_FASTPATH_DEVICE_H

#include "core/runtime/fastpath.h"

/* The interfaces that have the media address (all addresses of its family if it is 0.0.0.0 or ::) are put to f's, and
 * those addresses in c->local, with the first slot of theirs. What is left out is logged with the reason. */
void fastpath_devices(const struct addr *bind_to, uint32_t base, struct fastpath *f, struct fast_config *c);
/* The same of an address that moves: its packets may come to any interface that has an address of its family. */
void fastpath_devices_of_moving(const struct addr *address, uint32_t base, struct fastpath *f, struct fast_config *c);
/* False: `why` says it. A filter or program of ours from before is replaced without a gap. */
bool fastpath_attach_tc(const struct fastpath_device *d, int program, uint16_t handle, char *why, size_t n);
bool fastpath_attach_xdp(const struct fastpath_device *d, int program, char *why, size_t n);
/* One of a daemon before us that was told otherwise. */
void fastpath_drop_xdp(const struct fastpath_device *d);
void fastpath_detach(const struct fastpath_device *d, uint16_t handle);
/* The folder for this daemon's pins, made; "" if there can be none, with the reason in the log. */
void fastpath_pin_folder(const char *wanted, uint16_t first_port, char out[FASTPATH_PATH_MAX], struct log *log);

#endif
