/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/xattrmap.h - rules by which names of extended attributes differ between guest and host. */
#ifndef GW_FS_XATTRMAP_H
#define GW_FS_XATTRMAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * The language is virtiofsd's (its page "Extended attribute (xattr) mapping"). Rules stand behind
 * each other, with blanks or newlines between them if one likes; each begins with the separator of
 * its fields, which is the first character:
 *
 *	:TYPE:SCOPE:KEY:PREPEND:	TYPE is prefix, ok, bad or unsupported
 *	:map:KEY:PREPEND:		shorthand for several rules; nothing may follow it
 *
 * A rule of scope client is for names in the guest's calls that begin with KEY; one of scope server
 * for names in the host's lists that begin with PREPEND; all is both. The first rule that fits is
 * the one: ok lets the name through, prefix puts PREPEND before the guest's name and takes it off
 * the host's, bad denies the call (EPERM) and hides the host's name, unsupported does the same with
 * ENOTSUP. What no rule fits is treated as bad.
 */
#define FS_XATTRMAP_TEXT_MAX  8192
#define FS_XATTRMAP_RULES_MAX 128
#define FS_XATTR_NAME_MAX     255 /* XATTR_NAME_MAX */

struct fs_xattrmap;

/* -EINVAL with a sentence if @text is none. */
int fs_xattrmap_new(struct fs_xattrmap **map, const char *text);
void fs_xattrmap_free(struct fs_xattrmap *map); /* NULL is allowed */

/* For all of these a @map of NULL changes nothing. */

/* The host's name for the guest's @name: 0, -EPERM, -EOPNOTSUPP; -ERANGE if it gets too long. */
int fs_xattrmap_to_host(const struct fs_xattrmap *map, const char *name,
			char host[FS_XATTR_NAME_MAX + 1]);
/* The guest's name for the host's, which is within @name; NULL: hidden. */
const char *fs_xattrmap_to_guest(const struct fs_xattrmap *map, const char *name);
/* A list of the host's names, each ended by NUL, becomes the guest's in place: the new length. */
size_t fs_xattrmap_list(const struct fs_xattrmap *map, char *names, size_t len);

/* Under which other name security.capability is kept, which the host's kernel does not know to take
 * away when a file changes; NULL if it need not be thought of. */
const char *fs_xattrmap_capability(const struct fs_xattrmap *map);
/* Tells rules from others, whatever their spelling; 0 for none at all. */
uint32_t fs_xattrmap_id(const struct fs_xattrmap *map);

#endif
