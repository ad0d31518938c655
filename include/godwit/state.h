/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/state.h - the device-state stream: records of described layout. */
#ifndef GODWIT_STATE_H
#define GODWIT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * The stream is opaque to the VMM, so it protects itself: a header that names model and
 * parameters, records with checksums, an end record. docs/stream.md has the bytes.
 *
 * What a device has to say are objects: C structs whose layout is a constant table, the one
 * description of both directions. Objects are upserts keyed by the layout's key fields, or
 * tombstones for a key; later ones win. A stream made while the device runs and one made at once
 * have the same format.
 */
enum gw_phase {
	GW_PHASE_STOPPED = 0, /* vhost-user's number: all rings are stopped */
	GW_PHASE_RUNNING = 1,
};

enum gw_field_type {
	GW_FIELD_U8 = 1,
	GW_FIELD_U16,
	GW_FIELD_U32,
	GW_FIELD_U64,	/* all four travel as varints */
	GW_FIELD_I64,	/* zigzag varint */
	GW_FIELD_DELTA, /* uint64_t; travels as the zigzag difference to the object before */
	GW_FIELD_BOOL,	/* bool; any other value than 0 or 1 is refused */
	GW_FIELD_FIXED, /* @max bytes in place, as they are */
	GW_FIELD_BYTES, /* struct gw_bytes, at most @max bytes */
};

struct gw_bytes {
	const void *data; /* on reading: valid until the handler returns */
	size_t len;
};

struct gw_field {
	const char *name; /* NULL ends the table */
	enum gw_field_type type;
	size_t offset;
	size_t max;
	bool key;
};

/* Record types below this number are the library's own. */
#define GW_RECORD_DEVICE 0x100

/* One layout. @name carries the version ("gw_fs_inode_v1") and never changes once released. */
struct gw_layout {
	const char *name;
	uint16_t type;
	bool optional; /* a reader that does not know it may skip it */
	size_t size;   /* of the C struct */
	const struct gw_field *fields;
	/* The numbers of the model's `state` parameter for which it is written; 0: no bound. Two
	 * layouts of one thing are both put for each object: the writer drops the one that is not
	 * in force. */
	uint16_t since, until;
};

#define GW_FIELD(struct_, member, type_)                                              \
	{                                                                             \
		.name = #member, .type = (type_), .offset = offsetof(struct_, member) \
	}
#define GW_KEY(struct_, member, type_)                                                             \
	{                                                                                          \
		.name = #member, .type = (type_), .offset = offsetof(struct_, member), .key = true \
	}
#define GW_FIELD_SIZED(struct_, member, type_, max_)                                   \
	{                                                                              \
		.name = #member, .type = (type_), .offset = offsetof(struct_, member), \
		.max = (max_)                                                          \
	}

/* An encoded object is at most this long; one record carries many objects, up to about 64 KiB. */
#define GW_OBJECT_MAX (256 * 1024)

struct gw_state_writer;
struct gw_state_reader;
struct gw_params;

/* Append an object. Transfer thread. A failure sticks: later calls return it again. */
int gw_state_put(struct gw_state_writer *writer, const struct gw_layout *layout,
		 const void *object);
/* The object with the key fields of @object is no more. */
int gw_state_delete(struct gw_state_writer *writer, const struct gw_layout *layout,
		    const void *object);
/* Descriptor passing, where the channel can: -EOPNOTSUPP where it cannot. @fd stays the caller's.
 */
int gw_state_put_fd(struct gw_state_writer *writer, int fd);
/* All that was put so far is on its way, and none of it waits here for more. */
int gw_state_flush(struct gw_state_writer *writer);

/*
 * Records made ahead of time: for a device that collects while the guest runs and has little left
 * to do once it stands still. A batch makes records of one layout in memory, which any number of
 * streams can carry later. Values of fields are shorter than 8 KiB.
 */
struct gw_state_batch;
int gw_state_batch_new(struct gw_state_batch **batch);
void gw_state_batch_free(struct gw_state_batch *batch);
/* What it held is given up, as after a failure; objects of @layout follow. */
int gw_state_batch_begin(struct gw_state_batch *batch, const struct gw_layout *layout);
int gw_state_batch_put(struct gw_state_batch *batch, const void *object);
/* The records, valid until the next gw_state_batch_begin(); nothing if there was no object. */
struct gw_bytes gw_state_batch_end(struct gw_state_batch *batch);
/* Append records of @layout that batches made, in @count pieces. Transfer thread. */
int gw_state_put_records(struct gw_state_writer *writer, const struct gw_layout *layout,
			 const struct gw_bytes *pieces, size_t count);
/* What is in such records, one object after the other, into @object (of the layout's size): for who
 * compares what was made with what had been. A failure of @fn ends it. */
int gw_state_records_each(const struct gw_bytes *records, const struct gw_layout *layout,
			  void *object, int (*fn)(void *opaque, const void *object), void *opaque);
uint64_t gw_state_written(const struct gw_state_writer *writer); /* bytes so far */
/* The `state` parameter of the stream (1 if it is off): which layouts are in force. */
unsigned gw_state_number(const struct gw_state_writer *writer);

