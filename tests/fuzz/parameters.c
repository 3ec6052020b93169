/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any parameter for any mechanism: the first byte chooses the mechanism, the rest is the parameter.
 * Where that is a structure with pointers, its lengths come from the input and the pointers are
 * made good. */
#include "base/log.h"
#include "base/reader.h"
#include "mechanisms/deriving.h"
#include "mechanisms/hkdf.h"
#include "mechanisms/message.h"
#include "mechanisms/parameters.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static uint8_t memory[4096];

static CK_RV read(const struct mechanism *mechanism, const void *data, size_t size)
{
	const CK_MECHANISM given = {mechanism->type, (void *)data, size};
	struct parameter parameter = {0};
	CK_RV rv = parameter_read(mechanism, &given, &parameter);

	if (rv == CKR_OK && (!bytes_valid(parameter.iv) || !bytes_valid(parameter.aad)))
		abort();
	parameter_clear(&parameter);
	return rv;
}

/* NULL now and then. */
static CK_BYTE *pointer(struct reader *reader)
{
	return reader_u8(reader) % 8 == 0 ? NULL : memory;
}

static void read_gcm(const struct mechanism *mechanism, struct reader *reader)
{
	CK_GCM_PARAMS gcm = {
		.pIv = pointer(reader),
		.ulIvLen = reader_u16(reader) % sizeof(memory),
		.ulIvBits = reader_u64(reader),
		.pAAD = pointer(reader),
		.ulAADLen = reader_u16(reader) % sizeof(memory),
		.ulTagBits = reader_u16(reader),
	};

	read(mechanism, &gcm, sizeof(gcm));
}

static void read_ccm(const struct mechanism *mechanism, struct reader *reader)
{
	CK_CCM_PARAMS ccm = {
		.ulDataLen = reader_u64(reader),
		.pNonce = pointer(reader),
		.ulNonceLen = reader_u8(reader) % 32,
		.pAAD = pointer(reader),
		.ulAADLen = reader_u16(reader) % sizeof(memory),
		.ulMACLen = reader_u8(reader),
	};

	read(mechanism, &ccm, sizeof(ccm));
}

/* A structure of a message, of the input's bytes as they are; its pointers are looked at by nobody.
 */
static void read_message(const struct mechanism *mechanism, struct reader *reader)
{
	struct message message;
	CK_RV rv = message_parameter_read(mechanism, reader->left.data, reader->left.len, &message);

	if (rv == CKR_OK && (message.iv == NULL || message.tag == NULL || message.iv_len < 1 ||
			     message.iv_len > MESSAGE_IV_MAX || message.tag_len > AES_BLOCK))
		abort();
}

/* And the structure by which a key is wrapped. */
static void read_wrap(const struct mechanism *mechanism, struct reader *reader)
{
	const CK_MECHANISM given = {mechanism->type, (void *)reader->left.data, reader->left.len};
	struct parameter parameter = {0};
	struct message message = {0};

	if (given.ulParameterLen == mechanism->does->messages->wrap_size &&
	    message_wrap_read(mechanism, &given, &message, &parameter) == CKR_OK &&
	    (message.iv == NULL || message.tag != NULL || message.iv_len < 1 ||
	     message.iv_len > MESSAGE_IV_MAX || message.tag_len > AES_BLOCK))
		abort();
}

static void read_envelope_message(const struct mechanism *mechanism, struct reader *reader)
{
	CK_CMEK_MESSAGE_PARAMS message = {
		.ulNumber = reader_u64(reader) >> (reader_u8(reader) % 64),
		.pAAD = pointer(reader),
		.ulAADLen = reader_u16(reader) % sizeof(memory),
	};

	read(mechanism, &message, sizeof(message));
}

static void read_hkdf(struct reader *reader)
{
	CK_HKDF_PARAMS hkdf = {
		.bExtract = reader_u8(reader),
		.bExpand = reader_u8(reader),
		.prfHashMechanism = reader_u32(reader),
		.ulSaltType = reader_u8(reader),
		.pSalt = pointer(reader),
		.ulSaltLen = reader_u16(reader) % sizeof(memory),
		.pInfo = pointer(reader),
		.ulInfoLen = reader_u16(reader) % sizeof(memory),
	};

	const CK_MECHANISM given = {CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)};

	hkdf_read(&given, &hkdf);
}

/* Pieces of the input's bytes, as they are: their pointers are looked at only where they are made
 * good. */
static void read_deriving(const struct mechanism *mechanism, struct reader *reader)
{
	CK_SP800_108_COUNTER_FORMAT format = {reader_u8(reader), reader_u8(reader)};
	CK_PRF_DATA_PARAM pieces[3];
	CK_SP800_108_FEEDBACK_KDF_PARAMS feedback = {.prfType = reader_u32(reader),
						     .ulNumberOfDataParams = reader_u8(reader) % 4,
						     .pDataParams = pieces,
						     .pIV = pointer(reader),
						     .ulIVLen = reader_u8(reader)};
	CK_SP800_108_KDF_PARAMS other = {feedback.prfType, feedback.ulNumberOfDataParams, pieces, 0,
					 NULL};
	struct deriving deriving = {.mechanism = mechanism};
	CK_MECHANISM given = {mechanism->type, &other, sizeof(other)};

	for (size_t i = 0; i < 3; i++)
		pieces[i] = (CK_PRF_DATA_PARAM){reader_u8(reader) % 8, &format,
						reader_u8(reader) % 2 == 0 ? 0 : sizeof(format)};
	if (mechanism->detail == FEEDBACK_KDF)
		given = (CK_MECHANISM){mechanism->type, &feedback, sizeof(feedback)};
	if (mechanism->does->derive->read(&given, &deriving) == CKR_OK &&
	    (deriving.count > 3 || deriving.prf == NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader = reader_of(bytes(data, size));
	const struct mechanism *mechanism = mechanism_at(reader_u8(&reader) % mechanism_count());

	log_configure(LOG_OFF, "stderr");
	if (mechanism->does->messages != NULL) {
		read_message(mechanism, &reader);
		read_wrap(mechanism, &reader);
	}
	if (mechanism->does == &gcm_behaviour || mechanism->does == &gmac_behaviour)
		read_gcm(mechanism, &reader);
	else if (mechanism->does == &ccm_behaviour)
		read_ccm(mechanism, &reader);
	else if (mechanism->does == &envelope_message_behaviour)
		read_envelope_message(mechanism, &reader);
	else if (mechanism->does == &hkdf_behaviour)
		read_hkdf(&reader);
	else if (mechanism->does->derive != NULL)
		read_deriving(mechanism, &reader);
	else
		read(mechanism, reader.left.data, reader.left.len);
	return 0;
}
