/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a sanitizer's allocator can't do: tests that need it skip and say so. */
#pragma once

#define ALLOCATOR_REASON                                                                           \
	"the address sanitizer's allocator is locked for ever in a child that was forked while "   \
	"another thread allocated"

/* Locked for ever in a child that was forked while another thread allocated. */
#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATOR_IS_NOT_FORK_SAFE true
#elif defined(__has_feature)
#define ALLOCATOR_IS_NOT_FORK_SAFE __has_feature(address_sanitizer)
#else
#define ALLOCATOR_IS_NOT_FORK_SAFE false
#endif
