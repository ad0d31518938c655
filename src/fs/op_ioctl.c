/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_ioctl.c - IOCTL: file attributes and fs-verity; nothing else reaches the host. */
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/checked.h"
#include "fs/handle.h"
#include "fs/ops.h"

/* fs-verity's documentation: a salt has at most 32 bytes, a signature 16128. */
#define SALT_MAX      32
#define SIGNATURE_MAX 16128
#define DIGEST_MAX    64

/* Anything that one of the calls works on. Flags are an int for Linux, whatever its headers say. */
union value {
	unsigned flags;
	struct fsxattr attr;
	struct fsverity_enable_arg enable;
	struct fsverity_digest digest;
	uint8_t room[sizeof(struct fsverity_digest) + DIGEST_MAX]; /* for what follows it */
};

/* @value: what the guest sent, and what it gets. 0 or a negative errno. */
typedef int ioctl_fn(struct fs_request *req, int fd, union value *value);

static int call(int fd, unsigned long number, void *arg)
{
	return ioctl(fd, number, arg) < 0 ? -errno : 0;
}

static int get_flags(struct fs_request *req, int fd, union value *value)
{
	(void)req;
	return call(fd, FS_IOC_GETFLAGS, &value->flags);
}

/*
 * A project is what the host's quotas go by: the guest's root is not to leave the one that the
 * share is in.
 */
static int set_flags(struct fs_request *req, int fd, union value *value)
{
	unsigned now;
	int ret = call(fd, FS_IOC_GETFLAGS, &now);

	(void)req;
	if (ret < 0)
		return ret;
	if ((now ^ value->flags) & FS_PROJINHERIT_FL)
		return -EPERM;
	return call(fd, FS_IOC_SETFLAGS, &value->flags);
}

static int get_attr(struct fs_request *req, int fd, union value *value)
{
	(void)req;
	return call(fd, FS_IOC_FSGETXATTR, &value->attr);
}

static int set_attr(struct fs_request *req, int fd, union value *value)
{
	struct fsxattr now;
	int ret = call(fd, FS_IOC_FSGETXATTR, &now);

	(void)req;
	if (ret < 0)
		return ret;
	if (now.fsx_projid != value->attr.fsx_projid ||
	    (now.fsx_xflags ^ value->attr.fsx_xflags) & FS_XFLAG_PROJINHERIT)
		return -EPERM;
	return call(fd, FS_IOC_FSSETXATTR, &value->attr);
}

/* Salt and signature come behind the argument; its pointers are the guest's and mean nothing. */
static int enable_verity(struct fs_request *req, int fd, union value *value)
{
	struct fsverity_enable_arg *arg = &value->enable;
	const char *rest = (const char *)req->blob + sizeof(*arg);

	if (arg->salt_size > SALT_MAX || arg->sig_size > SIGNATURE_MAX)
		return -EMSGSIZE;
	if (req->blob_len - sizeof(*arg) < (size_t)arg->salt_size + arg->sig_size)
		return fs_complain(req, EINVAL, "%u and %u bytes of salt and signature, %zu came",
				   arg->salt_size, arg->sig_size, req->blob_len - sizeof(*arg));
	arg->salt_ptr = arg->salt_size ? (uintptr_t)rest : 0;
	arg->sig_ptr = arg->sig_size ? (uintptr_t)(rest + arg->salt_size) : 0;
	return call(fd, FS_IOC_ENABLE_VERITY, arg);
}

static int measure_verity(struct fs_request *req, int fd, union value *value)
{
	(void)req;
	value->digest.digest_size = GW_MIN(value->digest.digest_size, (uint16_t)DIGEST_MAX);
	return call(fd, FS_IOC_MEASURE_VERITY, &value->digest);
}

/* @in, @out: bytes of union value that the guest sends, and gets at least. */
static const struct command {
	uint32_t number;
	uint16_t in, out;
	bool writes;
	ioctl_fn *run;
} commands[] = {
	{FS_IOC_GETFLAGS, 0, sizeof(unsigned), false, get_flags},
	{FS_IOC_SETFLAGS, sizeof(unsigned), 0, true, set_flags},
	{FS_IOC_FSGETXATTR, 0, sizeof(struct fsxattr), false, get_attr},
	{FS_IOC_FSSETXATTR, sizeof(struct fsxattr), 0, true, set_attr},
	{FS_IOC_ENABLE_VERITY, sizeof(struct fsverity_enable_arg), 0, true, enable_verity},
	{FS_IOC_MEASURE_VERITY, sizeof(struct fsverity_digest), sizeof(struct fsverity_digest),
	 false, measure_verity},
};

static const struct command *find(uint32_t number)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(commands); i++) {
		if (commands[i].number == number)
			return &commands[i];
	}
	return NULL;
}

/* How much the guest gets: what is there, but no more than it has room for. */
static size_t answer_len(const struct command *command, const struct fuse_ioctl_in *in,
			 const union value *value)
{
	size_t len = command->out;

	if (command->run == measure_verity)
		len += value->digest.digest_size;
	return GW_MIN(len, (size_t)in->out_size);
}

static int check(struct fs_request *req, const struct command *command)
{
	const struct fuse_ioctl_in *in = req->arg;

	if (command->writes && req->fs->host->readonly)
		return -EROFS;
	if (in->in_size > req->blob_len || in->in_size < command->in || in->out_size < command->out)
		return fs_complain(req, EINVAL, "command %#x with %u bytes (%zu came) and room %u",
				   in->cmd, in->in_size, req->blob_len, in->out_size);
	return 0;
}

int fs_op_ioctl(struct fs_request *req)
{
	const struct fuse_ioctl_in *in = req->arg;
	const struct command *command = find(in->cmd);
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct {
		struct fuse_ioctl_out head;
		union value value;
	} out;
	int ret;

	if (!command)
		return -ENOTTY;
	if (!handle)
		return -EBADF;
	ret = check(req, command);
	if (ret < 0)
		return ret;
	memset(&out, 0, sizeof(out));
	memcpy(&out.value, req->blob, command->in);
	ret = command->run(req, handle->fd, &out.value);
	if (ret < 0)
		return ret;
	return fs_reply(req, &out, sizeof(out.head) + answer_len(command, in, &out.value));
}
