/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a process: sessions' own and the store's; finding, copying, changing, destroying.
 */
#include "objects/attribute.h"
#include "tests/support/objects_fixture.h"
#include "tests/support/values.h"

#include <pthread.h>

static CK_BYTE value[32] = "0123456789abcdef0123456789abcde";

static CK_OBJECT_HANDLE create(struct objects_fixture *fixture, const CK_ATTRIBUTE *rows,
			       CK_ULONG count)
{
	CK_ATTRIBUTE all[12] = {NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
				NUMBER_ROW(CKA_KEY_TYPE, CKK_AES),
				{CKA_VALUE, value, sizeof(value)}};
	CK_OBJECT_HANDLE handle = 0;

	for (CK_ULONG i = 0; i < count; i++)
		all[3 + i] = rows[i];
	assert_int_equal(edit_create(&fixture->editor, all, 3 + count, &handle), CKR_OK);
	return handle;
}

static CK_OBJECT_HANDLE session_key(struct objects_fixture *fixture)
{
	return create(fixture, NULL, 0);
}

static CK_OBJECT_HANDLE token_key(struct objects_fixture *fixture, const CK_ATTRIBUTE *row)
{
	return create(fixture, ROWS(BOOL_ROW(CKA_TOKEN, CK_TRUE), *row));
}

static struct object *find(struct objects_fixture *fixture, CK_OBJECT_HANDLE handle)
{
	return objects_find(fixture->objects, 0, handle);
}

static size_t count_found(struct objects_fixture *fixture, const CK_ATTRIBUTE *rows, CK_ULONG count)
{
	CK_OBJECT_HANDLE *handles = NULL;
	size_t found = 0;

	assert_int_equal(objects_search(fixture->objects, 0, rows, count, &handles, &found),
			 CKR_OK);
	free(handles);
	return found;
}

static CK_OBJECT_HANDLE find_one(struct objects_fixture *fixture, const CK_ATTRIBUTE *rows,
				 CK_ULONG count)
{
	CK_OBJECT_HANDLE *handles = NULL, handle;
	size_t found = 0;

	assert_int_equal(objects_search(fixture->objects, 0, rows, count, &handles, &found),
			 CKR_OK);
	assert_int_equal(found, 1);
	handle = handles[0];
	free(handles);
	return handle;
}

static CK_RV destroy(struct objects_fixture *fixture, CK_OBJECT_HANDLE handle)
{
	AUTO(object_releasep) struct object *object = find(fixture, handle);

	return edit_destroy(&fixture->editor, object, &(bool){0});
}

static CK_RV change(struct objects_fixture *fixture, CK_OBJECT_HANDLE handle,
		    const CK_ATTRIBUTE *rows, CK_ULONG count)
{
	AUTO(object_releasep) struct object *object = find(fixture, handle);

	return edit_change(&fixture->editor, object, rows, count, &(bool){0});
}

static CK_ULONG number_of(struct objects_fixture *fixture, CK_OBJECT_HANDLE handle,
			  CK_ATTRIBUTE_TYPE type)
{
	AUTO(object_releasep) struct object *object = find(fixture, handle);
	CK_ULONG number = 0;
	CK_ATTRIBUTE row = {type, &number, sizeof(number)};

	assert_int_equal(attributes_get(fixture->objects, object, &row, 1), CKR_OK);
	return number;
}

/* Objects of sessions. */

static void handles_are_never_given_twice(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE one = session_key(fixture), two;

	assert_int_equal(destroy(fixture, one), CKR_OK);
	assert_null(find(fixture, one));
	two = session_key(fixture);
	assert_true(two > one);
	assert_int_equal(destroy(fixture, two), CKR_OK);
}

static void a_holder_keeps_an_object_after_its_end(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE handle = session_key(fixture);
	AUTO(object_releasep) struct object *object = find(fixture, handle);
	struct objects_generation before = objects_generation(fixture->objects);

	assert_int_equal(destroy(fixture, handle), CKR_OK);
	assert_null(find(fixture, handle));
	assert_value(object, bytes(value, sizeof(value)));
	assert_false(object_is_as_in(object, before, objects_generation(fixture->objects)));
}

