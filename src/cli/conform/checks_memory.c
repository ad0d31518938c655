/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_memory.c - guest memory: tables, slots, and such that cannot be. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define REGION	  (UINT64_C(1) << 20)
#define FAR_GPA	  (UINT64_C(1) << 40)
#define FAR_UADDR (UINT64_C(1) << 44)

/* Works with memory in @regions pieces, told in one table or slot by slot. */
static void works_in(struct cf_run *run, unsigned regions, uint64_t refuse)
{
	struct cf_backend backend = {0};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct cf_guest guest;

	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	config.memory_regions = regions;
	config.refuse_protocol_features = refuse;
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	cf_guest_on(run, frontend, &guest);
	cf_guest_begin(&guest);
	cf_guest_post(&guest, CF_SLOTS);
	cf_guest_collect(&guest);
}

static void table_one(struct cf_run *run)
{
	works_in(run, 1, GW_VU_PF(CONFIGURE_MEM_SLOTS));
}

static void table_eight(struct cf_run *run)
{
	works_in(run, GW_VU_REGIONS_MAX, GW_VU_PF(CONFIGURE_MEM_SLOTS));
}

static void slots_eight(struct cf_run *run)
{
	works_in(run, GW_VU_REGIONS_MAX, 0);
}

static void hot_add(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	void *base;

	cf_guest_start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_add_region(guest.frontend, 2 * REGION, &base), "add memory");
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_remove_region(guest.frontend, base), "remove memory");
	cf_guest_works(&guest);
}

static void hot_table(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct cf_guest guest;
	void *base;

	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	config.refuse_protocol_features = GW_VU_PF(CONFIGURE_MEM_SLOTS);
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	cf_guest_on(run, frontend, &guest);
	cf_guest_begin(&guest);
	cf_ok(run, gw_frontend_add_region(frontend, 2 * REGION, &base), "a larger table");
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_remove_region(frontend, base), "a smaller table");
	cf_guest_works(&guest);
}

/* A table of @count regions as they stand, with @fd_count descriptors of one region's memory. */
static uint64_t send_table(struct cf_run *run, struct gw_frontend *frontend,
			   struct gw_vu_mem_table *table, unsigned sent, unsigned fd_count)
{
	int fds[GW_VU_REGIONS_MAX];
	uint64_t value;

	for (unsigned i = 0; i < fd_count; i++)
		fds[i] = cf_memfd(run, REGION);
	value = cf_tell(run, frontend, GW_VU_SET_MEM_TABLE, table,
			(uint32_t)(offsetof(struct gw_vu_mem_table, regions) +
				   sent * sizeof(struct gw_vu_region)),
			fds, fd_count);
	for (unsigned i = 0; i < fd_count; i++)
		close(fds[i]);
	return value;
}

static struct gw_vu_mem_table good_table(unsigned count)
{
	struct gw_vu_mem_table table = {.count = count};

	for (unsigned i = 0; i < count && i < GW_VU_REGIONS_MAX; i++)
		table.regions[i] = (struct gw_vu_region){.gpa = FAR_GPA + i * 2 * REGION,
							 .size = REGION,
							 .uaddr = FAR_UADDR + i * 2 * REGION};
	return table;
}

/* A table that cannot be: it is refused, or the connection ends; the process does not crash. */
static void refuses(struct cf_run *run, struct gw_vu_mem_table *table, unsigned sent,
		    unsigned fd_count)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t value = send_table(run, frontend, table, sent, fd_count);

	cf_not_crashed(run, &backend);
	CF_EXPECT(run, value, "the table was acknowledged");
	cf_answers(run, frontend);
}

static void table_few_fds(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(2);

	refuses(run, &table, 2, 1);
}

static void table_no_fds(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(1);

	refuses(run, &table, 1, 0);
}

static void table_count(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(1);

	table.count = UINT32_MAX;
	refuses(run, &table, 1, 1);
}

static void table_empty_region(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(1);

	table.regions[0].size = 0;
	refuses(run, &table, 1, 1);
}

static void table_overflow(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(1);

	table.regions[0].gpa = UINT64_MAX - 4095;
	refuses(run, &table, 1, 1);
}

static void table_offset(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(1);

	table.regions[0].offset = UINT64_MAX - 4095;
	refuses(run, &table, 1, 1);
}

