/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_memory.c - guest memory: the whole table, or a slot at a time. */
#include <errno.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

static void mem_unref_ptr(struct gw_mem **mem)
{
	gw_mem_unref(*mem);
}
#define AUTO_MEM GW_CLEANUP(mem_unref_ptr)

static struct gw_mem_region region_of(const struct gw_vu_region *wire)
{
	return (struct gw_mem_region){
		.gpa = wire->gpa, .size = wire->size, .uaddr = wire->uaddr, .offset = wire->offset};
}

/* @mem (a reference, taken over) is the table from now on; done when all rings use it. */
static int use_table(struct gw_dialog *dialog, struct gw_mem *mem)
{
	struct gw_instance *instance = dialog->instance;
	struct gw_queue_change change = {.what = GW_QUEUE_MEM, .mem = mem};

	gw_mem_unref(instance->mem);
	instance->mem = mem;
	return gw_instance_change_all(instance, &change, gw_call_finish, dialog);
}

int gw_handle_set_mem_table(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_mem_table *table = &call->payload->table;
	AUTO_MEM struct gw_mem *mem = NULL;
	int err = gw_mem_new(&mem);

	for (uint32_t i = 0; !err && i < table->count; i++) {
		struct gw_mem_region region = region_of(&table->regions[i]);
		struct gw_mem *longer;

		err = gw_mem_add(&longer, mem, &region, call->fds[i]);
		if (err)
			return gw_fail_in(err, "region %u", i);
		gw_mem_unref(mem);
		mem = longer;
	}
	return err ? err : use_table(dialog, gw_take_ptr(mem));
}

int gw_handle_get_max_mem_slots(struct gw_dialog *dialog, struct gw_call *call)
{
	call->reply.u64 = GW_MEM_REGIONS_MAX;
	return 0;
}

int gw_handle_add_mem_reg(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_mem_region region = region_of(&call->payload->mem_reg.region);
	struct gw_mem *mem;
	int err = gw_mem_add(&mem, dialog->instance->mem, &region, call->fds[0]);

	return err ? err : use_table(dialog, mem);
}

int gw_handle_rem_mem_reg(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_mem_region region = region_of(&call->payload->mem_reg.region);
	struct gw_mem *mem;
	int err;

	if (!dialog->instance->mem)
		return gw_fail(ENOENT, "there is no region, so not this one");
	err = gw_mem_remove(&mem, dialog->instance->mem, &region);
	return err ? err : use_table(dialog, mem);
}
