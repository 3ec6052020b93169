/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/fake_token.h"

#include "base/macros.h"

#include <assert.h>

/* Every function begins with `COUNTED`, so that a test can make each call fail in turn. */

struct fake_token fake;

struct fake_key {
	bool used;
	uint8_t value[32];
	uint64_t zone; /* an EZK that came out of a record */
	uint32_t version;
};

static struct fake_key keys[FAKE_KEYS];
static uint8_t random_state;
static uint64_t digest_state;
static struct {
	uint8_t key[32];
	CK_OBJECT_HANDLE found[8];
	size_t found_count;
} active;

#define COUNTED                                                                                    \
	if (++fake.calls == fake.fail_at)                                                          \
	return CKR_DEVICE_ERROR

enum { FIRST_ZONE = 100, FIRST_ROOT_KEY = 200 };

void fake_token_reset(void)
{
	fake = (struct fake_token){.version = 1,
				   .zones = {11, 22},
				   .root_keys = {"arn:fake:kms:::key/1", "arn:fake:kms:::key/2"}};
	memset(keys, 0, sizeof(keys));
	random_state = 0;
}

/* --- Toys ------------------------------------------------------------------------------------ */

static uint64_t fnv(uint64_t state, struct bytes in)
{
	for (size_t i = 0; i < in.len; i++)
		state = (state ^ in.data[i]) * UINT64_C(0x100000001B3);
	return state;
}

static void put64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* `len` bytes out of a state. */
static void stretch(uint64_t state, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t step = (uint8_t)i;

		state = fnv(state, bytes(&step, 1));
		out[i] = (uint8_t)(state >> 32);
	}
}

static uint64_t seed_of(const uint8_t *key, struct bytes nonce, struct bytes aad)
{
	return fnv(fnv(fnv(14695981039346656037u, bytes(key, 32)), nonce), aad);
}

static void toy_seal(const uint8_t *key, struct bytes nonce, struct bytes aad, struct bytes in,
		     uint8_t *out)
{
	uint64_t seed = seed_of(key, nonce, bytes(NULL, 0));

	for (size_t i = 0; i < in.len; i++)
		out[i] = in.data[i] ^ (uint8_t)(seed >> (i % 8 * 8));
	stretch(fnv(seed_of(key, nonce, aad), bytes(out, in.len)), out + in.len, 16);
}

static bool toy_open(const uint8_t *key, struct bytes nonce, struct bytes aad, struct bytes in,
		     uint8_t *out)
{
	uint64_t seed = seed_of(key, nonce, bytes(NULL, 0));
	uint8_t tag[16];

	stretch(fnv(seed_of(key, nonce, aad), bytes(in.data, in.len - 16)), tag, 16);
	for (size_t i = 0; i + 16 < in.len; i++)
		out[i] = in.data[i] ^ (uint8_t)(seed >> (i % 8 * 8));
	return memcmp(tag, in.data + in.len - 16, 16) == 0;
}

static void ezk_of(uint64_t zone, uint32_t version, uint8_t ret_key[static 32])
{
	uint8_t name[12] = {0};

	put64(name, zone);
	name[11] = (uint8_t)version;
	stretch(fnv(1, bytes(name, sizeof(name))), ret_key, 32);
}

/* --- Objects --------------------------------------------------------------------------------- */

static CK_OBJECT_HANDLE add(const struct fake_key *key)
{
	for (size_t i = 0; i < FAKE_KEYS; i++) {
		if (keys[i].used)
			continue;
		keys[i] = *key;
		keys[i].used = true;
		fake.live++;
		return i + 1;
	}
	return CK_INVALID_HANDLE;
}

static bool is_zone(CK_OBJECT_HANDLE handle)
{
	return handle >= FIRST_ZONE && handle < FIRST_ROOT_KEY;
}

/* Zone and version an EZK wraps by; a session's own keys are at their handle. */
static void names_of(CK_OBJECT_HANDLE handle, uint64_t *ret_zone, uint32_t *ret_version)
{
	*ret_zone = is_zone(handle) ? fake.zones[handle - FIRST_ZONE] : keys[handle - 1].zone;
	*ret_version = is_zone(handle) ? fake.version : keys[handle - 1].version;
}

