/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp.c - filters made of the tables of calls, one for each kind of thread. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/sanitized.h"
#include "daemon/seccomp.h"
#include "godwit/error.h"

const char *const gw_seccomp_words[] = {"kill", "trap", "log", "none", NULL};

static const uint32_t actions[] = {
	[GW_SECCOMP_KILL] = SCMP_ACT_KILL_PROCESS,
	[GW_SECCOMP_TRAP] = SCMP_ACT_TRAP,
	[GW_SECCOMP_LOG] = SCMP_ACT_LOG,
};

/* Ready to be put on, as the kernel wants them. All NULL: there are no filters. */
static struct sock_fprog programs[GW_THREAD_KINDS];

static void release(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

/* @call exists here: not all do on every architecture. */
static int add_rule(scmp_filter_ctx filter, const struct gw_seccomp_rule *rule)
{
	uint32_t action = rule->error ? SCMP_ACT_ERRNO((uint32_t)rule->error) : SCMP_ACT_ALLOW;
	int number = seccomp_syscall_resolve_name(rule->call);

	if (number < 0)
		return 0;
	if (!rule->mask)
		return seccomp_rule_add(filter, action, number, 0);
	return seccomp_rule_add(
		filter, action, number, 1,
		SCMP_CMP(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, rule->value));
}

static int add_rules(scmp_filter_ctx filter, const struct gw_seccomp_rule *rules, unsigned kinds)
{
	int err = 0;

	for (const struct gw_seccomp_rule *rule = rules; !err && rule->call; rule++) {
		if (rule->kinds & kinds)
			err = add_rule(filter, rule);
	}
	return err;
}

static int load(struct sock_fprog *program, int fd)
{
	off_t size = lseek(fd, 0, SEEK_CUR);
	GW_AUTO_FREE struct sock_filter *code = size > 0 ? malloc((size_t)size) : NULL;

	if (!code || pread(fd, code, (size_t)size, 0) != size)
		return -EIO;
	program->len = (unsigned short)((size_t)size / sizeof(*code));
	program->filter = gw_take_ptr(code);
	return 0;
}

/* libseccomp 2.5 writes its programs to descriptors only. */
static int make(struct sock_fprog *program, const struct gw_seccomp_rule *rules, unsigned kinds,
		uint32_t otherwise)
{
	__attribute__((cleanup(release))) scmp_filter_ctx filter = seccomp_init(otherwise);
	GW_AUTO_FD int fd = memfd_create("seccomp", MFD_CLOEXEC);
	/* By number in a tree: what a worker calls most is not asked for last. */
	int err =
		filter && fd >= 0 ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) : -ENOMEM;

	if (!err)
		err = add_rules(filter, gw_seccomp_common_rules, kinds);
	if (!err)
		err = add_rules(filter, rules, kinds);
	if (!err)
		err = seccomp_export_bpf(filter, fd);
	if (!err)
		err = load(program, fd);
	return err ? gw_fail(-err, "seccomp: a filter cannot be made: %s", strerror(-err)) : 0;
}

int gw_seccomp_prepare(enum gw_seccomp_mode mode, const struct gw_seccomp_rule *rules, bool syslog)
{
	int err = 0;

	if (mode == GW_SECCOMP_NONE)
		return 0;
	if (GW_SANITIZED) {
		gw_info("seccomp: no filters in a build with sanitizers");
		return 0;
	}
	for (int kind = 0; !err && kind < GW_THREAD_KINDS; kind++)
		err = make(&programs[kind], rules, GW_KIND(kind) | (syslog ? GW_KIND_SYSLOG : 0),
			   actions[mode]);
	return err;
}

static int put_on(enum gw_thread_kind kind)
{
	if (!programs[kind].filter)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &programs[kind]) == 0)
		return 0;
	return gw_fail(errno, "seccomp: %s (use --seccomp=none where it is not allowed)",
		       strerror(errno));
}

static int on_thread(enum gw_thread_kind kind)
{
	/* To go on would break a promise. */
	if (put_on(kind)) {
		gw_error("%s", gw_last_error());
		abort();
	}
	return 0;
}

int gw_seccomp_enter(void)
{
	gw_thread_set_hook(on_thread);
	return put_on(GW_THREAD_CONTROL);
}
