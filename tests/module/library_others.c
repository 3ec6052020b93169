/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcmek among others: projects that get a PIN or lose their slot, refused PINs, and other code of
 * the process that logs out, closes sessions, finalizes the module or cancels threads. What another
 * process does is done by a child.
 */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "library/module.h"
#include "library/zone.h"
#include "tests/support/unit.h"

#include "library.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIN_TRIES = 10, CHILDREN = 12 };

/* --- Other processes ------------------------------------------------------------------------- */

typedef bool deed(const char *word);

/* Another process, whose module is its own, does it. It ends by a signal, since valgrind has a
 * child that exits answer for what its parent has allocated. */
static void elsewhere(deed *does, const char *word)
{
	bool well = false;
	int answer[2];
	pid_t child;

	assert_int_equal(pipe(answer), 0);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		well = does(word);
		(void)!write(answer[1], &well, sizeof(well));
		kill(getpid(), SIGKILL);
	}
	close(answer[1]);
	assert_int_equal(read(answer[0], &well, sizeof(well)), sizeof(well));
	close(answer[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(well);
}

static bool runs(const char *line)
{
	bool well = run(line) == 0;

	if (!well)
		fprintf(stderr, "# %s: %s\n", line, buffer_text(&err));
	return well;
}

static void makes(const char *line)
{
	elsewhere(runs, line);
}

static void makes_with_pins(const char *line, const char *so_pin, const char *pin)
{
	setenv("CMEK_SO_PIN", so_pin, 1);
	setenv("CMEK_PIN", pin, 1);
	makes(line);
	unsetenv("CMEK_SO_PIN");
	unsetenv("CMEK_PIN");
}

static bool find_slot(const char *project, CK_SLOT_ID *ret_slot)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	CK_ULONG count = 64;
	CK_SLOT_ID slots[64];
	CK_TOKEN_INFO info;

	if (f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
		return false;
	for (CK_ULONG i = 0; i < count; i++) {
		if (f->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
		    memcmp(info.label, project, strlen(project)) != 0 ||
		    info.label[strlen(project)] != ' ')
			continue;
		*ret_slot = slots[i];
		return true;
	}
	return false;
}

/* The security officer sets the user's PIN, and his own first where there was none. */
static bool set_pins(const char *project, const char *so_pin, bool is_first, const char *pin)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	CK_UTF8CHAR *officers = (CK_UTF8CHAR *)so_pin;
	CK_SESSION_HANDLE session;
	CK_SLOT_ID slot;

	return f->C_Initialize(NULL) == CKR_OK && find_slot(project, &slot) &&
	       f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session) ==
		       CKR_OK &&
	       f->C_Login(session, CKU_SO, officers, strlen(so_pin)) == CKR_OK &&
	       (!is_first || f->C_SetPIN(session, officers, strlen(so_pin), officers,
					 strlen(so_pin)) == CKR_OK) &&
	       f->C_InitPIN(session, (CK_UTF8CHAR *)pin, strlen(pin)) == CKR_OK;
}

static bool gives_first_pin(const char *project)
{
	return set_pins(project, "so pin", true, "given later");
}

static bool changes_pin(const char *project)
{
	return set_pins(project, "so pin", false, "new pin");
}

static bool takes_slot(const char *project)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	CK_UTF8CHAR label[32];
	CK_SLOT_ID slot;

	memset(label, ' ', sizeof(label));
	memcpy(label, "usurper", 7);
	return f->C_Initialize(NULL) == CKR_OK && find_slot(project, &slot) &&
	       f->C_InitToken(slot, NULL, 0, label) == CKR_OK;
}

/* --- A project with a database, main/it */

static void make_project(const char *name)
{
	AUTO(buffer_clear) struct buffer line = {0};

	for (size_t i = 0; i < 4; i++) {
		static const char *const lines[] = {
			"project create %s", "key add --project %s --label root local:root",
			"cluster create --project %s main --key root --region r",
			"database create --project %s main/it"};

		buffer_truncate(&line, 0);
		buffer_format(&line, lines[i], name);
		makes(buffer_text(&line));
	}
}