/* Else a flag that only goes one way would come back with the older state. */
static void a_change_is_of_what_another_thread_has_left(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE handle = session_key(fixture);
	AUTO(object_releasep) struct object *read = find(fixture, handle);
	bool other = false;

	assert_int_equal(change(fixture, handle, ROWS(BOOL_ROW(CKA_EXTRACTABLE, CK_FALSE))),
			 CKR_OK);
	assert_int_equal(
		edit_change(&fixture->editor, read, ROWS(TEXT_ROW(CKA_LABEL, "late")), &other),
		CKR_OK);
	assert_true(other);
	assert_int_equal(find_one(fixture, ROWS(TEXT_ROW(CKA_LABEL, "late"))), handle);
	assert_int_equal(change(fixture, handle, ROWS(BOOL_ROW(CKA_EXTRACTABLE, CK_TRUE))),
			 CKR_ATTRIBUTE_READ_ONLY);
	assert_int_equal(destroy(fixture, handle), CKR_OK);
	assert_int_equal(
		edit_change(&fixture->editor, read, ROWS(TEXT_ROW(CKA_LABEL, "later")), &other),
		CKR_OBJECT_HANDLE_INVALID);
}

static void a_session_takes_its_objects_along(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE mine[3], others;

	for (int i = 0; i < 3; i++)
		mine[i] = session_key(fixture);
	fixture->editor.session = FIXTURE_SESSION + 1;
	others = session_key(fixture);
	fixture->editor.session = FIXTURE_SESSION;
	assert_int_equal(destroy(fixture, mine[1]), CKR_OK);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
	for (int i = 0; i < 3; i++)
		assert_null(find(fixture, mine[i]));
	assert_int_equal(destroy(fixture, others), CKR_OK);
	objects_remove_session(fixture->objects, FIXTURE_SESSION + 1);
	objects_remove_session(fixture->objects, 99);
}

static void a_change_puts_a_new_value_under_the_same_handle(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE handle = session_key(fixture);
	AUTO(object_releasep) struct object *before = find(fixture, handle);
	AUTO(object_releasep) struct object *after = NULL;

	assert_int_equal(change(fixture, handle, ROWS(TEXT_ROW(CKA_LABEL, "renamed"))), CKR_OK);
	after = find(fixture, handle);
	assert_ptr_not_equal(before, after);
	assert_true(object_is_gone(before) && !objects_has(fixture->objects, before));
	assert_true(!object_is_gone(after) && objects_has(fixture->objects, after));
	assert_int_equal(before->label.len, 0);
	assert_bytes(after->label, bytes_of("renamed"));
	assert_value(after, bytes(value, sizeof(value)));
	assert_ptr_equal(before->stamp, after->stamp);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
	assert_null(find(fixture, handle));
}

static void what_goes_one_way_does_not_come_back(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = session_key(fixture);

	assert_int_equal(change(fixture, key, ROWS(BOOL_ROW(CKA_SENSITIVE, CK_TRUE))), CKR_OK);
	assert_int_equal(change(fixture, key, ROWS(BOOL_ROW(CKA_SENSITIVE, CK_FALSE))),
			 CKR_ATTRIBUTE_READ_ONLY);
	assert_int_equal(change(fixture, key, ROWS(BOOL_ROW(CKA_EXTRACTABLE, CK_FALSE))), CKR_OK);
	assert_int_equal(change(fixture, key, ROWS(BOOL_ROW(CKA_EXTRACTABLE, CK_TRUE))),
			 CKR_ATTRIBUTE_READ_ONLY);
	assert_int_equal(change(fixture, key, ROWS(NUMBER_ROW(CKA_CMEK_STATE, CMEK_STATE_ACTIVE))),
			 CKR_ATTRIBUTE_READ_ONLY);
	assert_int_equal(destroy(fixture, key), CKR_OK);
}

static void an_object_that_is_not_to_be_touched_is_not(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = create(fixture, ROWS(BOOL_ROW(CKA_MODIFIABLE, CK_FALSE),
						    BOOL_ROW(CKA_COPYABLE, CK_FALSE),
						    BOOL_ROW(CKA_DESTROYABLE, CK_FALSE)));
	AUTO(object_releasep) struct object *object = find(fixture, key);
	CK_OBJECT_HANDLE copy;

	assert_int_equal(change(fixture, key, ROWS(TEXT_ROW(CKA_LABEL, "x"))),
			 CKR_ACTION_PROHIBITED);
	assert_int_equal(edit_copy(&fixture->editor, object, NULL, 0, &copy),
			 CKR_ACTION_PROHIBITED);
	assert_int_equal(destroy(fixture, key), CKR_ACTION_PROHIBITED);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
}