/* What to do with objects of one layout. */
struct gw_state_handler {
	const struct gw_layout *layout; /* NULL ends the table */
	/* Stages @object (a C struct of the layout). A failure ends the reading. */
	int (*put)(void *opaque, const void *object);
	int (*remove)(void *opaque, const void *object); /* absent: tombstones are refused */
	/*
	 * Optional, for a device that has many hands: the payloads of @count consecutive records of
	 * this layout, in the order of the stream, checked as records are, to be decoded with
	 * gw_state_decode(); valid until this returns. Returns how many it has staged, from the
	 * first on and each as a whole, as if put and remove had been called for their objects in
	 * order; of all others it has left no trace. Their objects come to put and remove, which so
	 * are the only ones to judge what is unusual or wrong.
	 */
	size_t (*records)(void *opaque, const struct gw_bytes *payloads, size_t count);
};

/*
 * The next object out of a record's payload, of which *@payload loses the front, into @object, a C
 * struct of @layout; @previous: GW_STATE_FIELDS_MAX numbers, all zero where the payload begins.
 * False: it is not an object that was put and is as it should be, and nothing of this payload can
 * be decoded any more. Any thread.
 */
#define GW_STATE_FIELDS_MAX 32
bool gw_state_decode(struct gw_bytes *payload, const struct gw_layout *layout, void *object,
		     uint64_t *previous);

/*
 * Read to the end, calling @handlers. Returns 0 only if everything arrived whole, up to and
 * including the end record and the end of file. Unknown optional records are skipped and logged,
 * unknown mandatory ones refused by number. Transfer thread.
 */
int gw_state_read(struct gw_state_reader *reader, const struct gw_state_handler *handlers,
		  void *opaque);
/*
 * Before gw_state_read(): @fn is called at each PHASE mark, before anything of @phase comes. What
 * came between two marks is whole, so that a device can begin to look for what it speaks of while
 * the source still runs; but it may be taken back by what follows. A failure ends the reading.
 */
void gw_state_at_phase(struct gw_state_reader *reader, int (*fn)(void *opaque, enum gw_phase phase),
		       void *opaque);
/* Likewise, where the first object of another kind than the one before comes, with its layout; of
 * kinds that the device knows. */
void gw_state_at_layout(struct gw_state_reader *reader,
			int (*fn)(void *opaque, const struct gw_layout *layout), void *opaque);
/* The next descriptor that came before this object: the caller's, or -ENOENT. In a handler. */
int gw_state_take_fd(struct gw_state_reader *reader);
/* The `state` parameter of the stream (1 if it is off): which layouts the writer obeyed. */
unsigned gw_state_read_number(const struct gw_state_reader *reader);

/*
 * A format of another make, which a device lists (struct gw_device_ops.foreign) because it can take
 * such a stream over. It has nothing of what a stream of ours protects itself with: what @check has
 * not refused is all that is known of it. With a state key it is refused, since nobody signed it.
 */
struct gw_foreign_format {
	const char *name; /* for logs; NULL ends the list */
	/* Could it begin so? Of a format that has no magic. */
	bool (*begins)(const uint8_t *first, size_t len);
	/* Is the whole well made? Negative errno with a sentence. Transfer thread. */
	int (*check)(const void *bytes, size_t len);
	/* What it tells of the device's parameters (godwit/model.h) is set in @params, which are
	 * those of this instance: there a different value is refused as in a stream of ours. What
	 * it does not tell is as the operator said here, else off. Control thread. */
	int (*params)(const void *bytes, size_t len, struct gw_params *params);
};

/* Bytes of such a stream, which is held in memory as a whole: it has no records. */
#define GW_FOREIGN_MAX (128 * 1024 * 1024)

/* In gw_device_ops.load: 0 if the stream is of another make, with its name and its bytes, which are
 * valid until load returns; -ENOENT if it is one for gw_state_read(). */
int gw_state_read_foreign(struct gw_state_reader *reader, const struct gw_foreign_format **format,
			  struct gw_bytes *bytes);

/*
 * For a front-end that keeps a big state in memory on its own host: a memfd with room for @bytes,
 * in huge pages where the kernel makes them (Linux 6.1), so that to fill it and to read it is a
 * copy each and little else: a back-end of this library maps it and writes what is long (from 4 MiB
 * on) to where it will lie. Making that takes long (some 3 s a GiB): before the guest stops.
 * Returns the descriptor, or -errno (-EINVAL: 0 bytes, or more than there can be). A longer state
 * is no error, just slower. Any thread.
 */
int gw_state_memory_new(uint64_t bytes);
/*
 * The back-end has saved into it from its beginning, and CHECK_DEVICE_STATE was answered: it ends
 * where the back-end stopped writing, and nobody can change it any more, so that a destination
 * reads it where it lies. -ENODATA: the descriptor's offset says that nothing was written. -EBUSY:
 * somebody has it mapped to write to, or one of its pages in hand, and did not let go of it within
 * some tenths of a second; it may be loaded without the seal.
 */
int gw_state_memory_seal(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
