/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that run short of memory: a row each. */
#include "application.h"
#include "shortage.h"
#include "shortage_rounds.h"

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_KEY_TYPE aes = CKK_AES;
static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;

CK_BYTE input[OUT_MAX];
CK_ULONG input_len;
CK_ULONG objects;

static CK_OBJECT_HANDLE made;

/* --- The calls */

static CK_RV run_initialize(void)
{
	CK_RV rv = open_token();

	if (rv != CKR_OK)
		p11->C_Finalize(NULL);
	return rv;
}

static CK_RV run_find(void)
{
	CK_ULONG count = 0;
	CK_BYTE unique[64], record[OUT_MAX];
	CK_ATTRIBUTE rows[] = {ROW(CKA_UNIQUE_ID, unique), ROW(CKA_CMEK_ENCRYPTED_KEY, record)};
	CK_OBJECT_HANDLE first;
	CK_RV rv = find_objects(NULL, 0, &count, &first);

	if (rv == CKR_OK && count != objects + 1) /* with `key` */
		note_wrong("a search found %lu objects of %lu", count, objects + 1);
	rv = rv != CKR_OK ? rv : find_label("default/z0", &count, &first);
	if (rv == CKR_OK && (count != 1 || first != zone))
		note_wrong("a search found %lu zones", count);
	return rv != CKR_OK ? rv : p11->C_GetAttributeValue(session, zone, rows, COUNT(rows));
}

static CK_RV run_generate(void)
{
	CK_RV rv = generate_key("new", no, yes, &key);

	return rv != CKR_OK ? rv : p11->C_DestroyObject(session, key);
}

static CK_RV run_keep(void)
{
	return generate_key("new", yes, yes, &made);
}

/* More than a slot of locked memory takes. */
static CK_BYTE content[5000] = "what a program keeps";

static CK_RV run_keep_data(void)
{
	CK_OBJECT_CLASS data = CKO_DATA;
	CK_ATTRIBUTE template[] = {ROW(CKA_CLASS, data),
				   ROW(CKA_TOKEN, yes),
				   {CKA_LABEL, (void *)"new", 3},
				   ROW(CKA_VALUE, content)};

	return p11->C_CreateObject(session, template, COUNT(template), &made);
}

static CK_RV run_new_zone(void)
{
	return generate_key("default/new", yes, no, &made);
}

static CK_RV run_wrap(void)
{
	CK_MECHANISM mechanism = {CKM_CMEK_DEK_WRAP, NULL, 0};

	told->out_len = OUT_MAX;
	return p11->C_WrapKey(session, &mechanism, zone, key, told->out, &told->out_len);
}

static CK_RV run_wrap_kwp(void)
{
	CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_KWP, NULL, 0};

	told->out_len = OUT_MAX;
	return p11->C_WrapKey(session, &mechanism, zone, key, told->out, &told->out_len);
}

static CK_RV run_unwrap(void)
{
	CK_RV rv = unwrap_key(CKM_CMEK_DEK_WRAP, input, input_len, no, &made);

	if (rv == CKR_OK) {
		shortage_end();
		check_value(made);
	}
	return rv;
}

static CK_RV run_unwrap_kwp(void)
{
	CK_RV rv = unwrap_key(CKM_AES_KEY_WRAP_KWP, input, input_len, no, &made);

	if (rv == CKR_OK) {
		shortage_end();
		check_value(made);
	}
	return rv;
}

static CK_RV run_unwrap_kept(void)
{
	return unwrap_key(CKM_CMEK_DEK_WRAP, input, input_len, yes, &made);
}

static CK_RV run_encrypt_root(void)
{
	return encrypt_text(root, by_kms(), told->out, &told->out_len);
}

static CK_RV run_decrypt_root(void)
{
	return decrypt_text(root, by_kms(), input, input_len);
}

static CK_RV run_encrypt(void)
{
	return encrypt_text(kept, gcm(&parameters), told->out, &told->out_len);
}

static CK_RV run_decrypt(void)
{
	return decrypt_text(kept, gcm(&parameters), input, input_len);
}

static CK_RV run_encrypt_zone(void)
{
	return encrypt_text(zone, gcm(&parameters), told->out, &told->out_len);
}

static CK_RV run_decrypt_zone(void)
{
	return decrypt_text(zone, gcm(&parameters), input, input_len);
}

