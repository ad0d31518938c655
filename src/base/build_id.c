/* SPDX-License-Identifier: BSD-3-Clause */
/* base/build_id.c - what tells two builds of a program apart: the linker's digest of each. */
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/build_id.h"
#include "base/checked.h"

#define DIGITS 16

/* -- notes --------------------------------------------------------------------------------- */

static bool is_build_id(const ElfW(Nhdr) * note, const uint8_t *name)
{
	return note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof(ELF_NOTE_GNU) &&
	       !memcmp(name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) &&
	       note->n_descsz <= GW_BUILD_ID_MAX;
}

size_t gw_build_id_find(const uint8_t *notes, size_t len, size_t align, uint8_t id[GW_BUILD_ID_MAX])
{
	ElfW(Nhdr) note;

	while (len >= sizeof(note)) {
		uint64_t at, end;

		memcpy(&note, notes, sizeof(note));
		at = gw_round_up(sizeof(note) + (uint64_t)note.n_namesz, align);
		end = at + note.n_descsz;
		if (end > len)
			return 0;
		if (is_build_id(&note, notes + sizeof(note))) {
			memcpy(id, notes + at, note.n_descsz);
			return note.n_descsz;
		}
		end = GW_MIN(gw_round_up(end, align), (uint64_t)len);
		notes += end;
		len -= end;
	}
	return 0;
}

/* -- objects of this process --------------------------------------------------------------- */

/* The program's id, and ours where this code is in another object. */
struct search {
	bool program_seen;
	size_t len[2];
	uint8_t id[2][GW_BUILD_ID_MAX];
};

static size_t id_of(const struct dl_phdr_info *object, uint8_t id[GW_BUILD_ID_MAX])
{
	size_t len = 0;

	for (unsigned i = 0; i < object->dlpi_phnum && !len; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

		/* NOLINTNEXTLINE(performance-no-int-to-ptr): where it is loaded is a number */
		const uint8_t *notes = (const uint8_t *)(object->dlpi_addr + segment->p_vaddr);

		if (segment->p_type == PT_NOTE)
			len = gw_build_id_find(notes, segment->p_memsz,
					       segment->p_align == 8 ? 8 : 4, id);
	}
	return len;
}

static bool has_this_code(const struct dl_phdr_info *object)
{
	uintptr_t code = (uintptr_t)&gw_build_name;

	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD &&
		    code - (object->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
			return true;
	}
	return false;
}

/* The program comes first. */
static int look_at(struct dl_phdr_info *object, size_t size, void *opaque)
{
	struct search *search = opaque;

	(void)size;
	if (!search->program_seen)
		search->len[0] = id_of(object, search->id[0]);
	else if (has_this_code(object))
		search->len[1] = id_of(object, search->id[1]);
	search->program_seen = true;
	return 0;
}

void gw_build_name(const char *version, char text[GW_BUILD_NAME_MAX])
{
	struct search search = {0};
	size_t at;

	dl_iterate_phdr(look_at, &search);
	at = (size_t)snprintf(text, GW_BUILD_NAME_MAX, "%.15s", version);
	for (unsigned i = 0; i < 2; i++) {
		if (search.len[i])
			text[at++] = '-';
		for (size_t k = 0; k < GW_MIN(search.len[i], (size_t)DIGITS / 2); k++)
			at += (size_t)snprintf(text + at, GW_BUILD_NAME_MAX - at, "%02x",
					       search.id[i][k]);
	}
}
