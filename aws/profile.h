/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile of AWS's shared config and credentials files that is in force. It is read here;
 * aws/credentials/profile.c and endpoint.c interpret it.
 */
#pragma once

#include "aws/environment.h"
#include "aws/settings.h"
#include "net/answer.h"

/* One file as read: sections, keys and values. Wiped: credentials are among them. */
struct aws_file {
	struct buffer path; /* text */
	struct buffer pool; /* NUL-terminated texts, pointed at by offset */
	struct aws_line {
		size_t section, key, value; /* offsets; a section's header has no key (SIZE_MAX) */
	} * lines;
	size_t count, capacity;
};

struct profile {
	struct buffer name; /* text */
	bool named;	    /* by the configuration or AWS_PROFILE, not by default */
	bool exists;	    /* in one of the files */
	struct aws_file config, credentials;
};

/* Zero state first. A missing file is empty; one that can't be read or is not INI is
 * KMS_MISCONFIGURED. The caller decides whether a named profile must exist. */
enum kms_status profile_load(const struct aws_settings *settings,
			     const struct environment *environment, struct kms_report *report,
			     struct profile *profile);
void profile_clear(struct profile *profile);

/* KMS_NO_CREDENTIALS: it is named, and in neither file. */
enum kms_status profile_require(const struct profile *profile, struct kms_report *report);

/* The profile's value, of any case of the key; NULL: not there, or empty. Borrowed. */
const char *profile_credentials(const struct profile *profile, const char *key);
const char *profile_config(const struct profile *profile, const char *key);
/* From the credentials file, else from the config file. */
const char *profile_get(const struct profile *profile, const char *key);
/* Switches to another profile of the same files. False: no memory. */
bool profile_select(struct profile *profile, const char *name);
/* A value of another kind of section of the config file, [KIND NAME], as [sso-session NAME]. NULL:
 * not there, or empty. Borrowed. */
const char *profile_section(const struct profile *profile, const char *kind, const char *name,
			    const char *key);
/* `endpoint_url` of a service in the section [services NAME] that the profile refers to; appended
 * to `out`. False: not there. */
bool profile_service_endpoint(const struct profile *profile, const char *service,
			      struct buffer *out);