static bool seals(cmek_zone *zone)
{
	uint8_t sealed[256];
	size_t len;

	cmek_error_free(TAKE(why));
	return cmek_seal(zone, "row", 3, NULL, sealed, sizeof(sealed), &len, &why) == CMEK_OK;
}

static void make_guarded(const char *name)
{
	AUTO(buffer_clear) struct buffer line = {0};
	static const char *const lines[] = {
		"project create %s", "key add --project %s --label root local:root",
		"cluster create --project %s main --key root --region r",
		"database create --project %s main/it"};

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		buffer_truncate(&line, 0);
		buffer_format(&line, lines[i], name);
		if (i < 3)
			setenv("CMEK_SO_PIN", "so pin", 1);
		if (i == 0 || i == 3)
			setenv("CMEK_PIN", "user pin", 1);
		makes(buffer_text(&line));
		unsetenv("CMEK_SO_PIN");
		unsetenv("CMEK_PIN");
	}
}

/* --- PINs ------------------------------------------------------------------------------------ */

/* Of projects that the client finds later, too. */
static void a_pin_is_tried_at_no_project_but_its_own(void **state)
{
	struct cmek_client_options options = {.size = sizeof(options), .pin = "user pin"};
	cmek_client *guarded, *rival;
	cmek_zone *zone;

	(void)state;
	works(cmek_open(&options, &guarded, &why));
	works(cmek_zone_open(guarded, "main/safe", &zone, &why));
	cmek_zone_free(zone);
	makes_with_pins("project create rival", "so pin", "rival's pin");
	for (int i = 0; i < PIN_TRIES + 2; i++)
		refuses(CMEK_DENIED, cmek_zone_open(guarded, "main/none", &zone, &why), "rival");
	cmek_close(guarded);
	options.project = "rival";
	options.pin = "rival's pin";
	works(cmek_open(&options, &rival, &why));
	cmek_close(rival);
}

static cmek_zone *watched_zone;

static bool is_refused(const char *word)
{
	return !seals(watched_zone) && cmek_error_status(why) == CMEK_DENIED &&
	       strstr(cmek_error_text(why), word) != NULL;
}

static void a_refused_pin_is_not_tried_again_by_children_or_the_parent(void **state)
{
	struct cmek_client_options options = {
		.size = sizeof(options), .project = "watched", .pin = "user pin"};
	cmek_client *watched;

	(void)state;
	make_guarded("watched");
	works(cmek_open(&options, &watched, &why));
	works(cmek_zone_open(watched, "main/it", &watched_zone, &why));
	assert_true(seals(watched_zone));
	elsewhere(changes_pin, "watched");
	elsewhere(is_refused, "the PIN is wrong");
	for (int i = 0; i < PIN_TRIES; i++)
		elsewhere(is_refused, "not tried again");
	cmek_zone_free(watched_zone);
	cmek_close(watched);
	options.pin = "new pin";
	works(cmek_open(&options, &watched, &why));
	cmek_close(watched);
}

static cmek_client *crowd;

/* Each begins when the pipe closes, and tells with a byte whether it has tried the PIN. */
static void begin_child(const int start[2], const int answer[2])
{
	char byte;

	if (fork() != 0)
		return;
	close(start[1]);
	(void)!read(start[0], &byte, sizeof(byte));
	byte = is_refused("the PIN is wrong")			   ? 'w'
	       : strstr(cmek_error_text(why), "not tried") != NULL ? 'n'
								   : '?';
	(void)!write(answer[1], &byte, sizeof(byte));
	kill(getpid(), SIGKILL);
}

static void children_at_once(char said[static CHILDREN])
{
	int start[2], answer[2];

	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(answer), 0);
	fflush(NULL);
	for (int i = 0; i < CHILDREN; i++)
		begin_child(start, answer);
	close(start[0]);
	close(start[1]);
	close(answer[1]);
	for (int i = 0; i < CHILDREN; i++)
		assert_int_equal(read(answer[0], &said[i], 1), 1);
	close(answer[0]);
	for (int i = 0; i < CHILDREN; i++)
		assert_true(wait(NULL) > 0);
}

static bool dies_while_it_tries(const char *word)
{
	(void)word;
	return pthread_mutex_lock(&crowd->refusal->lock) == 0;
}

