/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/info.h - what an implementation supports, and what an instance is, as documents. */
#ifndef GW_MIGRATION_INFO_H
#define GW_MIGRATION_INFO_H

#include <jansson.h>

#include "godwit/device.h"

/* docs/compatibility.md has both documents. What is not known there is passed over, other numbers
 * are refused. */
#define GW_INFO_FORMAT 1

/* What a build can be: format, implementation, models. @boot and @environment may be
 * NULL. NULL: no memory. */
json_t *gw_info_implementation(const struct gw_device_ops *ops, const char *program,
			       const char *version, const char *boot,
			       const struct gw_environment *environment);
/*
 * Adds to both of @environment who may have signed states: one that has a key takes those that were
 * signed with the same; one that has none takes any. Only in documents: at a load the signature
 * itself is looked at. @key has GW_STATE_KEY_LEN bytes, or is NULL.
 */
void gw_info_add_key(struct gw_environment *environment, const uint8_t *key);
/* There is room for so many more instances of each model in it. */
void gw_info_set_available(json_t *implementation, int64_t available);
/* What one instance is: format, model, the params that are set and not off; in "unset" the names of
 * those that a load may still decide; the name of the profile that is the same, if there is one. */
json_t *gw_info_instance(const struct gw_params *params, const struct gw_environment *environment);

/*
 * The other way: @document, which is not trusted, as a complete set of values for one of @models
 * (what it does not name is off). -EBADMSG: it is no document of an instance, or of another format;
 * or something in it is "unset"; a sentence tells. -EINVAL: it is one, and no instance of this
 * build can be that; then all that is against it is in the array @reasons, {"code":, "text":}.
 */
int gw_info_read_instance(struct gw_params **params, const struct gw_model *const *models,
			  const json_t *document, json_t *reasons);

/*
 * Could one be made as @document says? {"compatible":, "reasons": [{"code":, "text":}]} in
 * *@verdict, by the code of start-up; nothing is made. -EBADMSG as above, -ENOMEM.
 */
int gw_info_check(const struct gw_device_ops *ops, const json_t *document, json_t **verdict);

#endif
