/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/common/load.h - a state that is in memory, into a device without a session around it. */
#ifndef TESTS_COMMON_LOAD_H
#define TESTS_COMMON_LOAD_H

#include "godwit/device.h"
#include "state/stream.h"

static inline int load_device(const struct gw_device_ops *ops, void *dev, int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_reader *reader = NULL;
	int err = gw_state_reader_new(&reader, &channel);

	if (!err)
		err = ops->load(dev, reader);
	gw_state_reader_free(reader);
	return err;
}

#endif