static void a_refused_pin_is_tried_once_by_children_at_once_though_one_died(void **state)
{
	struct cmek_client_options options = {
		.size = sizeof(options), .project = "crowd", .pin = "user pin"};
	char said[CHILDREN];
	int tried = 0;

	(void)state;
	make_guarded("crowd");
	works(cmek_open(&options, &crowd, &why));
	works(cmek_zone_open(crowd, "main/it", &watched_zone, &why));
	elsewhere(changes_pin, "crowd");
	elsewhere(dies_while_it_tries, NULL);
	children_at_once(said);
	for (int i = 0; i < CHILDREN; i++) {
		assert_true(said[i] == 'w' || said[i] == 'n');
		tried += said[i] == 'w';
	}
	assert_int_equal(tried, 1);
	cmek_zone_free(watched_zone);
	cmek_close(crowd);
}

static void a_wrong_pin_opens_nothing_though_another_client_is_logged_in(void **state)
{
	struct cmek_client_options options = {
		.size = sizeof(options), .project = "watched", .pin = "new pin"};
	cmek_client *right, *same, *wrong;

	(void)state;
	works(cmek_open(&options, &right, &why));
	works(cmek_open(&options, &same, &why));
	options.pin = "wrong pin";
	refuses(CMEK_DENIED, cmek_open(&options, &wrong, &why), "by another PIN");
	cmek_close(right);
	refuses(CMEK_DENIED, cmek_open(&options, &wrong, &why), "by another PIN");
	cmek_close(same);
}

static void log_out(const char *project)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	CK_SESSION_HANDLE session;
	CK_SLOT_ID slot;

	assert_true(find_slot(project, &slot));
	assert_int_equal(f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK);
	assert_int_equal(f->C_Logout(session), CKR_OK);
	f->C_CloseSession(session);
}

static void a_client_logs_in_again_when_others_have_logged_out(void **state)
{
	struct cmek_client_options options = {
		.size = sizeof(options), .project = "watched", .pin = "new pin"};
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t plain[64];
	cmek_client *watched;
	cmek_zone *zone;
	size_t len;

	(void)state;
	works(cmek_open(&options, &watched, &why));
	works(cmek_zone_open(watched, "main/it", &zone, &why));
	seal_message(zone, "row", NULL, &sealed);
	log_out("watched");
	works(cmek_unseal(watched, sealed.data, sealed.len, NULL, plain, sizeof(plain), &len,
			  &why));
	log_out("watched");
	seal_message(zone, "row", NULL, &sealed);
	cmek_zone_free(zone);
	cmek_close(watched);
}

static void a_project_that_gets_its_pin_later_is_logged_in_to(void **state)
{
	struct cmek_client_options options = {
		.size = sizeof(options), .project = "late", .pin = "given later"};
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t plain[64];
	cmek_client *late;
	cmek_zone *zone;
	CK_SLOT_ID slot;
	size_t len;

	(void)state;
	make_project("late");
	works(cmek_open(&options, &late, &why));
	works(cmek_zone_open(late, "main/it", &zone, &why));
	seal_message(zone, "row", NULL, &sealed);
	elsewhere(gives_first_pin, "late");
	assert_true(find_slot("late", &slot)); /* the module has looked at the store */
	for (int i = 0; i < 2 && !seals(zone); i++)
		assert_int_not_equal(cmek_error_status(why), CMEK_DENIED);
	seal_message(zone, "row", NULL, &sealed);
	works(cmek_unseal(late, sealed.data, sealed.len, NULL, plain, sizeof(plain), &len, &why));
	cmek_zone_free(zone);
	cmek_close(late);
}

/* --- Names ----------------------------------------------------------------------------------- */

static void a_slot_that_another_project_has_taken_is_not_the_old_ones(void **state)
{
	cmek_zone *zone;

	(void)state;
	make_project("shortlived");
	works(cmek_zone_open(client, "shortlived:main/it", &zone, &why));
	elsewhere(takes_slot, "shortlived");
	makes("key add --project usurper --label root local:root");
	makes("cluster create --project usurper main --key root --region r");
	makes("database create --project usurper main/it");
	cmek_zone_free(zone);
	refuses(CMEK_NOT_FOUND, cmek_zone_open(client, "shortlived:main/it", &zone, &why),
		"shortlived:main/it");
	works(cmek_zone_open(client, "usurper:main/it", &zone, &why));
	assert_string_equal(cmek_zone_project(zone), "usurper");
	cmek_zone_free(zone);
}