static void a_session_that_only_reads_makes_no_token_objects(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_ATTRIBUTE rows[] = {NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
			       TEXT_ROW(CKA_CMEK_KMS_KEY, "local:refused"),
			       BOOL_ROW(CKA_TOKEN, CK_TRUE)};
	CK_OBJECT_HANDLE key;

	fixture->editor.read_write = false;
	assert_int_equal(edit_create(&fixture->editor, rows, 3, &key), CKR_SESSION_READ_ONLY);
	assert_int_equal(destroy(fixture, session_key(fixture)), CKR_OK);
	fixture->editor.read_write = true;
	fixture->editor.private_allowed = false;
	rows[2].type = CKA_PRIVATE;
	assert_int_equal(edit_create(&fixture->editor, rows, 3, &key), CKR_USER_NOT_LOGGED_IN);
	fixture->editor.private_allowed = true;
}

static void unique_ids_are_unique(void **state)
{
	struct objects_fixture *fixture = *state;
	AUTO(object_releasep) struct object *one = find(fixture, session_key(fixture));
	AUTO(object_releasep) struct object *two = find(fixture, session_key(fixture));

	assert_false(uid_equal(one->uid, two->uid));
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
}

/* The store's. */

static void root_keys_and_clusters_are_made(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE root, cluster, again;

	assert_int_equal(
		edit_create(&fixture->editor,
			    ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
				 BOOL_ROW(CKA_TOKEN, CK_TRUE), BOOL_ROW(CKA_CMEK_CREATE, CK_TRUE),
				 TEXT_ROW(CKA_CMEK_KMS_KEY, "local:default")),
			    &root),
		CKR_OK);
	assert_int_equal(number_of(fixture, root, CKA_VALUE_LEN), 32);
	assert_int_equal(edit_create(&fixture->editor,
				     ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
					  BOOL_ROW(CKA_TOKEN, CK_TRUE),
					  TEXT_ROW(CKA_CMEK_KMS_KEY, "local:default")),
				     &again),
			 CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(edit_create(&fixture->editor,
				     ROWS(NUMBER_ROW(CKA_CLASS, CKO_CMEK_CLUSTER),
					  TEXT_ROW(CKA_LABEL, "prod"),
					  TEXT_ROW(CKA_CMEK_REGION, "us-west-2")),
				     &cluster),
			 CKR_OK);
	assert_int_equal(number_of(fixture, cluster, CKA_CLASS), CKO_CMEK_CLUSTER);
	assert_int_equal(find_one(fixture, ROWS(NUMBER_ROW(CKA_CLASS, CKO_CMEK_CLUSTER))), cluster);
	assert_int_equal(find_one(fixture, ROWS(TEXT_ROW(CKA_CMEK_KMS_KEY, "local:default"))),
			 root);
}

static void a_root_key_stays_in_its_kms(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE root;

	assert_int_equal(edit_create(&fixture->editor,
				     ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
					  TEXT_ROW(CKA_CMEK_KMS_KEY, "local:other"),
					  BOOL_ROW(CKA_EXTRACTABLE, CK_TRUE)),
				     &root),
			 CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(
		edit_create(&fixture->editor,
			    ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
				 TEXT_ROW(CKA_CMEK_KMS_KEY, "local:other"), {CKA_VALUE, value, 32}),
			    &root),
		CKR_TEMPLATE_INCONSISTENT);
}

/* The root key of a session: to open what no project of this host has made. */
static void a_root_key_can_be_named_for_a_session_alone(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE root;
	AUTO(object_releasep) struct object *object = NULL;

	assert_int_equal(edit_create(&fixture->editor,
				     ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
					  TEXT_ROW(CKA_CMEK_KMS_KEY, "local:elsewhere")),
				     &root),
			 CKR_OK);
	object = find(fixture, root);
	assert_int_equal(object->kind, OBJECT_ROOT_KEY);
	assert_false(object_has(object, OBJECT_TOKEN));
	assert_int_equal(destroy(fixture, root), CKR_OK);
}

