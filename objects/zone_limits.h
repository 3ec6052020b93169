/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a zone may never pass, between its object and the EZK record that holds it under a MAC
 * (zones/model/limits.h; docs/format.md, "Limits"). Whatever else an object is made of, a row of
 * the store or a template, counts for less than the record, never for more.
 */
#pragma once

#include "objects/object.h"

/* The limits of a new zone like `zone`. CKR_ATTRIBUTE_VALUE_INVALID: they are more than a record
 * holds; logged. */
CK_RV zone_limits_write(const struct object *zone, struct buffer *ret_limits);

/* What all that was taken in allows together; for AUTO. */
struct zone_limits {
	uint32_t usages;
	bool some;		  /* of mechanisms; else any */
	struct buffer mechanisms; /* CK_MECHANISM_TYPE[] */
	struct buffer wrap_template, unwrap_template;
};
void zone_limits_clear(struct zone_limits *limits);
/* Begins with what an object allows. */
void zone_limits_begin(const struct object *object, struct zone_limits *ret_limits);
/* Usages and mechanisms that are in both, and the attributes of both templates; those of what comes
 * where the two differ. Nothing in common of mechanisms: no usage is left. */
void zone_limits_narrow(struct zone_limits *limits, const struct object *by);
/* The same by the record of a version; `version` NULL: there is none, and nothing is left. Without
 * memory too, which zone_limits_put() then says. */
void zone_limits_keep_to(struct zone_limits *limits, const struct ezk_version *version);
/* By those that new uses of a zone take: its primary and its raw version. */
void zone_limits_keep_to_zone(struct zone_limits *limits, const struct entry *zone);
/* Puts them into a model, which borrows. False: no memory, and the model is as it was. */
bool zone_limits_put(const struct zone_limits *limits, struct object *model);

/* The usages that the records of a zone allow, on a token or not. False: no memory to see it. */
bool zone_greatest_usages(const struct object *zone, uint32_t *ret_usages);