/* A message that is sealed in parts by an IV of the module's, and opened at once. */
static CK_RV run_message(void)
{
	static CK_BYTE plain[] = "a message";
	CK_BYTE nonce[12], mac[16], sealed[sizeof(plain)], opened[sizeof(plain)];
	CK_CCM_MESSAGE_PARAMS message = {sizeof(plain),	      nonce, sizeof(nonce), 0,
					 CKG_GENERATE_RANDOM, mac,   sizeof(mac)};
	CK_MECHANISM ccm = {CKM_AES_CCM, NULL, 0};
	CK_ULONG len = sizeof(sealed);
	CK_RV rv;

	p32->C_SessionCancel(session, CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT);
	rv = p32->C_MessageEncryptInit(session, &ccm, zone);
	if (rv == CKR_OK)
		rv = p32->C_EncryptMessageBegin(session, &message, sizeof(message), NULL, 0);
	if (rv == CKR_OK)
		rv = p32->C_EncryptMessageNext(session, &message, sizeof(message), plain,
					       sizeof(plain), sealed, &len, CKF_END_OF_MESSAGE);
	if (rv == CKR_OK)
		rv = p32->C_MessageDecryptInit(session, &ccm, zone);
	if (rv == CKR_OK)
		rv = p32->C_DecryptMessage(session, &message, sizeof(message), NULL, 0, sealed, len,
					   opened, &len);
	if (rv == CKR_OK && memcmp(opened, plain, sizeof(plain)) != 0)
		note_wrong("what was opened is not what was sealed");
	return rv;
}

/* By an algorithm that is looked up when a key is made ready for it. */
static CK_RV run_sign(void)
{
	CK_BYTE text[] = "a text", mac[32];
	CK_ULONG len = sizeof(mac);
	CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
	CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE template[] = {ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, generic),
				   ROW(CKA_SIGN, yes), ROW(CKA_VERIFY, yes), ROW(CKA_VALUE, text)};
	CK_RV rv = p11->C_CreateObject(session, template, COUNT(template), &made);

	p32->C_SessionCancel(session, CKF_SIGN | CKF_VERIFY);
	rv = rv != CKR_OK ? rv : p11->C_SignInit(session, &hmac, made);
	rv = rv != CKR_OK ? rv : p11->C_Sign(session, text, sizeof(text), mac, &len);
	rv = rv != CKR_OK ? rv : p11->C_VerifyInit(session, &hmac, made);
	return rv != CKR_OK ? rv : p11->C_Verify(session, text, sizeof(text), mac, len);
}

/* The same zone, by its record, in the session alone. */
static CK_RV run_record(void)
{
	CK_MECHANISM mechanism = by_kms();
	CK_ATTRIBUTE template[] = {ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes),
				   ROW(CKA_TOKEN, no), ROW(CKA_ENCRYPT, yes)};
	CK_RV rv = p11->C_UnwrapKey(session, &mechanism, root, input, input_len, template,
				    COUNT(template), &made);

	return rv != CKR_OK ? rv : encrypt_text(made, gcm(&parameters), told->out, &told->out_len);
}

static CK_RV run_root_key(void)
{
	CK_BBOOL create = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		ROW(CKA_CLASS, secret_key),
		ROW(CKA_TOKEN, yes),
		{CKA_CMEK_KMS_KEY, (void *)"local:new", 9},
		ROW(CKA_CMEK_CREATE, create),
		{CKA_LABEL, (void *)"new", 3},
	};
	CK_RV rv = p11->C_CreateObject(session, template, COUNT(template), &made);

	/* An attempt without memory may have made the key, and not registered it. */
	create = CK_FALSE;
	return rv == CKR_TEMPLATE_INCONSISTENT
		       ? p11->C_CreateObject(session, template, COUNT(template), &made)
		       : rv;
}

static CK_RV run_rename(void)
{
	CK_ATTRIBUTE row = {CKA_LABEL, (void *)"new", 3};

	return p11->C_SetAttributeValue(session, kept, &row, 1);
}

static CK_RV run_destroy(void)
{
	return p11->C_DestroyObject(session, kept);
}

/* --- What a fresh process finds */

static void out_decrypts_root(void)
{
	check_opens(root, by_kms(), told->out, told->out_len, "what the call encrypted");
}

static void out_decrypts_kept(void)
{
	check_opens(kept, gcm(&parameters), told->out, told->out_len, "what the call encrypted");
}

static void out_decrypts_zone(void)
{
	check_opens(zone, gcm(&parameters), told->out, told->out_len, "what the call encrypted");
}

static void out_unwraps(void)
{
	check_unwraps(CKM_CMEK_DEK_WRAP, told->out, told->out_len);
}

static void out_unwraps_kwp(void)
{
	check_unwraps(CKM_AES_KEY_WRAP_KWP, told->out, told->out_len);
}

/* A key that was stored, of a zone or not, encrypts, and opens that again. */
static void check_works(const char *label)
{
	CK_BYTE out[OUT_MAX];
	CK_ULONG len = 0;
	CK_RV rv = encrypt_text(find_one(label), gcm(&parameters), out, &len);

	if (rv != CKR_OK)
		note_wrong("'%s' does not encrypt afterwards: 0x%lx", label, rv);
	else
		check_opens(find_one(label), gcm(&parameters), out, len, label);
}

