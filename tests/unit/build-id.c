/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/build-id.c - an id among notes, whatever is around it; and this program's own. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/build_id.h"

/* Notes, one behind the other. */
struct notes {
	size_t len;
	uint8_t bytes[512];
};

static void append(struct notes *notes, uint32_t type, const char *name, const char *desc,
		   size_t align)
{
	const Elf64_Nhdr note = {.n_namesz = (uint32_t)strlen(name) + 1,
				 .n_descsz = (uint32_t)strlen(desc),
				 .n_type = type};

	memcpy(notes->bytes + notes->len, &note, sizeof(note));
	memcpy(notes->bytes + notes->len + sizeof(note), name, note.n_namesz);
	notes->len += (sizeof(note) + note.n_namesz + align - 1) / align * align;
	memcpy(notes->bytes + notes->len, desc, note.n_descsz);
	notes->len += (note.n_descsz + align - 1) / align * align;
}

/* Each length has memory of its own, so that what is read beyond it is seen. */
static size_t find(const struct notes *notes, size_t len, size_t align, char id[GW_BUILD_ID_MAX])
{
	uint8_t *copy = malloc(len + !len);
	size_t found;

	memcpy(copy, notes->bytes, len);
	found = gw_build_id_find(copy, len, align, (uint8_t *)id);
	free(copy);
	return found;
}

static void test_among_others(void **state)
{
	for (size_t align = 4; align <= 8; align += 4) {
		struct notes notes = {0};
		char id[GW_BUILD_ID_MAX];

		append(&notes, NT_GNU_PROPERTY_TYPE_0, "GNU", "properties", align);
		append(&notes, NT_GNU_BUILD_ID, "Go", "another's", align);
		append(&notes, NT_GNU_BUILD_ID, "GNU", "0123456789abcdefghij", align);
		append(&notes, NT_GNU_ABI_TAG, "GNU", "abi", align);
		assert_int_equal(find(&notes, notes.len, align, id), 20);
		assert_memory_equal(id, "0123456789abcdefghij", 20);
	}
	(void)state;
}

static void test_cut(void **state)
{
	struct notes notes = {0};
	char id[GW_BUILD_ID_MAX];

	(void)state;
	append(&notes, NT_GNU_ABI_TAG, "GNU", "abi", 4);
	append(&notes, NT_GNU_BUILD_ID, "GNU", "0123", 4);
	for (size_t len = 0; len < notes.len; len++)
		assert_int_equal(find(&notes, len, 4, id), 0);
	assert_int_equal(find(&notes, notes.len, 4, id), 4);
}

static void test_lengths_that_lie(void **state)
{
	static const uint32_t lengths[] = {0x7fffffff, 0xfffffff0, 0xfffffffd, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (size_t field = 0; field < 8; field += 4) {
			struct notes notes = {0};
			char id[GW_BUILD_ID_MAX];

			append(&notes, NT_GNU_BUILD_ID, "GNU", "0123", 4);
			memcpy(notes.bytes + field, &lengths[i], sizeof(lengths[i]));
			assert_int_equal(find(&notes, notes.len, 4, id), 0);
		}
}

static void test_too_long(void **state)
{
	struct notes notes = {0};
	char id[GW_BUILD_ID_MAX], text[GW_BUILD_ID_MAX + 2] = "";

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	append(&notes, NT_GNU_BUILD_ID, "GNU", text, 4);
	assert_int_equal(find(&notes, notes.len, 4, id), 0);
}

static void test_own(void **state)
{
	char text[GW_BUILD_NAME_MAX];

	(void)state;
	gw_build_name("1.2.3", text);
	assert_memory_equal(text, "1.2.3-", 6);
	assert_int_equal(strlen(text), 6 + 16);
	assert_int_equal(strspn(text + 6, "0123456789abcdef"), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_among_others),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
