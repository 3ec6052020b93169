/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider of keys as a row: all that kms/ and whoever is above it know of one. A cloud is a
 * folder beside aws/ and local/, which has such a row, and a place in the list that the module (or
 * a test) hands in with the settings.
 */
#pragma once

#include "kms/kms.h"

/* What [kms] allowed_root_keys is matched against: the parts of a key's canonical name, or of a
 * pattern of such, in which a star stands for any characters. */
struct kms_key_fields {
	struct bytes partition, region, account, id;
};

/* A setting in the section of cmek.conf that has the provider's name. */
enum kms_setting_form {
	KMS_SETTING_TEXT, /* const char * */
	KMS_SETTING_FILE, /* the same: a path */
	KMS_SETTING_REGIONS,
	KMS_SETTING_FLAG,   /* bool */
	KMS_SETTING_NUMBER, /* unsigned */
};
struct kms_setting {
	const char *key;
	enum kms_setting_form form;
	size_t field;		  /* in the provider's section */
	unsigned usual, max;	  /* of a number; 0 counts as not set */
	const char *beside_store; /* of a file: its name beside the store, where it is not set */
};

/* What to do about a status, where this provider's keys need another word than the usual one. */
struct kms_remedy {
	enum kms_status status;
	const char *text; /* NULL: the message says it already */
};

struct kms_provider {
	const char *name; /* "aws": in the store and in messages; at most KMS_PROVIDER_MAX */

	/* --- How its keys are named; nobody is asked. The rows have no name in common. */
	const char *key_names; /* in words, for messages */
	const char *patterns;  /* the same of read_pattern */
	/* Whether a text names such a key, and in which region (borrowed; no bytes: not said). */
	bool (*read_name)(const char *key, struct bytes *ret_region);
	/* The part of it that people chose, as "root" of "alias/root"; no bytes: there is none. */
	struct bytes (*label)(const char *key);
	/* The canonical name, or that of a key which is to be made (false: neither); a pattern. */
	bool (*read_fields)(const char *key, struct kms_key_fields *ret_fields);
	bool (*read_pattern)(const char *text, struct kms_key_fields *ret_fields);
	/* It is a key's own name, so that it says which key is meant before anybody is asked; an
	 * alias, or a name without a region, does not. */
	bool (*is_own_name)(const char *key);
	/* The name of the same key in another region. False, or NULL: it has but one. */
	bool (*in_region)(const char *arn, struct bytes region,
			  char ret_arn[static KMS_ARN_MAX + 1]);

	/* --- What its keys are like */
	/* They are on this machine, where asking costs a look at a file: made, enabled and disabled
	 * here, and never silent. */
	bool embedded;
	const char
		*only_region; /* of all its keys, which fit a cluster of any; NULL: they differ */
	const struct kms_remedy *remedies;
	size_t remedy_count;

	/* --- Its settings: a struct of its own header, which starts with zeros, and the rows of it
	 */
	size_t section_size;
	const struct kms_setting *settings;
	size_t setting_count;
	/* How long a call may take at most; NULL: that is no setting. */
	unsigned (*call_ms)(const void *section);
	/* The regions in which related keys are asked before the key's own, separated by spaces;
	 * NULL, or the function is: none. */
	const char *(*region_order)(const void *section);

	/* --- Its clients. The settings are those of the set, with their defaults, and outlive all.
	 * What clients of all regions share is made at first need and touches no network; each of
	 * these may be NULL where there is nothing to share, or to say. */
	void *(*shared_new)(const struct kms_settings *settings); /* NULL: no memory */
	void (*shared_free)(void *shared);
	void (*shared_abandon)(
		void *shared); /* in a fork's child: closes sockets, leaks the rest */
	/* The region of keys named without one; may ask the network. */
	enum kms_status (*find_region)(void *shared, struct kms_report *report,
				       char ret_region[static KMS_REGION_MAX + 1]);
	/* No network. */
	enum kms_status (*open)(const struct kms_settings *settings, void *shared,
				const char *region, struct kms_report *report,
				struct kms_client **ret_client);
	/* kms_clients_describe(). */
	enum kms_status (*describe)(const struct kms_settings *settings, void *shared,
				    const char *region, struct kms_report *report,
				    struct buffer *ret_text);
	/* As whom it is asked, where that is known before. */
	void (*note_caller)(const struct kms_settings *settings, struct kms_caller *caller);
};

/* Its section in the settings; NULL: there is none. In a set of clients each has its own. */
void *provider_section(const struct kms_settings *settings, const struct kms_provider *provider);
/* What the functions of the row say, with a default. `provider` may be NULL. */
unsigned provider_call_ms(const struct kms_settings *settings, const struct kms_provider *provider);
const char *provider_region_order(const struct kms_settings *settings,
				  const struct kms_provider *provider);

/* By its name; NULL: none. */
const struct kms_provider *provider_find(const struct kms_provider *const *providers,
					 const char *name);
/* That of a key, by any name of it, and the region that this name says; NULL: it names none. */
const struct kms_provider *provider_of_key(const struct kms_provider *const *providers,
					   const char *key, struct bytes *ret_region);
/* A text of each row, by its offset in there: "a, b<last>c". */
void providers_put(const struct kms_provider *const *providers, size_t text, const char *last,
		   struct buffer *out);