static void put_wrap(struct buffer *out, const char *arn)
{
	buffer_put_sized(out, bytes_of(arn));
	buffer_put_sized(out, bytes_of("blob"));
}

static void put_record(uint64_t zone, uint32_t version, const char *first, const char *second,
		       struct bytes limits, struct buffer *out)
{
	AUTO(buffer_clear) struct buffer wraps = {0};
	uint8_t zeros[36] = {0};

	put_wrap(&wraps, first);
	if (second != NULL)
		put_wrap(&wraps, second);
	buffer_append(out, bytes("CEZK\x01\0", 6));
	buffer_put_u16(out, (uint16_t)(99 + limits.len + wraps.len));
	buffer_append(out, bytes(zeros, 32));
	buffer_put_u64(out, zone);
	buffer_put_u32(out, version);
	buffer_append(out, bytes(zeros, 12));
	buffer_append(out, bytes(zeros, 32));
	buffer_put_sized(out, limits);
	buffer_put_u8(out, second == NULL ? 1 : 2);
	buffer_append(out, buffer_bytes(&wraps));
}

void fake_token_record_by_two(uint64_t zone, uint32_t version, const char *first,
			      const char *second, struct buffer *out)
{
	put_record(zone, version, first, second, bytes(NULL, 0), out);
}

void fake_token_record(uint64_t zone, uint32_t version, const char *arn, struct buffer *out)
{
	put_record(zone, version, arn, NULL, bytes(NULL, 0), out);
}

void fake_token_kept_record(uint64_t zone, uint32_t version, const char *arn, struct buffer *out)
{
	put_record(zone, version, arn, NULL, bytes("\6\0", 3), out);
}

/* --- Functions ------------------------------------------------------------------------------- */

static CK_RV generate_random(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG len)
{
	(void)session;
	COUNTED;
	for (CK_ULONG i = 0; i < len; i++)
		out[i] = ++random_state;
	return CKR_OK;
}

static CK_RV digest_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism)
{
	(void)session, (void)mechanism;
	COUNTED;
	digest_state = 1;
	return CKR_OK;
}

static CK_RV digest_update(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len)
{
	(void)session;
	COUNTED;
	digest_state = fnv(digest_state, bytes(part, len));
	return CKR_OK;
}

static CK_RV digest_final(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *len)
{
	(void)session;
	COUNTED;
	*len = 32;
	stretch(digest_state, out, 32);
	return CKR_OK;
}

static bool equals(const CK_ATTRIBUTE *attribute, struct bytes value)
{
	return bytes_equal(bytes(attribute->pValue, attribute->ulValueLen), value);
}

static bool matches_zone(const CK_ATTRIBUTE *template, CK_ULONG count, uint64_t zone)
{
	uint8_t id[8];

	put64(id, zone);
	for (CK_ULONG i = 0; i < count; i++)
		if (template[i].type == CKA_CMEK_ZONE && equals(&template[i], bytes(id, 8)))
			return zone != 0;
	return false;
}

/* That version of that zone is imported by the zone of index 0. */
static bool matches_import(const CK_ATTRIBUTE *template, CK_ULONG count)
{
	uint8_t import[12] = {0};

	put64(import, fake.imported_zone);
	import[11] = (uint8_t)fake.imported_version;
	for (CK_ULONG i = 0; i < count; i++)
		if (template[i].type == CKA_CMEK_IMPORTS &&
		    equals(&template[i], bytes(import, template[i].ulValueLen)))
			return fake.imported_zone != 0;
	return false;
}

static bool matches_root_key(const CK_ATTRIBUTE *template, CK_ULONG count, const char *arn)
{
	for (CK_ULONG i = 0; i < count; i++) {
		if (template[i].type == CKA_CMEK_ZONE || template[i].type == CKA_CMEK_IMPORTS)
			return false;
		if (template[i].type == CKA_CMEK_ROOT_KEY)
			return arn != NULL && equals(&template[i], bytes_of(arn));
	}
	return arn != NULL; /* a search for all secret keys */
}

