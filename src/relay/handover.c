/* SPDX-License-Identifier: BSD-3-Clause */
/* relay/handover.c - the relay goes from one process of a host to the next: who has it when. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "relay/internal.h"

/*
 * The hand-shake (docs/ownership.md has it drawn). The destination's words and the source's, a byte
 * each, after the batches: it has everything; it is to run, the source shall let go; let go; it
 * goes on at the source, and the ticket is void.
 */
#define HELLO_MAGIC "gw-re-1" /* with its NUL */
/* How often it is said that nobody is served. */
#define TELL_S 10
enum word { WORD_TOKEN = 'K', WORD_HAVE = 'H', WORD_TAKE = 'T', WORD_YIELDED = 'Y', WORD_NO = 'N' };

/* -- the token ----------------------------------------------------------------------------- */

/* Of the process, not of the description, which both have: so no F_OFD_SETLK. And no copy of the
 * descriptor is ever closed, since that would end the lock. */
bool relay_token_lock(int token)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(token, F_SETLK, &lock) == 0;
}

int relay_token_make(struct relay *relay)
{
	relay->token = memfd_create("godwit-owner", MFD_CLOEXEC);
	if (relay->token < 0 || !relay_token_lock(relay->token))
		return gw_fail(errno, "relay: token: %s", strerror(errno));
	return 0;
}

/* -- words --------------------------------------------------------------------------------- */