static void a_name_with_a_colon_means_that_project_alone(void **state)
{
	cmek_zone *zone;

	(void)state;
	makes("cluster create --project demo ghost:main --key root --region r");
	makes("database create --project demo ghost:main/orders");
	refuses(CMEK_NOT_FOUND, cmek_zone_open(client, "ghost:main/orders", &zone, &why),
		"no project of this name");
	works(cmek_zone_open(client, "demo:ghost:main/orders", &zone, &why));
	assert_string_equal(cmek_zone_name(zone), "ghost:main/orders");
	cmek_zone_free(zone);
	makes("project create demo:ghost");
	refuses(CMEK_REFUSED, cmek_zone_open(client, "demo:ghost:main/orders", &zone, &why),
		"zone id");
}

/* --- Other code of the process --------------------------------------------------------------- */

static void a_client_goes_on_when_others_finalize_the_module_and_leaves_it_to_them(void **state)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	CK_INFO info;

	(void)state;
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	assert_false(seals(orders));
	assert_true(cmek_error_may_pass(why));
	assert_true(seals(orders));
	assert_true(seals(orders));
	client_stop(NULL);
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	client_start(NULL);
	assert_true(seals(orders));
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	client_stop(NULL);
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	client_start(NULL);
	client_stop(NULL);
	assert_int_equal(f->C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
	client_start(NULL);
}

static void a_module_that_others_have_begun_anew_is_theirs_though_later_calls_work(void **state)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	CK_INFO info;

	(void)state;
	assert_true(seals(orders));
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	assert_int_equal(f->C_Initialize(NULL), CKR_OK);
	assert_false(seals(orders));
	assert_true(seals(orders));
	client_stop(NULL);
	assert_int_equal(f->C_GetInfo(&info), CKR_OK);
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	client_start(NULL);
}

/* The module's list of functions, to be changed for a test. */
static CK_FUNCTION_LIST *functions_to_change(void)
{
	CK_FUNCTION_LIST *f = (CK_FUNCTION_LIST *)(uintptr_t)library_module_functions();
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)f / page * page;

	assert_int_equal(mprotect((void *)from, (uintptr_t)(f + 1) - from, PROT_READ | PROT_WRITE),
			 0);
	return f;
}

static unsigned begun_anew;

/* A call that met a finalized module, and answers when another thread has begun it anew. */
static CK_RV answer_late(void)
{
	struct cmek_error error;

	library_module_lost(library_module_generation());
	(void)library_module_ready(&begun_anew, &error);
	return CKR_CRYPTOKI_NOT_INITIALIZED;
}

static CK_RV list_late(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
	(void)present, (void)slots, (void)count;
	return answer_late();
}

static CK_RV open_late(CK_SLOT_ID slot, CK_FLAGS flags, void *state, CK_NOTIFY notify,
		       CK_SESSION_HANDLE *ret_session)
{
	(void)slot, (void)flags, (void)state, (void)notify, (void)ret_session;
	return answer_late();
}

static void a_call_that_fails_late_does_not_end_what_another_thread_has_begun(void **state)
{
	CK_FUNCTION_LIST *f = functions_to_change(), before = *f;
	cmek_zone *zone;

	(void)state;
	f->C_GetSlotList = list_late;
	assert_int_not_equal(cmek_zone_open(client, "main/orders", &zone, NULL), CMEK_OK);
	f->C_GetSlotList = before.C_GetSlotList;
	assert_int_equal(library_module_generation(), begun_anew);
	library_module_lost(begun_anew);
	f->C_OpenSession = open_late;
	assert_false(seals(orders));
	f->C_OpenSession = before.C_OpenSession;
	assert_int_equal(library_module_generation(), begun_anew);
	assert_true(seals(orders));
	client_stop(NULL);
	assert_int_equal(f->C_Finalize(NULL), CKR_OK);
	client_start(NULL);
}