static void new_works(void)
{
	check_works("new");
}

static void new_data_is_read(void)
{
	CK_BYTE read[sizeof(content)];
	CK_ATTRIBUTE row = ROW(CKA_VALUE, read);

	must(p11->C_GetAttributeValue(session, find_one("new"), &row, 1), "C_GetAttributeValue");
	if (row.ulValueLen != sizeof(read) || memcmp(read, content, sizeof(read)) != 0)
		note_wrong("what is read is not what was kept");
}

static void new_zone_works(void)
{
	check_works("default/new");
}

static void new_root_key_works(void)
{
	CK_RV rv = encrypt_text(find_one("new"), by_kms(), told->out, &told->out_len);

	if (rv != CKR_OK)
		note_wrong("the new root key does not encrypt afterwards: 0x%lx", rv);
	else
		check_opens(find_one("new"), by_kms(), told->out, told->out_len, "it");
}

const struct scene scenes[] = {
	/* clang-format off */
	{ "initialize",   "C_Initialize and the first session",
	  run_initialize,   NULL,               NULL,          NULL,          0,  .starts = true },
	{ "find",         "C_FindObjects and C_GetAttributeValue",
	  run_find,         NULL,               NULL,          NULL,          0 },
	{ "generate",     "C_GenerateKey of a session key",
	  run_generate,     NULL,               NULL,          NULL,          0 },
	{ "keep",         "C_GenerateKey of a token key",
	  run_keep,         new_works,          NULL,          "new",         1 },
	{ "keep-data",    "C_CreateObject of token data",
	  run_keep_data,    new_data_is_read,   NULL,          "new",         1 },
	{ "new-zone",     "C_GenerateKey of a zone",
	  run_new_zone,     new_zone_works,     NULL,          "default/new", 1 },
	{ "wrap",         "C_WrapKey by CKM_CMEK_DEK_WRAP",
	  run_wrap,         out_unwraps,        NULL,          NULL,          0 },
	{ "wrap-kwp",     "C_WrapKey by CKM_AES_KEY_WRAP_KWP",
	  run_wrap_kwp,     out_unwraps_kwp,    NULL,          NULL,          0 },
	{ "unwrap",       "C_UnwrapKey by CKM_CMEK_DEK_WRAP",
	  run_unwrap,       NULL,               "wrapped",     NULL,          0 },
	{ "unwrap-kwp",   "C_UnwrapKey by CKM_AES_KEY_WRAP_KWP",
	  run_unwrap_kwp,   NULL,               "wrapped-kwp", NULL,          0 },
	{ "unwrap-kept",  "C_UnwrapKey of a token key",
	  run_unwrap_kept,  new_works,          "wrapped",     "new",         1 },
	{ "encrypt-root", "C_Encrypt by a root key",
	  run_encrypt_root, out_decrypts_root,  NULL,          NULL,          0 },
	{ "decrypt-root", "C_Decrypt by a root key",
	  run_decrypt_root, NULL,               "of-root",     NULL,          0 },
	{ "encrypt",      "C_Encrypt by a token key",
	  run_encrypt,      out_decrypts_kept,  NULL,          NULL,          0 },
	{ "decrypt",      "C_Decrypt by a token key",
	  run_decrypt,      NULL,               "of-kept",     NULL,          0 },
	{ "encrypt-zone", "C_Encrypt by a zone",
	  run_encrypt_zone, out_decrypts_zone,  NULL,          NULL,          0 },
	{ "decrypt-zone", "C_Decrypt by a zone",
	  run_decrypt_zone, NULL,               "of-zone",     NULL,          0 },
	{ "message",      "C_EncryptMessageNext and C_DecryptMessage by a zone",
	  run_message,      NULL,               NULL,          NULL,          0 },
	{ "sign",         "C_Sign and C_Verify by HMAC",
	  run_sign,         NULL,               NULL,          NULL,          0 },
	{ "record",       "C_UnwrapKey of a zone's record into a session, and C_Encrypt by that",
	  run_record,       out_decrypts_zone,  "record",      NULL,          0 },
	{ "root-key",     "C_CreateObject of a root key",
	  run_root_key,     new_root_key_works, NULL,          "new",         1 },
	{ "rename",       "C_SetAttributeValue of a label",
	  run_rename,       new_works,          NULL,          "new",         0,  .takes_kept = true },
	{ "destroy",      "C_DestroyObject of a token key",
	  run_destroy,      NULL,               NULL,          NULL,          -1, .takes_kept = true },
	{ .name = NULL },
	/* clang-format on */
};
