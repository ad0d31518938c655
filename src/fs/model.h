/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/model.h - the device model of virtio-fs, and what its parameters make of an instance. */
#ifndef GW_FS_MODEL_H
#define GW_FS_MODEL_H

#include "fs/fs.h"

/* Is what the operator configured possible at all? Creates nothing; -EINVAL with a sentence. */
int fs_host_check(const struct fs_host *host);
/* The parameters that the operator's configuration names; the others stay unset. */
int fs_host_params(const struct fs_host *host, struct gw_params *params);
/* The maps that its ranges make, of users and of groups. */
int fs_host_ids(const struct fs_host *host, struct fs_idmap *uids, struct fs_idmap *gids);
/* What moves with it, and what is here; @handles: files can be opened by handle. */
void fs_host_environment(const struct fs_host *host, bool handles,
			 struct gw_environment *environment);
/* gw_device_ops.check: combinations that the types do not say. */
int fs_model_check(const struct gw_model *model, const struct gw_params *params);
/* fs->policy from fs->params: what is unset is as the operator has it, or off. */
void fs_policy_apply(struct fs *fs);

#endif