static void sessions_that_others_close_end_no_stream_of_another_project(void **state)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	AUTO(buffer_clear) struct buffer sealed = {0};
	cmek_writer *writer;
	cmek_zone *zone;
	CK_SLOT_ID slot;

	(void)state;
	works(cmek_zone_open(client, "usurper:main/it", &zone, &why));
	assert_true(seals(zone));
	works(cmek_writer_new(orders, NULL, write_to, &sealed, &writer, &why));
	assert_true(find_slot("usurper", &slot));
	assert_int_equal(f->C_CloseAllSessions(slot), CKR_OK);
	assert_false(seals(zone));
	assert_true(cmek_error_may_pass(why));
	assert_true(seals(zone));
	works(cmek_writer_put(writer, "x", 1, &why));
	works(cmek_writer_finish(writer, &why));
	cmek_writer_free(writer);
	cmek_zone_free(zone);
}

static cmek_zone *cancelled_zone;
static atomic_int ended;

static void *seal_pipe(void *paths)
{
	char *const *path = paths;

	atomic_store(&ended,
		     (int)cmek_seal_file(cancelled_zone, path[0], path[1], true, NULL, NULL));
	pthread_testcancel();
	return NULL;
}

static void a_cancelled_thread_ends_its_call_first(void **state)
{
	AUTO(freep) char *pipe = in_home("slow pipe"), *sealed = in_home("slow.cmek");
	char *paths[] = {pipe, sealed};
	void *how = NULL;
	pthread_t thread;
	FILE *to;

	(void)state;
	assert_int_equal(mkfifo(pipe, 0600), 0);
	cancelled_zone = orders;
	atomic_store(&ended, -1);
	assert_int_equal(pthread_create(&thread, NULL, seal_pipe, paths), 0);
	to = fopen(pipe, "w");
	assert_non_null(to);
	assert_int_equal(pthread_cancel(thread), 0);
	fputs("all of it", to);
	fclose(to);
	assert_int_equal(pthread_join(thread, &how), 0);
	assert_ptr_equal(how, PTHREAD_CANCELED);
	assert_int_equal(atomic_load(&ended), CMEK_OK);
	assert_true(is_there("slow.cmek"));
}

/* --- Life ------------------------------------------------------------------------------------ */

static void a_writer_outlives_its_zone(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	AUTO(freep) uint8_t *other = NULL;
	uint8_t plain[64];
	cmek_writer *writer;
	cmek_zone *zone;
	size_t len;

	(void)state;
	works(cmek_zone_open(client, "main/orders", &zone, &why));
	works(cmek_writer_new(zone, NULL, write_to, &sealed, &writer, &why));
	cmek_zone_free(zone);
	other = malloc(sizeof(struct cmek_zone)); /* where it would have been */
	memset(other, 0xff, sizeof(struct cmek_zone));
	works(cmek_writer_put(writer, "row", 3, &why));
	works(cmek_writer_finish(writer, &why));
	refuses(CMEK_REFUSED, cmek_writer_put(writer, "row", 3, &why), "main/orders");
	cmek_writer_free(writer);
	works(cmek_unseal(client, sealed.data, sealed.len, NULL, plain, sizeof(plain), &len, &why));
}

static void plain_data_of_a_range_end_with_it(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	struct bytes object;
	cmek_range *range;
	uint8_t place[16];
	size_t len, looked_at = 0;

	(void)state;
	seal_stream(orders, 200000, &sealed);
	object = buffer_bytes(&sealed);
	works(cmek_range_new(client, NULL, pread_from, &object, object.len, &range, &why));
	works(cmek_range_read(range, place, sizeof(place), 70000, &len, &why));
	cmek_range_free(range);
	for (const struct library_project *at = atomic_load(&client->projects); at != NULL;
	     at = at->before)
		for (const struct library_worker *idle = at->pool->idle; idle != NULL;
		     idle = idle->next) {
			assert_null(idle->chunk.memory);
			looked_at++;
		}
	assert_true(looked_at > 0);
}

