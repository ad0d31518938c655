/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_log.c - dirty pages are marked: all of them, and only when asked to. */
#include <string.h>

#include "cli/conform/conform.h"
#include "godwit/error.h"

#define PAGE 4096
#define BITS 8

static bool is_marked(struct gw_frontend *frontend, const void *at)
{
	size_t bytes, size;
	const uint8_t *table = gw_frontend_log_table(frontend, &bytes);
	const char *memory = gw_frontend_memory(frontend, &size);
	uint64_t page = (GW_FRONTEND_GPA + (uint64_t)((const char *)at - memory)) / PAGE;

	return page / BITS < bytes && table[page / BITS] & 1u << page % BITS;
}

static void forget(struct gw_frontend *frontend)
{
	size_t bytes;
	uint8_t *table = (uint8_t *)(uintptr_t)gw_frontend_log_table(frontend, &bytes);

	for (size_t i = 0; i < bytes; i++)
		__atomic_store_n(&table[i], 0, __ATOMIC_SEQ_CST);
}

static unsigned marked(struct gw_frontend *frontend)
{
	size_t bytes;
	const uint8_t *table = gw_frontend_log_table(frontend, &bytes);
	unsigned count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += (unsigned)__builtin_popcount(table[i]);
	return count;
}

static void start_logged(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest)
{
	cf_guest_start(run, backend, guest);
	cf_ok(run, gw_frontend_log(guest->frontend, true), "switch logging on");
	forget(guest->frontend);
}

static const char *used_ring(struct cf_guest *guest)
{
	uint64_t desc, avail, used;

	gw_driver_areas(guest->frontend->guest->drivers[guest->lane], &desc, &avail, &used);
	return (const char *)guest->frontend->guest->rings[guest->lane] + used;
}

static void used_marked(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	start_logged(run, &backend, &guest);
	cf_guest_works(&guest);
	CF_EXPECT(run, is_marked(guest.frontend, used_ring(&guest)),
		  "the page of the used ring is not marked");
}

/* Every page that differs from what it was must be marked: the truth is in guest memory. */
static void all_marked(struct cf_run *run)
{
	static char before[8u << 20];
	struct cf_backend backend = {0};
	struct cf_guest guest;
	size_t size;
	char *memory;

	start_logged(run, &backend, &guest);
	memory = gw_frontend_memory(guest.frontend, &size);
	CF_EXPECT(run, size == sizeof(before), "guest memory of %zu bytes", size);
	for (unsigned i = 0; i < CF_SLOTS; i++)
		guest.work->request(&guest, i);
	memcpy(before, memory, size);
	gw_driver_kick(guest.frontend, guest.lane);
	/* Not collected by the driver, which writes too; what the device wrote is all there is. */
	cf_sleep_ms(300);
	for (size_t at = 0; at < size; at++)
		CF_EXPECT(run, before[at] == memory[at] || is_marked(guest.frontend, memory + at),
			  "page %zu of guest memory was written, at %zu, and is not marked",
			  at / PAGE, at % PAGE);
	cf_guest_collect(&guest);
}

static void off_is_off(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	start_logged(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_log(guest.frontend, false), "switch logging off");
	cf_answers(run, guest.frontend);
	forget(guest.frontend);
	cf_guest_works(&guest);
	CF_EXPECT(run, !marked(guest.frontend), "%u pages were marked after logging went off",
		  marked(guest.frontend));
}

static void on_again(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	start_logged(run, &backend, &guest);
	cf_guest_works(&guest);
	for (unsigned i = 0; i < 5; i++) {
		cf_ok(run, gw_frontend_log(guest.frontend, false), "switch logging off");
		cf_guest_works(&guest);
		cf_ok(run, gw_frontend_log(guest.frontend, true), "switch logging on again");
		forget(guest.frontend);
		cf_guest_works(&guest);
		CF_EXPECT(run, is_marked(guest.frontend, used_ring(&guest)),
			  "the used ring's page is not marked when logging is on again");
	}
}

static void replaced(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	void *base;

	start_logged(run, &backend, &guest);
	/* More memory needs a larger table. */
	cf_ok(run, gw_frontend_add_region(guest.frontend, UINT64_C(64) << 20, &base),
	      "add memory, and a larger log");
	forget(guest.frontend);
	cf_guest_works(&guest);
	CF_EXPECT(run, is_marked(guest.frontend, used_ring(&guest)),
		  "the used ring's page is not marked in the new table");
}

static void at_start(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_ok(run, gw_frontend_log(guest.frontend, true), "switch logging on");
	cf_guest_begin(&guest);
	forget(guest.frontend);
	cf_guest_works(&guest);
	CF_EXPECT(run, is_marked(guest.frontend, used_ring(&guest)),
		  "the used ring's page is not marked where logging was on before the start");
}

static void small_table(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct gw_vu_log log = {.size = 1};
	int fd;

	start_logged(run, &backend, &guest);
	fd = cf_memfd(run, PAGE);
	gw_frontend_send_raw(guest.frontend, GW_VU_SET_LOG_BASE, GW_VU_VERSION, &log, sizeof(log),
			     &fd, 1);
	guest.work->request(&guest, 0);
	gw_driver_kick(guest.frontend, guest.lane);
	cf_not_crashed(run, &backend);
}

static void no_descriptor(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	struct gw_vu_log log = {.size = PAGE};

	gw_frontend_send_raw(frontend, GW_VU_SET_LOG_BASE, GW_VU_VERSION, &log, sizeof(log), NULL,
			     0);
	cf_not_crashed(run, &backend);
}

#define LOG CF_NEEDS_WORK | CF_NEEDS_LOG
const struct cf_check cf_checks_log[] = {
	{"log-used", "the used ring's page is marked", "Migration", CF_MUST, LOG,
	 .run = used_marked},
	{"log-all", "so is every page that the device writes", "Migration", CF_MUST, LOG,
	 .run = all_marked},
	{"log-off", "nothing is marked once logging is off", "Migration", CF_SHOULD, LOG,
	 .run = off_is_off},
	{"log-again", "logging goes on and off, any number of times", "Migration", CF_MUST, LOG,
	 .run = on_again},
	{"log-replaced", "a new log takes the place of the old one while rings run",
	 "Front-end message types: VHOST_USER_SET_LOG_BASE", CF_MUST, LOG,
	 .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS), .run = replaced},
	{"log-at-start", "logging may be on before rings start", "Migration", CF_MUST, LOG,
	 .run = at_start},
	{"log-small", "a log too small for guest memory does not end the back-end", "Migration",
	 CF_MUST, LOG | CF_NEEDS_EXEC, .run = small_table},
	{"log-no-fd", "nor does one without a descriptor",
	 "Front-end message types: VHOST_USER_SET_LOG_BASE", CF_MUST, CF_NEEDS_LOG | CF_NEEDS_EXEC,
	 .run = no_descriptor},
	{NULL},
};
