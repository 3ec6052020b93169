/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a zone may never exceed, between its object and the EZK record that holds it under a MAC
 * (zones/model/limits.h; docs/format.md, "Limits"). Everything else that an object is made from, a
 * row of the store or a template, may allow less than the record, never more.
 */
#pragma once

#include "objects/object.h"

/* The limits of a new zone like `zone`. CKR_ATTRIBUTE_VALUE_INVALID: they take more room than a
 * record has; logged. */
CK_RV zone_limits_write(const struct object *zone, struct buffer *ret_limits);

/* What all limits that were taken in allow together; for AUTO. */
struct zone_limits {
	uint32_t usages;
	bool some;		  /* only the listed mechanisms; else any */
	struct buffer mechanisms; /* CK_MECHANISM_TYPE[] */
	struct buffer wrap_template, unwrap_template;
};
void zone_limits_clear(struct zone_limits *limits);
/* Begins with what an object allows. */
void zone_limits_begin(const struct object *object, struct zone_limits *ret_limits);
/* Intersects usages and mechanisms, and unites the attributes of both templates; where those
 * differ, the later one counts. If no mechanism is left, no usage is. */
void zone_limits_narrow(struct zone_limits *limits, const struct object *by);
/* The same for the record of a version; `version` NULL: there is none, and nothing is left. Nothing
 * is left without memory either, which zone_limits_put() then says. */
void zone_limits_keep_to(struct zone_limits *limits, const struct ezk_version *version);
/* The same for the versions that new uses of a zone take: its primary and its raw version. */
void zone_limits_keep_to_zone(struct zone_limits *limits, const struct entry *zone);
/* Puts them into a model, which borrows. False: no memory, and the model is unchanged. */
bool zone_limits_put(const struct zone_limits *limits, struct object *model);

/* The usages that the records of a zone allow, on a token or not. False: no memory. */
bool zone_greatest_usages(const struct object *zone, uint32_t *ret_usages);