/* Whoever does not read has hung up, or will: the token decides. */
static void say(int socket, enum word word)
{
	uint8_t byte = (uint8_t)word;

	if (socket >= 0 && send(socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		gw_debug("relay: hand-over: %s", strerror(errno));
}

/* 0: nothing now; -ECONNRESET: nothing more. */
static int hear(int socket)
{
	uint8_t byte;
	ssize_t n = recv(socket, &byte, 1, MSG_DONTWAIT);

	if (n == 1)
		return byte;
	return n < 0 && errno == EAGAIN ? 0 : -ECONNRESET;
}

/* -- giving -------------------------------------------------------------------------------- */

/* Who takes it back, or lets go of it, waits until the thread has given what it is giving. Requests
 * do not: those are served without what is given. */
static void wait_until_given(struct relay *relay)
{
	while (relay->giving)
		pthread_cond_wait(&relay->given, &relay->lock);
}

/* The latest one counts, but for one that a ticket was made for. */
static void accept_peer(struct relay *relay)
{
	GW_AUTO_FD int fd = gw_handover_accept(relay->host->handover_fd, relay->user);

	if (fd < 0 || (relay->offered && relay->peer >= 0))
		return;
	gw_close(&relay->peer);
	relay->peer = gw_take_fd(&fd);
	relay->greeted = 0;
	relay->has_given = false;
}

bool relay_look_for_peer(struct relay *relay)
{
	wait_until_given(relay);
	if (relay->host->handover_fd > 0)
		accept_peer(relay);
	/* The thread may wait without it. */
	relay_wake(relay);
	return relay->peer >= 0;
}

int relay_offer(struct relay *relay)
{
	if (!relay_look_for_peer(relay))
		return -ENOENT;
	if (getrandom(relay->ticket, sizeof(relay->ticket), 0) != sizeof(relay->ticket))
		return gw_fail(EIO, "relay: no ticket");
	relay->offered = true;
	relay->has_given = false;
	return 0;
}

void relay_withdraw(struct relay *relay)
{
	wait_until_given(relay);
	if (relay->offered)
		say(relay->peer, WORD_NO);
	relay->offered = false;
	explicit_bzero(relay->ticket, sizeof(relay->ticket));
}

void relay_yield(struct relay *relay)
{
	bool offered;

	wait_until_given(relay);
	offered = relay->offered;
	relay->offered = false;
	relay_let_go(relay);
	if (offered)
		say(relay->peer, WORD_YIELDED);
}

/* Copies: all of it is this process's, and stays so until it lets go. They are one batch at most,
 * so that nothing is sent yet. */
static int gather(struct relay *relay, struct gw_giving *giving)
{
	int err = 0;

	static_assert(RELAY_CONNS_MAX + 1 < GW_HANDED_BATCH, "one batch");
	if (relay->listener >= 0)
		err = gw_giving_add(giving, (struct gw_handed_item){.kind = RELAY_HANDED_LISTENER},
				    relay->listener);
	for (unsigned i = 0; i < RELAY_CONNS_MAX && !err; i++) {
		const struct relay_conn *conn = &relay->conns[i];

		if (conn->id && conn->fd >= 0)
			err = gw_giving_add(
				giving,
				(struct gw_handed_item){.kind = RELAY_HANDED_CONN, .id = conn->id},
				conn->fd);
	}
	return err;
}

/* No lock is held; @token and the peer stay, since whoever would close them waits. */
static int send_gathered(struct gw_giving *giving, int token)
{
	static const uint8_t word = WORD_TOKEN;
	int err = gw_handover_send(giving->peer, &word, 1, &token, token >= 0);

	return err ? err : gw_giving_end(giving);
}

static int give(struct relay *relay)
{
	struct gw_giving giving = {.peer = relay->peer};
	int token = relay->token, err = gather(relay, &giving);

	if (!err) {
		relay->giving = true;
		pthread_mutex_unlock(&relay->lock);
		err = send_gathered(&giving, token);
		pthread_mutex_lock(&relay->lock);
		relay->giving = false;
		pthread_cond_broadcast(&relay->given);
	}
	gw_giving_drop(&giving);
	return err;
}

/* What of it has come: who connects and says half of it keeps nobody waiting. */
static int greet(struct relay *relay)
{
	const struct gw_handover_hello *hello = &relay->hello;
	ssize_t n = recv(relay->peer, (char *)&relay->hello + relay->greeted,
			 sizeof(*hello) - relay->greeted, MSG_DONTWAIT);
	int err;

	if (n <= 0)
		return gw_fail(ECONNRESET, "relay: hand-over: %s", n ? strerror(errno) : "hung up");
	relay->greeted += (size_t)n;
	if (relay->greeted < sizeof(*hello))
		return 0;
	relay->greeted = 0;
	if (memcmp(hello->magic, HELLO_MAGIC, sizeof(hello->magic)) != 0)
		return gw_fail(EPROTO, "relay: hand-over: what came is no greeting");
	if (!relay->offered || memcmp(hello->ticket, relay->ticket, sizeof(hello->ticket)) != 0)
		return gw_fail(EACCES, "relay: hand-over: the ticket is void");
	err = give(relay);
	relay->has_given = !err;
	return err ? gw_fail(-err, "relay: hand-over: %s", strerror(-err)) : 0;
}

static int on_word(struct relay *relay, int word)
{
	switch (word) {
	case WORD_HAVE:
		gw_info("relay: the next process has everything");
		return 0;
	case WORD_TAKE:
		if (!relay->has_given)
			return gw_fail(EACCES,
				       "relay: hand-over: who has been given nothing takes it");
		/* The control thread decides, where a ring may just have started. */
		if (relay->offered)
			gw_device_outcome(relay, GW_OUTCOME_MOVED);
		return 0;
	default:
		return gw_fail(EPROTO, "relay: hand-over: word %d", word);
	}
}

static int on_peer(struct relay *relay)
{
	uint8_t byte;
	ssize_t n = recv(relay->peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return gw_fail(ECONNRESET, "relay: the next process has hung up");
	if (relay->greeted || byte == HELLO_MAGIC[0])
		return greet(relay);
	return on_word(relay, hear(relay->peer));
}

/* -- taking -------------------------------------------------------------------------------- */

int relay_receive(struct relay *relay, const uint8_t *ticket, int *token, struct gw_handed *handed)
{
	struct gw_handover_hello hello = {.magic = HELLO_MAGIC};
	unsigned count = 1;
	uint8_t word = 0;
	int err;

	if (relay->source < 0)
		return gw_fail(ENOTCONN, "relay: nobody is there to hand it over");
	memcpy(hello.ticket, ticket, sizeof(hello.ticket));
	err = gw_handover_send(relay->source, &hello, sizeof(hello), NULL, 0);
	if (!err)
		err = gw_handover_recv(relay->source, &word, 1, token, &count);
	if (err)
		return gw_fail(-err, "relay: hand-over: %s", strerror(-err));
	if (!count)
		*token = -1;
	if (word != WORD_TOKEN)
		return gw_fail(EPROTO, "relay: hand-over: word %d, expected the token", word);
	err = gw_handed_take(handed, relay->source, RELAY_HANDED_CONN);
	if (!err)
		say(relay->source, WORD_HAVE);
	return err;
}

/*
 * There is no time after which it would be safe to begin: who hangs may go on. It is for an
 * operator to end it, which frees the token.
 */
static void tell_of_waiting(struct relay *relay)
{
	uint64_t now = gw_clock_ns();

	if (now - relay->told_ns < TELL_S * GW_NS_PER_S)
		return;
	relay->told_ns = now;
	gw_warn("relay: for %llu s it has been waited for that the process before lets go, and "
		"nobody "
		"is served; if that one hangs, kill it",
		(unsigned long long)((now - relay->waiting_ns) / GW_NS_PER_S));
}

/* A port that was not among what came was only bound. */
static void begin_at_last(struct relay *relay)
{
	if (!relay_listen(relay)) {
		relay_begin(relay);
		return;
	}
	gw_error("%s", gw_last_error());
	relay_let_go(relay);
	gw_device_failed(relay);
}

static void take(struct relay *relay)
{
	bool refused = false;
	int word;

	say(relay->source, WORD_TAKE);
	while (relay->source >= 0 && (word = hear(relay->source))) {
		refused |= word == WORD_NO;
		if (word < 0)
			gw_close(&relay->source);
	}
	if (relay_token_lock(relay->token)) {
		gw_info("relay: taken over");
		begin_at_last(relay);
	} else if (!refused) {
		tell_of_waiting(relay);
	} else {
		gw_error("relay: it goes on at the source, and not here");
		relay_let_go(relay);
		gw_device_failed(relay);
	}
}

void relay_handover_work(struct relay *relay)
{
	if (relay->host->handover_fd > 0)
		accept_peer(relay);
	if (relay->peer >= 0 && on_peer(relay)) {
		gw_info("%s", gw_last_error());
		gw_close(&relay->peer);
	}
	if (relay->waiting)
		take(relay);
}