static void a_range_goes_on_when_others_have_closed_its_session(void **state)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	AUTO(buffer_clear) struct buffer sealed = {0};
	AUTO(freep) uint8_t *data = pattern(200000);
	struct bytes object;
	cmek_range *range;
	uint8_t place[16];
	CK_SLOT_ID slot;
	size_t len;

	(void)state;
	seal_stream(orders, 200000, &sealed);
	object = buffer_bytes(&sealed);
	works(cmek_range_new(client, NULL, pread_from, &object, object.len, &range, &why));
	works(cmek_range_read(range, place, sizeof(place), 70000, &len, &why));
	assert_true(find_slot("demo", &slot));
	for (uint64_t offset = 140000; offset > 0; offset -= 70000) {
		assert_int_equal(f->C_CloseAllSessions(slot), CKR_OK);
		works(cmek_range_read(range, place, sizeof(place), offset, &len, &why));
		assert_memory_equal(place, data + offset, sizeof(place));
	}
	cmek_range_free(range);
}

static void a_stream_that_failed_does_not_say_that_it_may_pass(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	AUTO(freep) uint8_t *data = pattern(200000);
	cmek_writer *writer;
	cmek_zone *zone;

	(void)state;
	works(cmek_zone_open(client, "demo:main/strict", &zone, &why));
	works(cmek_writer_new(zone, NULL, write_to, &sealed, &writer, &why));
	makes("key disable --project demo root");
	assert_int_equal(cmek_writer_put(writer, data, 200000, &why), CMEK_DENIED);
	assert_false(cmek_error_may_pass(why));
	assert_false(seals(zone));
	assert_true(cmek_error_may_pass(why));
	makes("key enable --project demo root");
	cmek_writer_free(writer);
	cmek_zone_free(zone);
	cmek_error_free(TAKE(why));
}

static void a_module_in_the_current_folder_is_not_taken(void **state)
{
	AUTO(freep)
	char *folder = in_home("near"), *file = in_home("near/cmek-pkcs11.so"),
	     *named = strdup(getenv("CMEK_PKCS11_MODULE") == NULL ? ""
								  : getenv("CMEK_PKCS11_MODULE"));
	char before[4096];
	struct library_found found;
	struct cmek_error error = {.text = ""};

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_true(file_replace(file, bytes_of("no module"), 0600));
	assert_int_equal(chdir(home), 0);
	unsetenv("CMEK_PKCS11_MODULE");
	(void)library_module_find(NULL, "near", &found, &error);
	assert_null(strstr(error.text, "near/"));
	assert_int_equal(library_module_find(NULL, folder, &found, &error), CMEK_FAILED);
	assert_non_null(strstr(error.text, "near/"));
	setenv("CMEK_PKCS11_MODULE", named, 1);
	assert_int_equal(chdir(before), 0);
}

const struct CMUnitTest library_other_tests[] = {
	cmocka_unit_test(a_pin_is_tried_at_no_project_but_its_own),
	cmocka_unit_test(a_refused_pin_is_not_tried_again_by_children_or_the_parent),
	cmocka_unit_test(a_refused_pin_is_tried_once_by_children_at_once_though_one_died),
	cmocka_unit_test(a_wrong_pin_opens_nothing_though_another_client_is_logged_in),
	cmocka_unit_test(a_client_logs_in_again_when_others_have_logged_out),
	cmocka_unit_test(a_project_that_gets_its_pin_later_is_logged_in_to),
	cmocka_unit_test(a_slot_that_another_project_has_taken_is_not_the_old_ones),
	cmocka_unit_test(a_name_with_a_colon_means_that_project_alone),
	cmocka_unit_test(a_client_goes_on_when_others_finalize_the_module_and_leaves_it_to_them),
	cmocka_unit_test(a_module_that_others_have_begun_anew_is_theirs_though_later_calls_work),
	cmocka_unit_test(a_call_that_fails_late_does_not_end_what_another_thread_has_begun),
	cmocka_unit_test(sessions_that_others_close_end_no_stream_of_another_project),
	cmocka_unit_test(a_cancelled_thread_ends_its_call_first),
	cmocka_unit_test(a_writer_outlives_its_zone),
	cmocka_unit_test(plain_data_of_a_range_end_with_it),
	cmocka_unit_test(a_range_goes_on_when_others_have_closed_its_session),
	cmocka_unit_test(a_stream_that_failed_does_not_say_that_it_may_pass),
	cmocka_unit_test(a_module_in_the_current_folder_is_not_taken),
};
const size_t library_other_count = COUNT_OF(library_other_tests);
