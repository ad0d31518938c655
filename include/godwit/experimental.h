/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/experimental.h - what this project adds to vhost-user, for who asks for it. */
#ifndef GODWIT_EXPERIMENTAL_H
#define GODWIT_EXPERIMENTAL_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Protocol features of our own (docs/protocol.md specifies them). A back-end offers one only if it
 * was told to, a front-end acks one only if it was told to: between all others nothing of them can
 * be seen. Their numbers may change until the specification has some.
 */
enum gw_experimental {
	GW_EXPERIMENTAL_ITERATIVE = 1 << 0, /* the state is sent while the guest runs */
	GW_EXPERIMENTAL_SUSPEND = 1 << 1,   /* SUSPEND and RESUME, with all rings as they are */
};

#ifdef __cplusplus
}
#endif
#endif
