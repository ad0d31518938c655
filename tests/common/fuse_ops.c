/* SPDX-License-Identifier: BSD-3-Clause */
/* common/fuse_ops.c - a guest that speaks FUSE: single operations. */
#include "fuse_client.h"

int fuse_init(struct fuse_client *client, uint32_t major, uint32_t minor, uint64_t flags)
{
	struct fuse_init_in in = {
		.major = major,
		.minor = minor,
		.max_readahead = 128 * 1024,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
	};

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_INIT,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .answer = &client->init,
						     .room = sizeof(client->init)});
}

int fuse_lookup(struct fuse_client *client, uint64_t parent, const char *name,
		struct fuse_entry_out *entry)
{
	struct fuse_entry_out own;

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_LOOKUP,
						     .nodeid = parent,
						     .name = name,
						     .answer = entry ? entry : &own,
						     .room = sizeof(own)});
}

uint64_t fuse_node(struct fuse_client *client, uint64_t parent, const char *name)
{
	struct fuse_entry_out entry;
	int ret = fuse_lookup(client, parent, name, &entry);

	if (ret != sizeof(entry))
		fail_msg("LOOKUP %s: %d", name, ret);
	return entry.nodeid;
}

int fuse_forget(struct fuse_client *client, uint64_t nodeid, uint64_t count)
{
	struct fuse_forget_in in = {.nlookup = count};

	return fuse_call_on(client, 0,
			    &(struct fuse_call){.opcode = FUSE_FORGET,
						.nodeid = nodeid,
						.arg = &in,
						.arg_len = sizeof(in)});
}

static int attr_call(struct fuse_client *client, struct fuse_call *call, struct fuse_attr *attr)
{
	struct fuse_attr_out out;
	int ret;

	call->answer = &out;
	call->room = sizeof(out);
	ret = fuse_call(client, call);
	if (ret >= 0 && attr)
		*attr = out.attr;
	return ret;
}

int fuse_getattr(struct fuse_client *client, uint64_t nodeid, struct fuse_attr *attr)
{
	struct fuse_getattr_in in = {0};

	return attr_call(client,
			 &(struct fuse_call){.opcode = FUSE_GETATTR,
					     .nodeid = nodeid,
					     .arg = &in,
					     .arg_len = sizeof(in)},
			 attr);
}

int fuse_setattr(struct fuse_client *client, uint64_t nodeid, const struct fuse_setattr_in *in,
		 struct fuse_attr *attr)
{
	return attr_call(client,
			 &(struct fuse_call){.opcode = FUSE_SETATTR,
					     .nodeid = nodeid,
					     .arg = in,
					     .arg_len = sizeof(*in)},
			 attr);
}

int fuse_open(struct fuse_client *client, uint64_t nodeid, uint32_t flags,
	      struct fuse_open_out *open)
{
	struct fuse_open_in in = {.flags = flags};

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_OPEN,
						     .nodeid = nodeid,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .answer = open,
						     .room = sizeof(*open)});
}

int fuse_opendir(struct fuse_client *client, uint64_t nodeid, uint64_t *fh)
{
	struct fuse_open_in in = {.flags = O_RDONLY | O_DIRECTORY};
	struct fuse_open_out open = {0};
	int ret = fuse_call(client, &(struct fuse_call){.opcode = FUSE_OPENDIR,
							.nodeid = nodeid,
							.arg = &in,
							.arg_len = sizeof(in),
							.answer = &open,
							.room = sizeof(open)});

	*fh = open.fh;
	return ret;
}

int fuse_release(struct fuse_client *client, uint32_t opcode, uint64_t fh)
{
	struct fuse_release_in in = {.fh = fh};

	return fuse_call(client,
			 &(struct fuse_call){.opcode = opcode, .arg = &in, .arg_len = sizeof(in)});
}

int fuse_read(struct fuse_client *client, uint64_t fh, uint64_t offset, void *data, uint32_t size)
{
	struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_READ,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .answer = data,
						     .room = size});
}

int fuse_write(struct fuse_client *client, uint64_t fh, uint64_t offset, const void *data,
	       uint32_t size, uint32_t flags)
{
	struct fuse_write_in in = {.fh = fh, .offset = offset, .size = size, .flags = flags};
	struct fuse_write_out out;
	int ret = fuse_call(client, &(struct fuse_call){.opcode = FUSE_WRITE,
							.arg = &in,
							.arg_len = sizeof(in),
							.data = data,
							.data_len = size,
							.answer = &out,
							.room = sizeof(out)});

	return ret < 0 ? ret : (int)out.size;
}

int fuse_create(struct fuse_client *client, uint64_t parent, const char *name, uint32_t flags,
		uint32_t mode, struct fuse_created *created)
{
	struct fuse_create_in in = {.flags = flags, .mode = mode};

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_CREATE,
						     .nodeid = parent,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .name = name,
						     .answer = created,
						     .room = sizeof(*created)});
}

int fuse_name(struct fuse_client *client, uint32_t opcode, uint64_t parent, const char *name)
{
	return fuse_call(client,
			 &(struct fuse_call){.opcode = opcode, .nodeid = parent, .name = name});
}

int fuse_mkdir(struct fuse_client *client, uint64_t parent, const char *name, uint32_t mode,
	       struct fuse_entry_out *entry)
{
	struct fuse_mkdir_in in = {.mode = mode};
	struct fuse_entry_out own;

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_MKDIR,
						     .nodeid = parent,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .name = name,
						     .answer = entry ? entry : &own,
						     .room = sizeof(own)});
}

int fuse_rename(struct fuse_client *client, uint64_t from, const char *name, uint64_t to,
		const char *name2, uint32_t flags)
{
	struct fuse_rename2_in in = {.newdir = to, .flags = flags};

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_RENAME2,
						     .nodeid = from,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .name = name,
						     .name2 = name2});
}
