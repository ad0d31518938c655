/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/driver.c - the driver side of a ring: chains, tokens, indirect tables. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "virtio/driver_ring.h"

#define PAGE	    4096
#define TABLE_BYTES (GW_DRIVER_INDIRECT_MAX * sizeof(struct vring_desc))
static_assert(sizeof(struct vring_desc) == 16, "both kinds of table have entries of 16 bytes");
static_assert(sizeof(struct vring_packed_desc) == 16, "both kinds of table are equally long");

static const struct gw_driver_ops *ops_of(bool packed)
{
	return packed ? &gw_driver_packed : &gw_driver_split;
}

/* Indirect tables stand behind the ring, one for each slot. */
static size_t tables_offset(unsigned num, bool packed)
{
	return gw_round_up(ops_of(packed)->ring_bytes(num), PAGE);
}

size_t gw_driver_bytes(unsigned num, bool packed, bool indirect)
{
	return tables_offset(num, packed) + (indirect ? gw_round_up(num * TABLE_BYTES, PAGE) : 0);
}

static int check_config(const struct gw_driver_config *config)
{
	if (!config->num || config->num > GW_DRIVER_NUM_MAX)
		return gw_fail(EINVAL, "driver: %u entries, not 1 to %d", config->num,
			       GW_DRIVER_NUM_MAX);
	if (!config->packed && !gw_is_power_of_two(config->num))
		return gw_fail(EINVAL, "driver: %u entries of a split ring, no power of two",
			       config->num);
	return 0;
}

int gw_driver_new(struct gw_driver **out, const struct gw_driver_config *config)
{
	struct gw_driver *driver;
	int err = check_config(config);

	if (err)
		return err;
	driver = calloc(1, sizeof(*driver));
	if (driver) {
		driver->config = *config;
		driver->ops = ops_of(config->packed);
		driver->slots = calloc(config->num, sizeof(*driver->slots));
		driver->segs = calloc(GW_MAX(config->num, (unsigned)GW_DRIVER_INDIRECT_MAX),
				      sizeof(*driver->segs));
	}
	if (!driver || !driver->slots || !driver->segs) {
		gw_driver_free(driver);
		return gw_fail(ENOMEM, "driver: no memory for %u entries", config->num);
	}
	gw_driver_reset(driver);
	*out = driver;
	return 0;
}

void gw_driver_free(struct gw_driver *driver)
{
	if (!driver)
		return;
	free(driver->slots);
	free(driver->segs);
	free(driver);
}

void gw_driver_reset(struct gw_driver *driver)
{
	const struct gw_driver_config *config = &driver->config;

	memset(config->ring, 0, gw_driver_bytes(config->num, config->packed, config->indirect));
	for (unsigned i = 0; i < config->num; i++)
		driver->slots[i] = (struct gw_driver_slot){.next = (uint16_t)(i + 1)};
	driver->free_head = 0;
	driver->free_descs = config->num;
	driver->outstanding = 0;
	driver->added = 0;
	driver->broken = false;
	driver->next_avail = 0;
	driver->next_used = 0;
	driver->avail_wrap = true;
	driver->used_wrap = true;
	driver->ops->arm(driver);
}

void gw_driver_areas(const struct gw_driver *driver, uint64_t *desc, uint64_t *avail,
		     uint64_t *used)
{
	driver->ops->areas(driver->config.num, desc, avail, used);
}

uint32_t gw_driver_base(const struct gw_driver *driver)
{
	return driver->ops->base(driver);
}

static int add_segments(struct gw_driver *driver, unsigned at, const struct iovec *iov,
			unsigned count, bool writable)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t gpa = driver->config.gpa_of(driver->config.opaque, iov[i].iov_base,
						     iov[i].iov_len);

		if (gpa == UINT64_MAX || iov[i].iov_len > UINT32_MAX)
			return gw_fail(EFAULT, "driver: segment %u of %zu bytes is no guest memory",
				       at + i, iov[i].iov_len);
		driver->segs[at + i] = (struct gw_driver_seg){
			.gpa = gpa, .len = (uint32_t)iov[i].iov_len, .writable = writable};
	}
	return 0;
}

/* Copies the chain into the indirect table of the slot that will be used; its address. */
static uint64_t fill_table(struct gw_driver *driver, unsigned count)
{
	uint64_t offset = tables_offset(driver->config.num, driver->config.packed) +
			  driver->free_head * TABLE_BYTES;

	for (unsigned i = 0; i < count; i++)
		driver->ops->table_entry(gw_driver_at(driver, offset), i, count, &driver->segs[i]);
	return driver->config.ring_gpa + offset;
}

int gw_driver_queue_add(struct gw_driver *driver, const struct iovec *out, unsigned out_count,
			const struct iovec *in, unsigned in_count, void *token)
{
	uint64_t count = (uint64_t)out_count + in_count;
	bool indirect = driver->config.indirect && count > 1 && count <= GW_DRIVER_INDIRECT_MAX;
	int err;

	if (!count || (!indirect && count > driver->config.num))
		return gw_fail(EINVAL, "driver: a chain of %llu segments on a ring of %u",
			       (unsigned long long)count, driver->config.num);
	if (driver->free_descs < (indirect ? 1 : count))
		return gw_fail(ENOSPC, "driver: %u entries are free, %llu needed",
			       driver->free_descs, (unsigned long long)(indirect ? 1 : count));
	err = add_segments(driver, 0, out, out_count, false);
	if (!err)
		err = add_segments(driver, out_count, in, in_count, true);
	if (err)
		return err;
	driver->ops->put(driver, (unsigned)count,
			 indirect ? fill_table(driver, (unsigned)count) : 0, token);
	driver->outstanding++;
	return 0;
}

bool gw_driver_wants_kick(struct gw_driver *driver)
{
	bool wanted;

	if (!driver->added)
		return false;
	wanted = driver->ops->wants_kick(driver);
	driver->added = 0;
	return wanted;
}

bool gw_driver_queue_get(struct gw_driver *driver, void **token, uint32_t *len)
{
	uint32_t id, written;

	if (driver->broken || !driver->ops->take(driver, &id, &written))
		return false;
	if (id >= driver->config.num || !driver->slots[id].descs) {
		gw_error("driver: the device used element %u, which is not outstanding", id);
		driver->broken = true;
		return false;
	}
	*token = driver->slots[id].token;
	if (len)
		*len = written;
	driver->ops->release(driver, (uint16_t)id);
	driver->outstanding--;
	return true;
}

bool gw_driver_arm(struct gw_driver *driver)
{
	return driver->ops->arm(driver);
}

unsigned gw_driver_outstanding(const struct gw_driver *driver)
{
	return driver->outstanding;
}

bool gw_driver_is_broken(const struct gw_driver *driver)
{
	return driver->broken;
}