/* A search first finds another object with the same attributes: a data key of the zone, or the zone
 * that names the root key. */
static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
	(void)session;
	COUNTED;
	active.found_count = 0;
	active.found[active.found_count++] = 999;
	for (unsigned i = 0; i < COUNT_OF(fake.zones); i++)
		if (matches_zone(template, count, fake.zones[i]))
			active.found[active.found_count++] = FIRST_ZONE + i;
	if (matches_import(template, count))
		active.found[active.found_count++] = FIRST_ZONE;
	for (unsigned i = 0; i < COUNT_OF(fake.root_keys); i++)
		if (matches_root_key(template, count, fake.root_keys[i]))
			active.found[active.found_count++] = FIRST_ROOT_KEY + i;
	return CKR_OK;
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count)
{
	(void)session, (void)max;
	COUNTED;
	*count = active.found_count > 0;
	if (active.found_count == 0)
		return CKR_OK;
	*found = active.found[0];
	active.found_count--;
	memmove(active.found, active.found + 1, active.found_count * sizeof(*active.found));
	return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
	(void)session;
	COUNTED;
	active.found_count = 0;
	return CKR_OK;
}

static CK_RV give(CK_ATTRIBUTE *attribute, struct bytes value)
{
	if (attribute->pValue != NULL)
		memcpy(attribute->pValue, value.data, value.len);
	attribute->ulValueLen = value.len;
	return CKR_OK;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			   CK_ATTRIBUTE *attribute, CK_ULONG count)
{
	AUTO(buffer_clear) struct buffer record = {0};
	CK_ULONG version = fake.version;
	CK_BBOOL embed = !fake.kept;
	uint8_t id[8];

	(void)session, (void)count;
	COUNTED;
	if (attribute->type == CKA_CMEK_ZONE && is_zone(object)) {
		put64(id, fake.zones[object - FIRST_ZONE]);
		return give(attribute, bytes(id, sizeof(id)));
	}
	if (attribute->type == CKA_VALUE && object <= FAKE_KEYS)
		return give(attribute, bytes(keys[object - 1].value, 32));
	if (attribute->type == CKA_CMEK_KMS_KEY && object >= FIRST_ROOT_KEY && object != 999)
		return give(attribute, bytes_of("named"));
	if (attribute->type == CKA_CMEK_EMBED_EZK && is_zone(object))
		return give(attribute, bytes(&embed, sizeof(embed)));
	if (attribute->type == CKA_CMEK_VERSION && is_zone(object))
		return give(attribute, bytes(&version, sizeof(version)));
	if (attribute->type != CKA_CMEK_ENCRYPTED_KEY || !is_zone(object))
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if (fake.kept)
		return CKR_ATTRIBUTE_SENSITIVE;
	fake_token_record(fake.zones[object - FIRST_ZONE], fake.version, fake.root_keys[0],
			  &record);
	return give(attribute, buffer_bytes(&record));
}

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			  CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	struct fake_key key = {0};

	(void)session, (void)mechanism, (void)template, (void)count;
	COUNTED;
	memset(key.value, ++random_state, sizeof(key.value));
	*ret_key = add(&key);
	return CKR_OK;
}

static void derive(CK_OBJECT_HANDLE base, struct bytes info, uint8_t ret_value[static 32])
{
	stretch(fnv(fnv(7, bytes(keys[base - 1].value, 32)), info), ret_value, 32);
}

static CK_RV derive_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
			CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	const CK_HKDF_PARAMS *hkdf = mechanism->pParameter;
	struct fake_key key = {0};

	(void)session, (void)template, (void)count;
	COUNTED;
	derive(base, bytes(hkdf->pInfo, hkdf->ulInfoLen), key.value);
	*ret_key = add(&key);
	return CKR_OK;
}

static CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	(void)session;
	if (object == 0 || object > FAKE_KEYS || !keys[object - 1].used)
		return CKR_OBJECT_HANDLE_INVALID;
	keys[object - 1].used = false;
	fake.live--;
	return CKR_OK;
}

static CK_RV wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE ezk,
		      CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *len)
{
	struct bytes aad = bytes(mechanism->pParameter, mechanism->ulParameterLen);
	uint8_t wrapping[32];
	uint32_t version;
	uint64_t zone;

	(void)session;
	COUNTED;
	names_of(ezk, &zone, &version);
	ezk_of(zone, version, wrapping);
	memset(out, 0, 48);
	memcpy(out, "CDEK\x01", 5);
	put64(out + 8, zone);
	out[19] = (uint8_t)version;
	toy_seal(wrapping, bytes(out, 48), aad, bytes(keys[key - 1].value, 32), out + 48);
	*len = 96;
	return CKR_OK;
}

static CK_RV unwrap_record(CK_OBJECT_HANDLE root_key, struct bytes in, CK_OBJECT_HANDLE *ret_key)
{
	struct fake_key key = {0};

	unsigned index = (unsigned)(root_key - FIRST_ROOT_KEY);

	assert(root_key >= FIRST_ROOT_KEY && index < COUNT_OF(fake.root_keys));
	assert(strlen(fake.asked) + 1 < sizeof(fake.asked));
	fake.asked[strlen(fake.asked)] = (char)('0' + index);
	if (fake.root_key_answers[index] != CKR_OK)
		return fake.root_key_answers[index];
	fake.opened_records++;
	for (int i = 0; i < 8; i++)
		key.zone = key.zone << 8 | in.data[40 + i];
	key.version = in.data[51];
	*ret_key = add(&key);
	return CKR_OK;
}

static CK_RV unwrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE ezk,
			CK_BYTE *in, CK_ULONG len, CK_ATTRIBUTE *template, CK_ULONG count,
			CK_OBJECT_HANDLE *ret_key)
{
	struct bytes aad = bytes(mechanism->pParameter, mechanism->ulParameterLen);
	struct fake_key key = {0};
	uint8_t wrapping[32];
	uint32_t version;
	uint64_t zone;

	(void)session, (void)template, (void)count;
	COUNTED;
	if (mechanism->mechanism == CKM_CMEK_KMS)
		return unwrap_record(ezk, bytes(in, len), ret_key);
	names_of(ezk, &zone, &version);
	ezk_of(zone, in[19], wrapping);
	if (!toy_open(wrapping, bytes(in, 48), aad, bytes(in + 48, len - 48), key.value))
		return CKR_WRAPPED_KEY_INVALID;
	*ret_key = add(&key);
	return CKR_OK;
}

/* --- Chunks ---------------------------------------------------------------------------------- */

static CK_RV crypt_init(const CK_GCM_PARAMS *gcm, const uint8_t key[static 32])
{
	COUNTED;
	fake.last_gcm = *gcm;
	memcpy(fake.last_nonce, fake.last_gcm.pIv, fake.last_gcm.ulIvLen);
	if (fake.last_gcm.ulAADLen > 0)
		memcpy(fake.last_aad, fake.last_gcm.pAAD, fake.last_gcm.ulAADLen);
	memcpy(active.key, key, 32);
	return CKR_OK;
}

/* The nonce of docs/format.md, 5.3, as the module makes it. */
static CK_RV chunk_init(CK_ULONG index, bool last, CK_BYTE *aad, CK_ULONG aad_len,
			const uint8_t key[static 32])
{
	uint8_t nonce[12] = {0};
	CK_GCM_PARAMS gcm = {nonce, sizeof(nonce), 96, aad, aad_len, 128};

	for (int i = 0; i < 4; i++)
		nonce[7 + i] = (uint8_t)(index >> (24 - 8 * i));
	nonce[11] = last;
	return crypt_init(&gcm, key);
}