static void table_overlap(struct cf_run *run)
{
	struct gw_vu_mem_table table = good_table(2);

	table.regions[1].gpa = table.regions[0].gpa + 4096;
	refuses(run, &table, 2, 2);
}

/* Memory that ends before its region does: using it must not end the back-end. */
static void table_short_file(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	struct gw_vu_mem_table table = good_table(1);

	table.regions[0].size = 64 * REGION;
	send_table(run, frontend, &table, 1, 1);
	cf_not_crashed(run, &backend);
}

static void slot_unknown(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	struct gw_vu_mem_reg reg = {.region = {.gpa = FAR_GPA, .size = REGION, .uaddr = FAR_UADDR}};
	uint64_t value = cf_tell(run, frontend, GW_VU_REM_MEM_REG, &reg, sizeof(reg), NULL, 0);

	CF_EXPECT(run, value, "removing memory that was never added was acknowledged");
}

static void slot_no_fd(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	struct gw_vu_mem_reg reg = {.region = {.gpa = FAR_GPA, .size = REGION, .uaddr = FAR_UADDR}};
	uint64_t value = cf_tell(run, frontend, GW_VU_ADD_MEM_REG, &reg, sizeof(reg), NULL, 0);

	cf_not_crashed(run, &backend);
	CF_EXPECT(run, value, "memory without a descriptor was acknowledged");
}

#define TABLE "Front-end message types: VHOST_USER_SET_MEM_TABLE"
#define SLOTS "Front-end message types: VHOST_USER_ADD_MEM_REG"
#define ACK   GW_VU_PF(REPLY_ACK)
const struct cf_check cf_checks_memory[] = {
	{"mem-table", "guest memory in one table of one region works", TABLE, CF_MUST,
	 CF_NEEDS_WORK, .run = table_one},
	{"mem-table-eight", "eight regions work", TABLE, CF_MUST, CF_NEEDS_WORK,
	 .run = table_eight},
	{"mem-slots-eight", "so do eight slots", SLOTS, CF_MUST, CF_NEEDS_WORK,
	 .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS), .run = slots_eight},
	{"mem-hot", "memory comes and goes while rings run", SLOTS, CF_MUST, CF_NEEDS_WORK,
	 .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS), .run = hot_add},
	{"mem-hot-table", "a new table takes the place of the old one while rings run", TABLE,
	 CF_MUST, CF_NEEDS_WORK, .run = hot_table},
	{"mem-few-fds", "a table with fewer descriptors than regions is refused", TABLE, CF_SHOULD,
	 .protocol = ACK, .run = table_few_fds},
	{"mem-no-fds", "so is one without any", TABLE, CF_SHOULD, .protocol = ACK,
	 .run = table_no_fds},
	{"mem-count", "so is one that counts more regions than it has", TABLE, CF_SHOULD,
	 .protocol = ACK, .run = table_count},
	{"mem-empty-region", "so is a region of no bytes", TABLE, CF_SHOULD, .protocol = ACK,
	 .run = table_empty_region},
	{"mem-overflow", "so is a region beyond the end of addresses", TABLE, CF_SHOULD,
	 .protocol = ACK, .run = table_overflow},
	{"mem-offset", "so is one beyond the end of its file", TABLE, CF_SHOULD, .protocol = ACK,
	 .run = table_offset},
	{"mem-overlap", "so are regions that overlap", "Memory region description", CF_SHOULD,
	 .protocol = ACK, .run = table_overlap},
	{"mem-short-file", "a file shorter than its region does not end the back-end", TABLE,
	 CF_SHOULD, CF_NEEDS_EXEC, .run = table_short_file},
	{"mem-slot-unknown", "memory that was never added cannot be removed",
	 "Front-end message types: VHOST_USER_REM_MEM_REG", CF_SHOULD,
	 .protocol = ACK | GW_VU_PF(CONFIGURE_MEM_SLOTS), .run = slot_unknown},
	{"mem-slot-no-fd", "memory without a descriptor is refused", SLOTS, CF_SHOULD,
	 .protocol = ACK | GW_VU_PF(CONFIGURE_MEM_SLOTS), .run = slot_no_fd},
	{NULL},
};
