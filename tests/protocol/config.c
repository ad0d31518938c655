/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/config.c - the configuration space: read, written, and never beyond its end. */
#include "../unit/cmocka-all.h"

#include <stddef.h>

#include "provoke.h"

static void read_and_write(void **state)
{
	struct scripted_config config;
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t seed = 77;

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	ok(gw_frontend_set_config(frontend, offsetof(struct scripted_config, seed), &seed,
				  sizeof(seed), false));
	ok(gw_frontend_get_config(frontend, 0, &config, sizeof(config)));
	assert_int_equal(config.seed, 77);
	assert_true(gw_frontend_set_config(frontend, 0, &seed, sizeof(seed), false) < 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Every offset and length: what does not lie within the space is refused, or reads as zeros. */
static void every_range(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	uint8_t buf[256];

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	for (unsigned offset = 0; offset <= 20; offset++) {
		for (unsigned len = 0; len <= 40; len++) {
			int err = gw_frontend_get_config(frontend, offset, buf, len);

			if (len && offset + len <= sizeof(struct scripted_config))
				assert_int_equal(err, 0);
			for (unsigned i = sizeof(struct scripted_config); !err && i < offset + len;
			     i++)
				if (i >= offset)
					assert_int_equal(buf[i - offset], 0);
		}
	}
	gw_frontend_get_config(frontend, UINT32_MAX, buf, sizeof(buf));
	gw_frontend_get_config(frontend, UINT32_MAX - 8, buf, sizeof(buf));
	ok(gw_frontend_get_config(frontend, 0, buf, 8));
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_and_write),
		cmocka_unit_test(every_range),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