static CK_RV message_init(const CK_CMEK_MESSAGE_PARAMS *message, CK_OBJECT_HANDLE dek)
{
	uint8_t info[] = "cmek/1/message....", key[32];

	assert(!fake.is_older);
	for (int i = 0; i < 4; i++)
		info[14 + i] = (uint8_t)(message->ulNumber >> (24 - 8 * i));
	derive(dek, bytes(info, sizeof(info) - 1), key);
	return chunk_init(0, true, message->pAAD, message->ulAADLen, key);
}

static CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	const CK_CMEK_CHUNK_PARAMS *chunk = mechanism->pParameter;

	(void)session;
	if (mechanism->mechanism == CKM_CMEK_MESSAGE)
		return message_init(mechanism->pParameter, key);
	assert(mechanism->mechanism == CKM_CMEK_CHUNK);
	return chunk_init(chunk->ulIndex, chunk->bLast, chunk->pAAD, chunk->ulAADLen,
			  keys[key - 1].value);
}

static CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	(void)session;
	if (mechanism->mechanism == CKM_CMEK_MESSAGE)
		return message_init(mechanism->pParameter, key);
	return crypt_init(mechanism->pParameter, keys[key - 1].value);
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
				CK_MECHANISM_INFO *ret_info)
{
	(void)slot;
	fake.asked_for_mechanisms++;
	if (type != CKM_CMEK_MESSAGE || fake.is_older)
		return CKR_MECHANISM_INVALID;
	*ret_info = (CK_MECHANISM_INFO){32, 32, CKF_ENCRYPT | CKF_DECRYPT};
	return CKR_OK;
}

static struct bytes nonce(void)
{
	return bytes(fake.last_nonce, fake.last_gcm.ulIvLen);
}

static struct bytes aad(void)
{
	return bytes(fake.last_aad, fake.last_gcm.ulAADLen);
}

static CK_RV encrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
		     CK_ULONG *len)
{
	(void)session;
	COUNTED;
	if (*len < in_len + 16)
		return CKR_BUFFER_TOO_SMALL;
	toy_seal(active.key, nonce(), aad(), bytes(in, in_len), out);
	*len = in_len + 16;
	return CKR_OK;
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
		     CK_ULONG *len)
{
	(void)session;
	COUNTED;
	if (!toy_open(active.key, nonce(), aad(), bytes(in, in_len), out))
		return CKR_ENCRYPTED_DATA_INVALID;
	*len = in_len - 16;
	return CKR_OK;
}

static CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *ret_info)
{
	(void)session;
	*ret_info = (CK_SESSION_INFO){.ulDeviceError = fake.calls};
	return CKR_OK;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info)
{
	(void)slot;
	COUNTED;
	memset(ret_info, ' ', sizeof(*ret_info));
	memcpy(ret_info->serialNumber, "0123456789abcdef", 16);
	return CKR_OK;
}

static const CK_FUNCTION_LIST functions = {
	.C_GetTokenInfo = get_token_info,
	.C_GetSessionInfo = get_session_info,
	.C_GetMechanismInfo = get_mechanism_info,
	.C_GenerateRandom = generate_random,
	.C_DigestInit = digest_init,
	.C_DigestUpdate = digest_update,
	.C_DigestFinal = digest_final,
	.C_FindObjectsInit = find_init,
	.C_FindObjects = find,
	.C_FindObjectsFinal = find_final,
	.C_GetAttributeValue = get_attribute,
	.C_GenerateKey = generate_key,
	.C_DeriveKey = derive_key,
	.C_DestroyObject = destroy,
	.C_WrapKey = wrap_key,
	.C_UnwrapKey = unwrap_key,
	.C_EncryptInit = encrypt_init,
	.C_Encrypt = encrypt,
	.C_DecryptInit = decrypt_init,
	.C_Decrypt = decrypt,
};

struct envelope_token fake_token_session(void)
{
	return (struct envelope_token){.functions = &functions, .session = 1};
}

CK_OBJECT_HANDLE fake_token_zone(unsigned index)
{
	return FIRST_ZONE + index;
}
