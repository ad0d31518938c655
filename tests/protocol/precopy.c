/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/precopy.c - most of a state is brought ahead of it, over the control sockets: a hint,
 * which gives way to everything. */
#include "../unit/cmocka-all.h"

#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "echo.h"
#include "null/null.h"
#include "operator.h"
#include "peer.h"

#define SAVE		 "{\"execute\":\"migration-precopy-save\"}\n"
#define LOAD		 "{\"execute\":\"migration-precopy-load\"}\n"
#define READ(arguments)	 "{\"execute\":\"migration-precopy-read\",\"arguments\":{" arguments "}}"
#define WRITE(arguments) "{\"execute\":\"migration-precopy-write\",\"arguments\":{" arguments "}}"

#define KEY_A "0123456789abcdef0123456789abcdef"
#define KEY_B "0123456789abcdef0123456789abcdeF"

/* The null device, which can be held, and says what it was asked. */
static struct gw_device_ops hooked;
static struct {
	atomic_bool hold_round, hold_save, hold_load;
	atomic_uint begun, ended; /* precopy(): true, false */
	atomic_uint rounds;	  /* calls of save() in phase RUNNING */
	atomic_uint saves, loads; /* calls of save() in phase STOPPED; of precopy_load() */
	atomic_uint dropped;
	atomic_bool beside; /* a transfer came to a device that had not been left alone */
} seen;

static struct peer a, b; /* source and destination */
static struct operator at_a, at_b;
static struct gw_frontend *source;

/* -- the device ---------------------------------------------------------------------------- */

static int hooked_precopy(void *dev, bool on)
{
	atomic_fetch_add(on ? &seen.begun : &seen.ended, 1);
	return gw_null_ops.precopy(dev, on);
}

static int hooked_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase,
		       size_t budget)
{
	if (phase == GW_PHASE_RUNNING) {
		atomic_fetch_add(&seen.rounds, 1);
		if (atomic_load(&seen.hold_round)) {
			sleep_ms(1);
			return 1; /* more to come, and more */
		}
		return gw_null_ops.save(dev, writer, phase, budget);
	}
	if (atomic_load(&seen.begun) != atomic_load(&seen.ended))
		atomic_store(&seen.beside, true);
	atomic_fetch_add(&seen.saves, 1);
	while (atomic_load(&seen.hold_save))
		sleep_ms(1);
	return gw_null_ops.save(dev, writer, phase, budget);
}

static int hooked_precopy_load(void *dev, struct gw_state_reader *reader)
{
	unsigned before = atomic_load(&seen.dropped);

	if (!reader) {
		atomic_fetch_add(&seen.dropped, 1);
		return gw_null_ops.precopy_load(dev, NULL);
	}
	atomic_fetch_add(&seen.loads, 1);
	while (atomic_load(&seen.hold_load) && atomic_load(&seen.dropped) == before)
		sleep_ms(1);
	return gw_null_ops.precopy_load(dev, reader);
}

/* -- both ends ----------------------------------------------------------------------------- */

static void start(const char *key_a, const char *key_b)
{
	memset(&seen, 0, sizeof(seen));
	peer_start(&a, &(struct peer_options){.ops = &hooked, .control = true, .state_key = key_a});
	peer_start(&b,
		   &(struct peer_options){
			   .ops = &hooked, .control = true, .reconnect = true, .state_key = key_b});
	operator_open(&at_a, a.control);
	operator_open(&at_b, b.control);
}

static void serve(unsigned count)
{
	struct gw_frontend_config config = peer_config(&a);
	struct echo echo;

	config.queues = 1;
	ok(gw_frontend_new(&source, &config));
	ok(gw_frontend_start(source));
	echo_init(&echo, source);
	for (unsigned i = 0; i < count; i++)
		echo_once(&echo, source, 0, i);
}

static int setup(void **state)
{
	start(NULL, NULL);
	serve(3);
	return 0;
}

static int setup_signed(void **state)
{
	start(KEY_A, KEY_A);
	serve(3);
	return 0;
}

static int setup_other_key(void **state)
{
	start(KEY_A, KEY_B);
	serve(3);
	return 0;
}

static int teardown(void **state)
{
	gw_frontend_free(source);
	source = NULL;
	operator_close(&at_a);
	operator_close(&at_b);
	peer_join(&a);
	peer_stop(&b);
	return 0;
}

static struct gw_frontend *destination(void)
{
	struct gw_frontend_config config = peer_config(&b);
	struct gw_frontend *frontend;

