/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_config.c - the device's configuration space. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

static int admit_range(const struct gw_device_ops *ops, const struct gw_vu_config *config)
{
	if (!gw_range_within(config->offset, config->size, ops->config_len))
		return gw_fail(EINVAL, "%u bytes at %u, the configuration space of %s has %zu",
			       config->size, config->offset, ops->name, ops->config_len);
	return 0;
}

int gw_handle_get_config(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_instance *instance = dialog->instance;
	const struct gw_vu_config *asked = &call->payload->config;
	struct gw_vu_config *config = &call->reply.config;
	int err = admit_range(instance->ops, asked);

	if (err)
		return err;
	config->offset = asked->offset;
	config->size = asked->size;
	config->flags = asked->flags;
	call->reply_size = call->message->header.size;
	return instance->ops->config_get(instance->dev, asked->offset, config->data, asked->size);
}

int gw_handle_set_config(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_instance *instance = dialog->instance;
	const struct gw_vu_config *config = &call->payload->config;
	int err = admit_range(instance->ops, config);

	if (err)
		return err;
	if (config->flags != GW_VU_CONFIG_WRITABLE && config->flags != GW_VU_CONFIG_MIGRATION)
		return gw_fail(EINVAL, "flags 0x%x, expected 0 or 1", config->flags);
	return instance->ops->config_set(instance->dev, config->offset, config->data, config->size);
}
