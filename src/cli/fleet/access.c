/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/access.c - the options of commands that speak to etcd, named as etcdctl's. */
#include "cli/fleet/access.h"

#define TIMEOUT_S     10
#define TIMEOUT_MAX_S 600

#define AT(member) offsetof(struct gw_etcd_access, member)
const struct gw_option gw_etcd_options[] = {
	{"cacert", "FILE", "of etcds://: who signs for the server", AT(cacert), GW_OPTION_STRING},
	{"cert", "FILE", "this client's certificate", AT(cert), GW_OPTION_STRING},
	{"key", "FILE", "and its key", AT(key), GW_OPTION_STRING},
	{"user", "NAME", "of etcd", AT(user), GW_OPTION_STRING},
	{"password-file", "FILE", "whose first line is the password", AT(password_file),
	 GW_OPTION_STRING},
	{"timeout", "SECONDS", "for each request [10]", AT(timeout), GW_OPTION_NUMBER, .min = 1,
	 .max = TIMEOUT_MAX_S},
	{NULL},
};

const struct gw_etcd_access gw_etcd_access_default = {.timeout = TIMEOUT_S};
