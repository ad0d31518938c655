/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/move.h - a virtio-fs device's state from one share to another, without a VMM. */
#ifndef TESTS_MIGRATION_MOVE_H
#define TESTS_MIGRATION_MOVE_H

#include "../unit/fs-share.h"

#include "godwit/error.h"
#include "godwit/state.h"

/* The number of the states that are written: "state" of the model. 3. */
extern unsigned move_number;
/* NULL, or what streams are signed with and a signature is asked for. */
extern const uint8_t *move_key;

/* NULL, or handlers of the library's own: of the first an object stands before the device's. */
extern const struct gw_state_handler *move_own;
extern const void *move_own_object;

/* What a stream's header says of the model: the parameters that it has are those of a state. */
void move_model(char model[GW_CANONICAL_MAX], unsigned number);

/* The whole state as a stream in a memfd, at its start; must succeed. */
int move_save(struct share *from);
int move_save_result(struct share *from, int *fd);
/* What loading it says; @stream is closed. */
int move_load(struct share *to, int stream);
/* An empty share, whose guest has said INIT. */
void move_source(struct share *from);
/* A second device over the first one's directory. */
void move_twin(struct share *to, const struct share *from);
void move_twin_close(struct share *to); /* the directory stays */
/* All of that, which must succeed. */
void move_over(struct share *to, struct share *from);

/* Threads that help it to load, as the daemon has. */
void move_helpers(struct share *to, unsigned threads);
void move_helpers_end(struct share *to);

/* A stream of what @put puts, between header and end. */
int move_stream(void (*put)(struct gw_state_writer *writer));

/* OPEN and CREATE as a guest would; handle ids. */
uint64_t guest_open(struct share *share, uint64_t nodeid, int flags);
uint64_t guest_opendir(struct share *share, uint64_t nodeid);
uint64_t guest_tmpfile(struct share *share, const char *content, uint64_t *nodeid);
void guest_unlink(struct share *share, uint64_t parent, const char *name, const char *path);
/* The file's content through the handle, NUL-terminated; valid until the next call. */
const char *guest_read(struct share *share, uint64_t handle);
void guest_append(struct share *share, uint64_t handle, const char *text);
/* The descriptor behind a handle, for looking. */
int guest_fd(struct share *share, uint64_t handle);

#endif