static void a_token_key_keeps_what_its_template_said(void **state)
{
	struct objects_fixture *fixture = *state;
	const CK_ATTRIBUTE label = TEXT_ROW(CKA_LABEL, "kept");
	CK_OBJECT_HANDLE key = token_key(fixture, &label);
	AUTO(object_releasep) struct object *object = NULL;
	AUTO(object_releasep) struct object *again = NULL;
	AUTO(secret_freep) uint8_t *got = NULL;

	assert_int_equal(change(fixture, key, ROWS(TEXT_ROW(CKA_START_DATE, "20260101"))), CKR_OK);
	object = find(fixture, key);
	assert_bytes(object->label, bytes_of("kept"));
	assert_bytes(object->start_date, bytes_of("20260101"));
	assert_true(object_has(object, OBJECT_TOKEN | OBJECT_SENSITIVE));
	again = find(fixture, key);
	assert_ptr_equal(object, again);
	assert_int_equal(object_read(fixture->objects, object, &got), ZONE_OK);
	assert_bytes(bytes(got, 32), bytes(value, 32));
	assert_int_not_equal(object_zone(object), 0);
	assert_int_equal(ezk_zone(object_ezk(object)), object_zone(object));
	assert_int_equal(destroy(fixture, key), CKR_OK);
	assert_null(find(fixture, key));
}

static void what_another_process_finds_in_the_store_opens(void **state)
{
	struct objects_fixture *fixture = *state, other = {0};
	const struct token_settings settings = {0};
	const CK_ATTRIBUTE label = TEXT_ROW(CKA_LABEL, "shared");
	CK_OBJECT_HANDLE key = token_key(fixture, &label);
	struct object *object;
	AUTO(secret_freep) uint8_t *got = NULL;

	strcpy(other.folder, fixture->folder);
	objects_fixture_open(&other, &settings);
	object = find(&other, find_one(&other, ROWS(TEXT_ROW(CKA_LABEL, "shared"))));
	assert_false(value_is_set(object));
	assert_int_equal(object_read(other.objects, object, &got), ZONE_OK);
	assert_bytes(bytes(got, 32), bytes(value, 32));
	object_release(object);
	objects_fixture_close(&other);
	assert_int_equal(destroy(fixture, key), CKR_OK);
}

static void a_copy_into_the_token_belongs_to_the_zone_of_its_original(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = session_key(fixture), copy;
	AUTO(object_releasep) struct object *object = find(fixture, key);
	AUTO(object_releasep) struct object *copied = NULL;

	assert_int_equal(object_zone(object), 0);
	assert_int_equal(edit_copy(&fixture->editor, object,
				   ROWS(BOOL_ROW(CKA_TOKEN, CK_TRUE), TEXT_ROW(CKA_LABEL, "copy")),
				   &copy),
			 CKR_OK);
	copied = find(fixture, copy);
	assert_int_not_equal(object_zone(copied), 0);
	assert_int_equal(object_zone(object), object_zone(copied));
	assert_int_equal(destroy(fixture, copy), CKR_OK);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
}

static void the_label_of_a_zone_that_was_deleted_finds_it_by_its_state_alone(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE zone = find_one(fixture, ROWS(TEXT_ROW(CKA_LABEL, "default/default"),
						       NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY)));
	CK_ATTRIBUTE rows[] = {TEXT_ROW(CKA_LABEL, "default/default"),
			       NUMBER_ROW(CKA_CMEK_STATE, CMEK_STATE_PENDING_DELETION)};

	assert_int_equal(count_found(fixture, rows, 2), 0);
	assert_int_equal(destroy(fixture, zone), CKR_OK);
	assert_int_equal(count_found(fixture, rows, 1), 0);
	assert_int_equal(find_one(fixture, rows, 2), zone);
	assert_int_equal(number_of(fixture, zone, CKA_CMEK_STATE), CMEK_STATE_PENDING_DELETION);
	assert_int_equal(change(fixture, zone, ROWS(NUMBER_ROW(CKA_CMEK_STATE, CMEK_STATE_ACTIVE))),
			 CKR_OK);
	assert_int_equal(find_one(fixture, rows, 1), zone);
}