	config.queues = 1;
	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static uint64_t served(struct gw_frontend *frontend)
{
	uint64_t count;

	ok(gw_frontend_get_config(frontend, 0, &count, sizeof(count)));
	return le64toh(count);
}

/* The state itself, as ever. */
static int save_state(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_true(fd >= 0);
	ok(gw_frontend_stop(source));
	ok(gw_frontend_save(source, fd));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void expect_three(struct gw_frontend *to)
{
	assert_int_equal(served(to), 3);
	ok(gw_frontend_start(to));
	assert_false(atomic_load(&seen.beside));
}

static void move_to(struct gw_frontend *to)
{
	int fd = save_state();

	ok(gw_frontend_load(to, fd));
	close(fd);
	expect_three(to);
}

static bool is_ahead(void)
{
	json_t *session = operator_session(&at_b);
	bool ahead = json_is_true(operator_at(session, "details.ahead"));

	json_decref(session);
	return ahead;
}

/* -- the operator -------------------------------------------------------------------------- */

static void given_up(struct operator* who, const char *part)
{
	json_t *reply = operator_reply(who);
	const char *sentence = json_string_value(operator_at(reply, "error.desc"));

	if (!strstr(sentence, part))
		fail_msg("'%s' has no '%s'", sentence, part);
	json_decref(reply);
}

static json_int_t make(void)
{
	json_t *result = operator_ask(&at_a, "migration-precopy-save");
	json_int_t bytes = json_integer_value(operator_at(result, "bytes"));

	json_decref(result);
	return bytes;
}

/* The one piece that the null device's state is; to free. */
static char *read_all(json_int_t bytes)
{
	json_t *reply;
	char *data;

	operator_say(&at_a, READ("\"position\":0") "\n");
	reply = operator_reply(&at_a);
	data = strdup(json_string_value(operator_at(reply, "return.data")));
	json_decref(reply);
	assert_int_equal(strlen(data), (bytes + 2) / 3 * 4);
	return data;
}

static void write_piece(json_int_t position, const char *data)
{
	char line[1024];

	assert_in_range(snprintf(line, sizeof(line), WRITE("\"position\":%lld,\"data\":\"%s\""),
				 (long long)position, data),
			1, sizeof(line) - 1);
	operator_do(&at_b, line);
}

static void bring(void)
{
	json_int_t bytes = make();
	char *data = read_all(bytes);

	assert_true(bytes > 0);
	write_piece(0, data);
	free(data);
}

static void begin_save(void)
{
	unsigned rounds = atomic_load(&seen.rounds);

	atomic_store(&seen.hold_round, true);
	operator_say(&at_a, SAVE);
	wait_until(&seen.rounds, rounds + 2);
}

static void begin_load(void)
{
	bring();
	atomic_store(&seen.hold_load, true);
	operator_say(&at_b, LOAD);
	wait_until(&seen.loads, 1);
}

/* -- the good way -------------------------------------------------------------------------- */

static void most_goes_ahead(void **state)
{
	struct gw_frontend *to = destination();

	bring();
	assert_false(is_ahead());
	operator_do(&at_b, LOAD);
	assert_true(is_ahead());
	assert_int_equal(atomic_load(&seen.begun), 1);
	assert_int_equal(atomic_load(&seen.ended), 1);
	/* The guest has gone on; and nothing of it is this device's state. */
	assert_int_equal(served(to), 0);
	move_to(to);
	gw_frontend_free(to);
}

static void again_in_pieces(void **state)
{
	struct gw_frontend *to = destination();
	json_int_t bytes = make();
	char *data = read_all(bytes), *second, first[9] = {0};

	memcpy(first, data, 8); /* six bytes */
	second = data + 8;
	write_piece(0, "AAAA"); /* begun anew below */
	write_piece(0, first);
	write_piece(6, second);
	operator_do(&at_b, LOAD);
	assert_true(is_ahead());
	write_piece(0, data);
	operator_do(&at_b, LOAD);
	assert_true(is_ahead());
	free(data);
	move_to(to);
	gw_frontend_free(to);
}

/* -- nonsense ------------------------------------------------------------------------------ */

static void positions(void **state)
{
	json_int_t bytes;
	char line[128];

	operator_refused(&at_a, READ("\"position\":0"), "nothing was made");
	bytes = make();
	snprintf(line, sizeof(line), READ("\"position\":%lld"), (long long)bytes + 1);
	operator_refused(&at_a, line, "there are");
	snprintf(line, sizeof(line), READ("\"position\":%lld") "\n", (long long)bytes);
	operator_say(&at_a, line);
	{
		json_t *reply = operator_reply(&at_a);

		assert_string_equal(json_string_value(operator_at(reply, "return.data")), "");
		json_decref(reply);
	}
	operator_refused(&at_a, READ("\"position\":-1"), "expected a number");
	operator_refused(&at_a, READ(""), "'position' is missing");
	operator_refused(&at_a, READ("\"position\":0,\"size\":1"), "no argument 'size'");
	operator_refused(&at_a, READ("\"position\":0,\"session\":7"), "no session 7");

	operator_refused(&at_b, WRITE("\"position\":3,\"data\":\"AAAA\""), "expected 0");
	write_piece(0, "AAAA");
	operator_refused(&at_b, WRITE("\"position\":4,\"data\":\"AAAA\""), "expected 3");
	operator_refused(&at_b, WRITE("\"position\":9223372036854775807,\"data\":\"AAAA\""),
			 "expected 3");
	operator_refused(&at_b, WRITE("\"data\":\"AAAA\""), "'position' is missing");
	/* What is loaded is no more: the next one begins at 0. */
	operator_refused(&at_b, LOAD, "cut");
	operator_refused(&at_b, WRITE("\"position\":3,\"data\":\"AAAA\""), "expected 0");
	operator_refused(&at_b, LOAD, "nothing was written");
	operator_refused(&at_b, "{\"execute\":\"migration-precopy-load\",\"arguments\":{\"id\":1}}",
			 "no argument 'id'");
}

static void no_base64(void **state)
{
	static const char *const garbage[] = {
		"\"AAA\"",	"\"AAAAA\"", "\"AA!A\"",      "\"AA A\"", "\" AAA\"",
		"\"AAA\\n\"",	"\"AB==\"",  "\"AAB=\"",      "\"A===\"", "\"====\"",
		"\"AA==AAAA\"", "\"AA=A\"",  "\"\\u00e4AA\"", "17",	  "null"};
	char line[256];

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		snprintf(line, sizeof(line), WRITE("\"position\":0,\"data\":%s"), garbage[i]);
		operator_refused(&at_b, line, "no base64");
	}
	operator_refused(&at_b, WRITE("\"position\":0"), "no base64");
	operator_refused(&at_b, LOAD, "nothing was written");
}

/* A piece is bounded by itself; one that fills the line would go through otherwise. */
static void too_large_a_piece(void **state)
{
	enum { MOST = 45 * 1024 / 3 * 4 };
	static char data[MOST + 5], line[MOST + 128];

	memset(data, 'A', MOST + 4);
	snprintf(line, sizeof(line), WRITE("\"position\":0,\"data\":\"%s\""), data);
	operator_refused(&at_b, line, "more than 46080 bytes");
	data[MOST] = 0;
	snprintf(line, sizeof(line), WRITE("\"position\":0,\"data\":\"%s\""), data);
	operator_do(&at_b, line);
}

/* -- what comes in between ----------------------------------------------------------------- */

static void not_beside_a_transfer(void **state)
{
	const char *line = "{\"execute\":\"device-state-save\"}\n";
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct operator other;

	ok(gw_frontend_stop(source));
	atomic_store(&seen.hold_save, true);
	operator_open(&other, a.control);
	gw_fdpass_send(fileno(other.lines), line, strlen(line), &fd, 1, 0);
	wait_until(&seen.saves, 1);
	operator_refused(&at_a, SAVE, "a transfer is under way");
	atomic_store(&seen.hold_save, false);
	json_decref(operator_reply(&other));
	make();
	assert_false(atomic_load(&seen.beside));
	operator_close(&other);
	close(fd);
}

static void one_at_a_time(void **state)
{
	struct operator other;

	begin_save();
	operator_open(&other, a.control);
	operator_refused(&other, SAVE, "a precopy is under way");
	operator_refused(&other, "{\"execute\":\"preflight\"}", "a precopy is under way");
	atomic_store(&seen.hold_round, false);
	json_decref(operator_reply(&at_a));
	json_decref(operator_ask(&other, "preflight"));
	operator_close(&other);
}

static void a_save_comes_first(void **state)
{
	struct gw_frontend *to = destination();
	int fd;

	make();
	begin_save();
	fd = save_state();
	given_up(&at_a, "something else");
	assert_int_equal(atomic_load(&seen.ended), 2);
	/* What was made before is still there. */
	operator_do(&at_a, READ("\"position\":0"));
	ok(gw_frontend_load(to, fd));
	close(fd);
	expect_three(to);
	gw_frontend_free(to);
}

/* Asked for at once by who is told that the first one was given up. */
static void the_next_one_is_given_up_too(void **state)
{
	int fd;

	atomic_store(&seen.hold_round, true);
	operator_say(&at_a, SAVE SAVE SAVE);
	wait_until(&seen.rounds, 2);
	fd = save_state();
	given_up(&at_a, "something else");
	given_up(&at_a, "something else");
	given_up(&at_a, "something else");
	assert_int_equal(atomic_load(&seen.begun), 1);
	assert_false(atomic_load(&seen.beside));
	close(fd);
}

static void a_load_comes_first(void **state)
{
	struct gw_frontend *to = destination();

	begin_load();
	move_to(to);
	given_up(&at_b, "something else");
	assert_true(atomic_load(&seen.dropped) >= 2);
	assert_false(is_ahead());
	gw_frontend_free(to);
}

static void a_reset_of_what_runs_ends_it(void **state)
{
	make();
	begin_save();
	ok(gw_frontend_stop(source));
	ok(gw_frontend_reset_device(source));
	given_up(&at_a, "something else");
	assert_int_equal(atomic_load(&seen.ended), 2);
	operator_refused(&at_a, READ("\"position\":0"), "nothing was made");
}

static void the_front_end_leaves(void **state)
{
	begin_save();
	gw_frontend_free(source);
	source = NULL;
	given_up(&at_a, "something else");
}

/* The device goes: teardown comes to its end. */
static void the_end_comes_first(void **state)
{
	begin_load();
	begin_save();
}

static void the_asker_leaves(void **state)
{
	struct operator other;

	atomic_store(&seen.hold_round, true);
	operator_open(&other, a.control);
	operator_say(&other, SAVE);
	wait_until(&seen.rounds, 1);
	operator_close(&other);
	atomic_store(&seen.hold_round, false);
	wait_until(&seen.ended, 1);
	make();
}

/* As QEMU does before it waits for a migration. */
static void what_waits_is_reset_and_keeps_it(void **state)
{
	struct gw_frontend *to = destination();
	unsigned dropped = atomic_load(&seen.dropped);

	bring();
	operator_do(&at_b, LOAD);
	ok(gw_frontend_reset_device(to));
	assert_true(is_ahead());
	gw_frontend_free(to);
	to = destination();
	ok(gw_frontend_reset_device(to));
	assert_true(is_ahead());
	assert_int_equal(atomic_load(&seen.dropped), dropped);
	move_to(to);
	gw_frontend_free(to);
}

/* Half of it, too. */
static void what_is_written_outlasts_a_reset(void **state)
{
	struct gw_frontend *to = destination();

	write_piece(0, "AAAA");
	ok(gw_frontend_reset_device(to));
	gw_frontend_free(to);
	write_piece(3, "AAAA");
}

static void a_reset_ends_a_load(void **state)
{
	struct gw_frontend *to = destination();

	begin_load();
	ok(gw_frontend_reset_device(to));
	given_up(&at_b, "something else");
	assert_false(is_ahead());
	atomic_store(&seen.hold_load, false);
	bring();
	operator_do(&at_b, LOAD);
	move_to(to);
	gw_frontend_free(to);
}

static void what_runs_keeps_nothing(void **state)
{
	struct gw_frontend *to = destination();

	bring();
	operator_do(&at_b, LOAD);
	assert_true(is_ahead());
	bring(); /* and something that is not loaded yet */
	ok(gw_frontend_start(to));
	assert_false(is_ahead());
	operator_refused(&at_b, LOAD, "is running");
	operator_refused(&at_b, WRITE("\"position\":0,\"data\":\"AAAA\""), "is running");
	ok(gw_frontend_stop(to));
	ok(gw_frontend_reset_device(to));
	operator_refused(&at_b, LOAD, "nothing was written");
	gw_frontend_free(to);
}

static void what_runs_ends_a_load(void **state)
{
	struct gw_frontend *to = destination();

	begin_load();
	ok(gw_frontend_start(to));
	given_up(&at_b, "something else");
	assert_false(is_ahead());
	gw_frontend_free(to);
}

static void what_was_loaded_and_reset_keeps_nothing(void **state)
{
	struct gw_frontend *to = destination();
	int fd = save_state();
	unsigned dropped;

	ok(gw_frontend_load(to, fd));
	dropped = atomic_load(&seen.dropped);
	operator_refused(&at_b, WRITE("\"position\":0,\"data\":\"AAAA\""), "a fresh one");
	ok(gw_frontend_reset_device(to));
	assert_int_equal(atomic_load(&seen.dropped), dropped + 1);
	gw_frontend_free(to);
	close(fd);
}

/* -- what is not good ---------------------------------------------------------------------- */

static void damage_is_found(void **state)
{
	struct gw_frontend *to = destination();
	char *data = read_all(make());
	char *middle = data + strlen(data) / 2;

	bring();
	operator_do(&at_b, LOAD);
	assert_true(is_ahead());
	*middle = *middle == 'A' ? 'B' : 'A';
	write_piece(0, data);
	operator_refused(&at_b, LOAD, "");
	/* Nor is the one before kept. */
	assert_false(is_ahead());
	free(data);
	move_to(to);
	gw_frontend_free(to);
}

static void what_is_cut_is_found(void **state)
{
	struct gw_frontend *to = destination();
	char *data = read_all(make());

	data[strlen(data) - 8] = 0;
	write_piece(0, data);
	operator_refused(&at_b, LOAD, "");
	assert_false(is_ahead());
	free(data);
	move_to(to);
	gw_frontend_free(to);
}

static void signed_by_one_key(void **state)
{
	struct gw_frontend *to = destination();

	bring();
	operator_do(&at_b, LOAD);
	assert_true(is_ahead());
	move_to(to);
	gw_frontend_free(to);
}

static void signed_by_another_key(void **state)
{
	bring();
	operator_refused(&at_b, LOAD, "MAC");
	assert_false(is_ahead());
}

static void not_every_device(void **state)
{
	static struct gw_device_ops plain;
	struct peer peer;
	struct operator operator;
	struct gw_frontend *frontend;
	json_t *commands, *one;
	size_t i;

	plain = gw_null_ops;
	plain.precopy = NULL;
	plain.precopy_load = NULL;
	peer_start(&peer, &(struct peer_options){.ops = &plain, .control = true});
	operator_open(&operator, peer.control);
	frontend = peer_connect(&peer);
	operator_refused(&operator, SAVE, "migration-precopy-save");
	operator_refused(&operator, WRITE("\"position\":0,\"data\":\"AAAA\""),
			 "migration-precopy-write");
	commands = operator_ask(&operator, "query-commands");
	json_array_foreach(commands, i, one)
	{
		assert_null(strstr(json_string_value(json_object_get(one, "name")), "precopy"));
	}
	json_decref(commands);
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_join(&peer);
}

static void not_what_stays(void **state)
{
	operator_do(&at_a, "{\"execute\":\"migration-set\","
			   "\"arguments\":{\"migration\":\"stateless\"}}");
	operator_refused(&at_a, SAVE, "stays in this process");
	operator_do(&at_a, "{\"execute\":\"migration-set\","
			   "\"arguments\":{\"migration\":\"none\"}}");
	operator_refused(&at_a, SAVE, "may not migrate");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(most_goes_ahead),
		TEST(again_in_pieces),
		TEST(positions),
		TEST(no_base64),
		TEST(too_large_a_piece),
		TEST(not_beside_a_transfer),
		TEST(one_at_a_time),
		TEST(a_save_comes_first),
		TEST(the_next_one_is_given_up_too),
		TEST(a_load_comes_first),
		TEST(a_reset_of_what_runs_ends_it),
		TEST(the_front_end_leaves),
		TEST(the_end_comes_first),
		TEST(the_asker_leaves),
		TEST(what_waits_is_reset_and_keeps_it),
		TEST(what_is_written_outlasts_a_reset),
		TEST(a_reset_ends_a_load),
		TEST(what_runs_keeps_nothing),
		TEST(what_runs_ends_a_load),
		TEST(what_was_loaded_and_reset_keeps_nothing),
		TEST(damage_is_found),
		TEST(what_is_cut_is_found),
		cmocka_unit_test_setup_teardown(signed_by_one_key, setup_signed, teardown),
		cmocka_unit_test_setup_teardown(signed_by_another_key, setup_other_key, teardown),
		TEST(not_every_device),
		TEST(not_what_stays),
	};

	gw_log_set_level(GW_LOG_OFF);
	hooked = gw_null_ops;
	hooked.save = hooked_save;
	hooked.precopy = hooked_precopy;
	hooked.precopy_load = hooked_precopy_load;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
