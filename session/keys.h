/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_GenerateKey, C_WrapKey, C_UnwrapKey, C_DeriveKey, and how a new key finds its place. Each of
 * the four may ask the KMS. */
#pragma once

#include "objects/template.h"
#include "session/session.h"

CK_RV session_generate(struct session *session, const CK_MECHANISM *mechanism,
		       const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key);
/* A NULL `out` asks only for the length, without the KMS. */
CK_RV session_wrap(struct session *session, const CK_MECHANISM *mechanism,
		   CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *out,
		   CK_ULONG *out_len);
CK_RV session_unwrap(struct session *session, const CK_MECHANISM *mechanism,
		     CK_OBJECT_HANDLE unwrapping_key, struct bytes wrapped,
		     const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key);
/* C_WrapKeyAuthenticated, C_UnwrapKeyAuthenticated (3.2): the parameter is a structure of a
 * message, in which IV and tag lie, and what is wrapped comes without its tag. C_UnwrapKey opens
 * both together, and the other way round. */
CK_RV session_wrap_apart(struct session *session, const CK_MECHANISM *mechanism,
			 CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, struct bytes aad,
			 CK_BYTE *out, CK_ULONG *out_len);
CK_RV session_unwrap_apart(struct session *session, const CK_MECHANISM *mechanism,
			   CK_OBJECT_HANDLE unwrapping_key, struct bytes wrapped, struct bytes aad,
			   const CK_ATTRIBUTE *attributes, CK_ULONG count,
			   CK_OBJECT_HANDLE *ret_key);
CK_RV session_derive(struct session *session, const CK_MECHANISM *mechanism,
		     CK_OBJECT_HANDLE base_key, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		     CK_OBJECT_HANDLE *ret_key);

/* May the session make what the template asks for? CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN.
 */
CK_RV session_may_make(const struct session *session, const struct template *template);
/* A new object becomes the session's own (takes it). CKR_USER_NOT_LOGGED_IN: it is private, and
 * there was a logout meanwhile. */
CK_RV session_add(struct session *session, struct object **object, CK_OBJECT_HANDLE *ret_handle);
/* A new data key becomes the token's or the session's own (takes it), and belongs to the zone that
 * the template names: CKR_TEMPLATE_INCONSISTENT if it has another's stamp. */
CK_RV session_add_key(struct session *session, const struct template *template, struct object **key,
		      CK_OBJECT_HANDLE *ret_handle);

struct ready_key;
struct parameter;
/* C_WrapKey and C_UnwrapKey by a root key: of zones. */
CK_RV session_export_zone(struct session *session, struct ready_key *root, struct object *zone,
			  CK_BYTE *out, CK_ULONG *out_len);
CK_RV session_import_zone(struct session *session, struct ready_key *root,
			  const struct parameter *parameter, struct bytes wrapped,
			  const struct template *template, CK_OBJECT_HANDLE *ret_handle);