static void a_state_change_stands_alone(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE zone = find_one(fixture, ROWS(TEXT_ROW(CKA_LABEL, "default/default")));

	assert_int_equal(change(fixture, zone,
				ROWS(NUMBER_ROW(CKA_CMEK_STATE, CMEK_STATE_PENDING_DELETION),
				     TEXT_ROW(CKA_LABEL, "other"))),
			 CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(change(fixture, zone, ROWS(NUMBER_ROW(CKA_CMEK_STATE, 77))),
			 CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(change(fixture, zone, ROWS(BOOL_ROW(CKA_DERIVE, CK_TRUE))),
			 CKR_ATTRIBUTE_READ_ONLY);
	assert_int_equal(change(fixture, zone, ROWS(TEXT_ROW(CKA_CMEK_REGION, "x"))),
			 CKR_ATTRIBUTE_TYPE_INVALID);
	assert_int_equal(change(fixture, zone, ROWS(TEXT_ROW(CKA_CMEK_CLUSTER, "x"))),
			 CKR_ATTRIBUTE_READ_ONLY);
}

/* Searching. */

static void searches_find_what_fits_whole(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE session = create(fixture, ROWS(TEXT_ROW(CKA_LABEL, "same")));
	const CK_ATTRIBUTE label = TEXT_ROW(CKA_LABEL, "same");
	CK_OBJECT_HANDLE token = token_key(fixture, &label);
	CK_ATTRIBUTE rows[] = {label, BOOL_ROW(CKA_TOKEN, CK_TRUE)};

	assert_int_equal(count_found(fixture, rows, 1), 2);
	assert_int_equal(find_one(fixture, rows, 2), token);
	rows[1].pValue = &(CK_BBOOL){CK_FALSE};
	assert_int_equal(find_one(fixture, rows, 2), session);
	assert_int_equal(count_found(fixture, ROWS(label, NUMBER_ROW(CKA_CLASS, CKO_DATA))), 0);
	assert_int_equal(count_found(fixture, ROWS(label, NUMBER_ROW(CKA_VALUE_LEN, 32))), 2);
	assert_int_equal(count_found(fixture, ROWS(label, NUMBER_ROW(CKA_VALUE_LEN, 16))), 0);
	assert_int_equal(count_found(fixture, ROWS(label, TEXT_ROW(CKA_APPLICATION, "x"))), 0);
	assert_int_equal(count_found(fixture, ROWS(label, TEXT_ROW(0xce534354, "x"))), 0);
	assert_int_equal(count_found(fixture, ROWS(label, TEXT_ROW(CKA_LABEL, "other"))), 0);
	assert_int_equal(count_found(fixture, ROWS(TEXT_ROW(CKA_UNIQUE_ID, "zz"))), 0);
	assert_int_equal(destroy(fixture, token), CKR_OK);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
	assert_int_equal(count_found(fixture, rows, 1), 0);
}

static void a_unique_id_finds_one_object(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = session_key(fixture);
	AUTO(object_releasep) struct object *object = find(fixture, key);
	CK_BYTE text[32];
	CK_ATTRIBUTE row = {CKA_UNIQUE_ID, text, sizeof(text)};

	assert_int_equal(attributes_get(fixture->objects, object, &row, 1), CKR_OK);
	assert_int_equal(find_one(fixture, &row, 1), key);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
}

static void a_malformed_search_is_refused(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE *handles;
	size_t count;

	assert_int_equal(objects_search(fixture->objects, 0, NULL, 1, &handles, &count),
			 CKR_ARGUMENTS_BAD);
	assert_int_equal(
		objects_search(fixture->objects, 0, ROWS({CKA_LABEL, NULL, 3}), &handles, &count),
		CKR_ATTRIBUTE_VALUE_INVALID);
}

static void the_diagnosis_is_found_by_its_class_alone(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE doctor =
		find_one(fixture, ROWS(NUMBER_ROW(CKA_CLASS, CKO_CMEK_DIAGNOSTIC)));
	AUTO(object_releasep) struct object *object = find(fixture, doctor);
	CK_BYTE text[16384];
	CK_ATTRIBUTE row = {CKA_VALUE, NULL, 0};
	CK_ULONG len;

	assert_int_equal(object->kind, OBJECT_DIAGNOSTIC);
	assert_int_equal(attributes_get(fixture->objects, object, &row, 1), CKR_OK);
	len = row.ulValueLen;
	assert_in_range(len, 1, sizeof(text));
	row.pValue = text;
	assert_int_equal(attributes_get(fixture->objects, object, &row, 1), CKR_OK);
	assert_int_equal(row.ulValueLen, len);
	assert_int_equal(destroy(fixture, doctor), CKR_ACTION_PROHIBITED);
	log_warning("the last thing that went wrong");
	row = (CK_ATTRIBUTE){CKA_CMEK_MESSAGE, text, sizeof(text)};
	assert_int_equal(attributes_get(fixture->objects, object, &row, 1), CKR_OK);
	assert_bytes(bytes(text, row.ulValueLen), bytes_of("the last thing that went wrong"));
}

static void what_is_in_another_slot_is_not_there(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = session_key(fixture), *handles;
	CK_OBJECT_HANDLE zone = find_one(fixture, ROWS(TEXT_ROW(CKA_LABEL, "default/default")));
	size_t count;

	assert_null(objects_find(fixture->objects, 1, key));
	assert_null(objects_find(fixture->objects, 1, zone));
	assert_null(objects_find(fixture->objects, 0, 0));
	assert_int_equal(objects_search(fixture->objects, 1, NULL, 0, &handles, &count),
			 CKR_DEVICE_REMOVED);
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
}

/* Many threads. */

enum { THREAD_COUNT = 4, ROUNDS = 200 };

struct worker {
	struct objects_fixture *fixture;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE shared;
	bool failed;
};

static bool one_round(const struct worker *worker, const struct editor *editor)
{
	struct objects *objects = worker->fixture->objects;
	AUTO(object_releasep) struct object *shared = objects_find(objects, 0, worker->shared);
	AUTO(object_releasep) struct object *mine = NULL;
	CK_OBJECT_HANDLE handle, *handles = NULL;
	size_t count;

	if (shared == NULL || edit_copy(editor, shared, NULL, 0, &handle) != CKR_OK)
		return false;
	mine = objects_find(objects, 0, handle);
	if (mine == NULL || mine->owner != worker->session ||
	    edit_change(editor, shared, ROWS(TEXT_ROW(CKA_LABEL, "changed")), &(bool){0}) !=
		    CKR_OK ||
	    objects_search(objects, 0, ROWS(BOOL_ROW(CKA_TOKEN, CK_FALSE)), &handles, &count) !=
		    CKR_OK)
		return false;
	free(handles);
	return count > 0 && edit_destroy(editor, mine, &(bool){0}) == CKR_OK;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct editor editor = worker->fixture->editor;

	editor.session = worker->session;
	for (int i = 0; i < ROUNDS && !worker->failed; i++)
		worker->failed = !one_round(worker, &editor);
	objects_remove_session(worker->fixture->objects, worker->session);
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct objects_fixture *fixture = *state;
	struct worker workers[THREAD_COUNT];
	pthread_t threads[THREAD_COUNT];
	CK_OBJECT_HANDLE shared = session_key(fixture);

	for (int i = 0; i < THREAD_COUNT; i++) {
		workers[i] = (struct worker){fixture, 100 + (CK_SESSION_HANDLE)i, shared, false};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREAD_COUNT; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_false(workers[i].failed);
	}
	objects_remove_session(fixture->objects, FIXTURE_SESSION);
	assert_int_equal(count_found(fixture, ROWS(BOOL_ROW(CKA_TOKEN, CK_FALSE))), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles_are_never_given_twice),
		cmocka_unit_test(a_holder_keeps_an_object_after_its_end),
		cmocka_unit_test(a_change_is_of_what_another_thread_has_left),
		cmocka_unit_test(a_session_takes_its_objects_along),
		cmocka_unit_test(a_change_puts_a_new_value_under_the_same_handle),
		cmocka_unit_test(what_goes_one_way_does_not_come_back),
		cmocka_unit_test(an_object_that_is_not_to_be_touched_is_not),
		cmocka_unit_test(a_session_that_only_reads_makes_no_token_objects),
		cmocka_unit_test(unique_ids_are_unique),
		cmocka_unit_test(root_keys_and_clusters_are_made),
		cmocka_unit_test(a_root_key_stays_in_its_kms),
		cmocka_unit_test(a_root_key_can_be_named_for_a_session_alone),
		cmocka_unit_test(a_token_key_keeps_what_its_template_said),
		cmocka_unit_test(what_another_process_finds_in_the_store_opens),
		cmocka_unit_test(a_copy_into_the_token_belongs_to_the_zone_of_its_original),
		cmocka_unit_test(the_label_of_a_zone_that_was_deleted_finds_it_by_its_state_alone),
		cmocka_unit_test(a_state_change_stands_alone),
		cmocka_unit_test(searches_find_what_fits_whole),
		cmocka_unit_test(a_unique_id_finds_one_object),
		cmocka_unit_test(a_malformed_search_is_refused),
		cmocka_unit_test(the_diagnosis_is_found_by_its_class_alone),
		cmocka_unit_test(what_is_in_another_slot_is_not_there),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests(tests, objects_fixture_setup, objects_fixture_teardown);
}
