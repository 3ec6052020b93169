/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's commands on many files, over the real module and the embedded KMS. */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "envelope/header.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Envelopes as they were ------------------------------------------------------------------ */

static void read_file(const char *name, struct buffer *ret_contents)
{
	AUTO(freep) char *path = in_home(name);

	buffer_clear(ret_contents);
	assert_true(file_read(path, 1 << 24, ret_contents));
}

static void read_header(const char *name, struct buffer *storage, struct envelope_header *header)
{
	struct envelope_error error = {0};

	read_file(name, storage);
	assert_int_equal(envelope_header_decode(buffer_bytes(storage), header, &error),
			 ENVELOPE_OK);
}

static void write_slot(const char *name, unsigned index, const struct envelope_slot *slot,
		       uint32_t slot_len)
{
	AUTO(freep) char *path = in_home(name);
	AUTO(buffer_clear) struct buffer out_bytes = {0};
	int fd = open(path, O_WRONLY);

	assert_int_equal(envelope_slot_encode(index, slot, slot_len, &out_bytes), ENVELOPE_OK);
	assert_int_equal(pwrite(fd, out_bytes.data, out_bytes.len,
				ENVELOPE_IMMUTABLE + (off_t)index * slot_len),
			 out_bytes.len);
	close(fd);
}

/* The record with its only wrap twice: it opens as before, and is not the one of the store. */
static void doubled(struct bytes record, struct buffer *out_record)
{
	struct envelope_record decoded;
	size_t start;

	assert_true(envelope_record_decode(record, &decoded));
	start = record.len - decoded.wraps_len;
	buffer_append(out_record, record);
	buffer_append(out_record, bytes(record.data + start, decoded.wraps_len));
	out_record->data[start - 1] = 2;
	out_record->data[6] = (uint8_t)(out_record->len >> 8);
	out_record->data[7] = (uint8_t)out_record->len;
}

/* As if the zone had another root key since: slot 0 has another record than the store. */
static void make_older(const char *name, uint64_t sequence)
{
	AUTO(buffer_clear) struct buffer storage = {0}, record = {0};
	struct envelope_header header;
	struct envelope_slot slot;

	read_header(name, &storage, &header);
	slot = header.slots[0];
	doubled(slot.record, &record);
	slot.record = buffer_bytes(&record);
	slot.sequence = sequence;
	write_slot(name, 0, &slot, header.slot_len);
}

static void make_file(const char *name, const char *database, const char *text)
{
	AUTO(buffer_clear) struct buffer line = {0};

	put("data", text);
	buffer_format(&line, "encrypt --force --project demo --database %s @data -o @%s", database,
		      name);
	done(buffer_text(&line));
}

static void opens(const char *name, const char *text)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "decrypt --force @%s @back", name);
	done(buffer_text(&line));
	has("back", text);
}

static void folder(const char *name)
{
	AUTO(freep) char *path = in_home(name);

	assert_true(file_make_folders(path));
}

/* --- rewrap ---------------------------------------------------------------------------------- */

static void a_rewrap_changes_the_idle_slot_alone(void **state)
{
	AUTO(buffer_clear) struct buffer before = {0}, after = {0};
	struct envelope_header header, then;

	(void)state;
	make_file("one.cmek", "main/orders", "card 4111");
	done("rewrap @one.cmek");
	prints("1 up to date");
	make_older("one.cmek", 1);
	read_header("one.cmek", &before, &then);
	done("rewrap --dry-run @one.cmek");
	prints("one.cmek\n1 to rewrap");
	read_header("one.cmek", &after, &header);
	assert_bytes(buffer_bytes(&after), buffer_bytes(&before));
	done("rewrap @one.cmek");
	prints("1 rewrapped");
	read_header("one.cmek", &after, &header);
	assert_true(header.slots[1].valid && header.slots[1].sequence == 2);
	assert_true(header.slots[1].record.len < then.slots[0].record.len);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.data, before.data, 128 + header.slot_len);
	assert_memory_equal(after.data + header.header_len, before.data + header.header_len,
			    after.len - header.header_len);
	opens("one.cmek", "card 4111");
	done("rewrap @one.cmek");
	prints("1 up to date");
}

static void the_older_wrap_goes_if_it_must(void **state)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_header header;

	(void)state;
	make_file("one.cmek", "main/orders", "card 4111");
	make_older("one.cmek", 1);
	done("rewrap @one.cmek");
	done("scan --json @one.cmek");
	prints("\"old_slots\": 1");
	done("rewrap --wipe-old @one.cmek");
	prints("1 rewrapped");
	read_header("one.cmek", &storage, &header);
	assert_bytes(header.slots[0].record, header.slots[1].record);
	assert_bytes(header.slots[0].wrapped, header.slots[1].wrapped);
	assert_int_equal(header.slots[0].sequence, 3);
	opens("one.cmek", "card 4111");
	done("rewrap --wipe-old @one.cmek");
	prints("1 up to date");
	/* In one go. */
	make_file("one.cmek", "main/orders", "card 4112");
	make_older("one.cmek", 7);
	done("rewrap --wipe-old --json @one.cmek");
	prints("\"rewrapped\": 1");
	prints("\"from\": 1");
	read_header("one.cmek", &storage, &header);
	assert_bytes(header.slots[0].record, header.slots[1].record);
	opens("one.cmek", "card 4112");
}

static void what_has_no_room_is_written_anew_if_asked(void **state)
{
	(void)state;
	make_file("full.cmek", "main/orders", "card 4111");
	make_older("full.cmek", UINT64_MAX);
	refused("rewrap @full.cmek", CMEK_EXIT_REFUSED, "no room for the new wrap");
	opens("full.cmek", "card 4111");
	done("rewrap --rewrite -o @other.cmek @full.cmek");
	opens("other.cmek", "card 4111");
	refused("rewrap --rewrite -o @other.cmek @full.cmek", CMEK_EXIT_REFUSED,
		"is there already");
	done("rewrap --rewrite @full.cmek");
	prints("1 rewritten");
	opens("full.cmek", "card 4111");
	done("rewrap @full.cmek");
	prints("1 up to date");
}

static void a_name_is_needed_for_reading_alone(void **state)
{
	(void)state;
	put("data", "card 4111");
	done("encrypt --force --project demo --database main/orders --name a/b @data @n.cmek");
	make_older("n.cmek", 1);
	done("rewrap @n.cmek");
	refused("decrypt --force @n.cmek @back", CMEK_EXIT_REFUSED, "none was given");
	done("decrypt --force --name a/b @n.cmek @back");
	make_older("n.cmek", UINT64_MAX);
	done("rewrap --rewrite @n.cmek");
	prints("1 rewritten");
	done("rewrap --project demo --to main/bills @n.cmek");
	refused("decrypt --force @n.cmek @back", CMEK_EXIT_REFUSED, "none was given");
	done("decrypt --force --name a/b --database main/bills @n.cmek @back");
	has("back", "card 4111");
}

static void a_file_goes_to_another_database_by_a_key_of_its_own(void **state)
{
	AUTO(buffer_clear) struct buffer before = {0}, after = {0};
	struct envelope_header from, to;

	(void)state;
	make_file("one.cmek", "main/orders", "card 4111");
	read_header("one.cmek", &before, &from);
	done("rewrap --project demo --to main/bills --dry-run @one.cmek");
	prints("1 to rewrap");
	done("rewrap --project demo --to main/bills @one.cmek");
	prints("1 rewritten");
	read_header("one.cmek", &after, &to);
	assert_true(to.zone != from.zone);
	assert_memory_not_equal(to.commitment, from.commitment, ENVELOPE_COMMITMENT);
	opens("one.cmek", "card 4111");
	done("rewrap --project demo --to main/bills @one.cmek");
	prints("1 up to date");
	refused("rewrap --to main/bills @one.cmek", CMEK_EXIT_USAGE, "--to needs --project");
	refused("rewrap --project demo --to main/none @one.cmek", CMEK_EXIT_NOT_FOUND, "main/none");
	refused("rewrap --project demo --to main/bills --rewrite @one.cmek", CMEK_EXIT_USAGE,
		"leave out");
	refused("rewrap -o @x @one.cmek", CMEK_EXIT_USAGE, "--output is for");
	refused("rewrap --rewrite -o @x @one.cmek @plain", CMEK_EXIT_USAGE, "one FILE");
}

static void a_file_of_several_names_is_not_replaced(void **state)
{
	AUTO(freep) char *path = in_home("one.cmek"), *other = in_home("link.cmek");

	(void)state;
	make_file("one.cmek", "main/orders", "card 4111");
	assert_int_equal(link(path, other), 0);
	refused("rewrap --project demo --to main/bills @one.cmek", CMEK_EXIT_REFUSED,
		"2 names (hard links)");
	make_older("one.cmek", 1);
	done("rewrap @one.cmek");
	opens("link.cmek", "card 4111");
	unlink(other);
}

static void one_that_fails_does_not_stop_the_others(void **state)
{
	(void)state;
	folder("tree/a/b");
	make_file("tree/one.cmek", "main/orders", "1");
	make_file("tree/a/two.cmek", "main/orders", "2");
	make_file("tree/a/b/three.cmek", "main/bills", "3");
	make_older("tree/one.cmek", 1);
	make_older("tree/a/b/three.cmek", 1);
	put("tree/plain", "not encrypted");
	put("tree/bad.cmek", "CMEK and no more");
	put("tree/.cmek-0123456789abcdef", "left by a killed process");
	refused("rewrap @tree", CMEK_EXIT_FAILED, "is a folder");
	refused("rewrap @tree/plain", CMEK_EXIT_DAMAGED, "not an envelope");
	refused("rewrap @none", CMEK_EXIT_NOT_FOUND, "No such file");
	refused("rewrap --recursive @tree", CMEK_EXIT_DAMAGED, "bad.cmek: damaged envelope");
	prints("2 rewrapped, 1 up to date, 1 not encrypted, 1 failed");
	assert_int_equal(run("rewrap -r @tree @none"), CMEK_EXIT_FAILED);
	prints("3 up to date, 1 not encrypted, 2 failed");
	opens("tree/a/b/three.cmek", "3");
}

/* --- scan ------------------------------------------------------------------------------------ */

static void a_scan_counts_what_is_there(void **state)
{
	json_t *summary, *rows;

	(void)state;
	folder("scan/x");
	make_file("scan/one.cmek", "main/orders", "1");
	make_file("scan/x/two.cmek", "main/orders", "2");
	make_file("scan/x/three.cmek", "main/bills", "3");
	put("scan/plain", "not encrypted");
	put("scan/empty", "");
	done("scan @scan");
	prints("3 encrypted, 2 not encrypted, 0 failed");
	prints("main/bills");
	done("scan --json @scan");
	summary = printed_json();
	assert_int_equal(json_integer_value(json_object_get(summary, "not_encrypted")), 2);
	rows = json_object_get(summary, "databases");
	assert_int_equal(json_array_size(rows), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(rows, i), "is")),
			"primary");
	json_decref(summary);
	done("scan --plain @scan");
	prints("scan/plain\n");
	done("scan --older-than-primary @scan");
	assert_int_equal(out.len, 0);
	done("scan --version 1 @scan/one.cmek");
	prints("one.cmek\n");
	put("scan/bad", "CMEK");
	refused("scan @scan", CMEK_EXIT_DAMAGED, "scan/bad: damaged envelope");
	prints("3 encrypted, 2 not encrypted, 1 failed");
}

static void a_scan_knows_files_of_elsewhere(void **state)
{
	(void)state;
	make_file("one.cmek", "main/orders", "1");
	done("project create empty");
	done("scan --project empty @one.cmek");
	prints("not known here");
	refused("scan --project none @one.cmek", CMEK_EXIT_NOT_FOUND, "no project none");
	refused("scan --version x @one.cmek", CMEK_EXIT_USAGE, "--version");
	refused("scan --plain --version 1 @one.cmek", CMEK_EXIT_USAGE, "--plain");
	refused("scan --json --plain @one.cmek", CMEK_EXIT_USAGE, "--json");
	refused("rewrap --project empty @one.cmek", CMEK_EXIT_NOT_FOUND,
		"it belongs to database main/orders of project demo, and project empty");
}

/* --- migrate, export ------------------------------------------------------------------------- */

static mode_t mode_of(const char *name, struct timespec *ret_time)
{
	AUTO(freep) char *path = in_home(name);
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	*ret_time = status.st_mtim;
	return status.st_mode & 07777;
}

static void age(const char *name)
{
	AUTO(freep) char *path = in_home(name);
	struct timespec times[2] = {{1577836800, 123456789}, {1577836800, 987654321}};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(chmod(path, 0640), 0);
}

static void is_aged(const char *name)
{
	struct timespec time;

	assert_int_equal(mode_of(name, &time), 0640);
	assert_int_equal(time.tv_sec, 1577836800);
	assert_int_equal(time.tv_nsec, 987654321);
}

static void plant(const char *tree)
{
	AUTO(buffer_clear) struct buffer line = {0}, path = {0};

	buffer_format(&line, "rm -rf %s/%s && mkdir -p %s/%s/a && ln -s x %s/%s/link", home, tree,
		      home, tree, home, tree);
	assert_int_equal(system(buffer_text(&line)), 0);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"x", "a/y", "a/empty"};
		static const char *const texts[] = {"card 4111", "card 4112", ""};

		buffer_truncate(&path, 0);
		buffer_format(&path, "%s/%s", tree, names[i]);
		put(buffer_text(&path), texts[i]);
		age(buffer_text(&path));
	}
}

static void a_tree_gets_envelopes_beside_its_files(void **state)
{
	(void)state;
	plant("m");
	done("migrate --project demo --database main/orders --dry-run @m");
	prints("3 to encrypt; left alone: 1 links");
	assert_false(is_there("m/x.cmek"));
	done("migrate --project demo --database main/orders @m");
	prints("3 encrypted; left alone: 1 links");
	is_aged("m/a/y.cmek");
	has("m/a/y", "card 4112");
	opens("m/a/y.cmek", "card 4112");
	opens("m/a/empty.cmek", "");
	done("migrate --project demo --database main/orders @m");
	prints("3 encrypted already, 3 envelopes");
	done("migrate --project demo --database main/orders --remove @m");
	prints("3 encrypted, 3 envelopes");
	assert_false(is_there("m/x") || is_there("m/a/empty"));
	done("export @m");
	prints("3 decrypted");
	has("m/a/y", "card 4112");
	is_aged("m/a/y");
	done("export --dry-run --remove @m");
	done("export --remove @m");
	prints("3 decrypted, 3 not encrypted");
	assert_false(is_there("m/a/empty.cmek"));
	has("m/a/empty", "");
}

static void a_tree_is_encrypted_in_place_and_back(void **state)
{
	(void)state;
	plant("m");
	done("migrate --project demo --database main/orders --in-place --json @m");
	prints("\"encrypted\": 3");
	opens("m/a/y", "card 4112");
	is_aged("m/a/y");
	done("migrate --project demo --database main/orders --in-place @m");
	prints("3 encrypted already");
	assert_int_equal(run("migrate --project demo --database main/bills --in-place @m"),
			 CMEK_EXIT_REFUSED);
	if (strstr(buffer_text(&err), "for another database than main/bills") == NULL)
		fail_msg("%s", buffer_text(&err));
	assert_int_equal(run("export @m"), CMEK_EXIT_REFUSED);
	done("export --in-place --dry-run @m");
	prints("3 to decrypt");
	done("export --in-place @m");
	prints("3 decrypted");
	has("m/a/y", "card 4112");
	is_aged("m/a/y");
	refused("export --in-place --remove @m", CMEK_EXIT_USAGE, "leave out --remove");
	refused("migrate --project demo --database main/none @m", CMEK_EXIT_NOT_FOUND, "main/none");
}

static void what_is_beside_a_file_is_not_overwritten(void **state)
{
	(void)state;
	plant("m");
	put("m/x.cmek", "something else");
	refused("migrate --project demo --database main/orders --remove @m/x", CMEK_EXIT_REFUSED,
		"is there already");
	has("m/x", "card 4111");
	has("m/x.cmek", "something else");
	/* An envelope of the file as it was. */
	make_file("m/x.cmek", "main/orders", "card 4110");
	refused("migrate --project demo --database main/orders @m/x", CMEK_EXIT_REFUSED,
		"is not what");
	/* Of the same size and time, but not of the same contents: told when it counts. */
	age("m/x.cmek");
	done("migrate --project demo --database main/orders @m/x");
	refused("migrate --project demo --database main/orders --remove @m/x", CMEK_EXIT_FAILED,
		"read back is not the same");
	has("m/x", "card 4111");
	refused("export --remove @m/x.cmek", CMEK_EXIT_FAILED, "read back is not the same");
	opens("m/x.cmek", "card 4110");
	put("m/x", "longer than before");
	refused("export @m/x.cmek", CMEK_EXIT_REFUSED, "is there already");
}

static void what_would_leave_the_data_in_clear_is_refused(void **state)
{
	AUTO(freep) char *path = in_home("m/x"), *other = in_home("m/z");

	(void)state;
	plant("m");
	assert_int_equal(link(path, other), 0);
	refused("migrate --project demo --database main/orders --in-place @m/x", CMEK_EXIT_REFUSED,
		"2 names (hard links)");
	done("migrate --project demo --database main/orders @m/x");
	refused("migrate --project demo --database main/orders @m/link", CMEK_EXIT_REFUSED,
		"is a link");
	refused("migrate --project demo --database main/orders @m/none", CMEK_EXIT_NOT_FOUND,
		"m/none");
	put("m/bad", "CMEK is how this begins");
	refused("migrate --project demo --database main/orders @m/bad", CMEK_EXIT_DAMAGED, "m/bad");
	put("data", "1");
	done("encrypt --force --project demo --database main/orders --name n @data @m/n.cmek");
	refused("export @m/n.cmek", CMEK_EXIT_REFUSED, "bound to an object's name");
}

static void a_refused_key_ends_a_migration(void **state)
{
	(void)state;
	plant("m");
	done("project create shut");
	done("key create --project shut local:shut");
	done("cluster create --project shut main --key shut --region us-west-2");
	done("database create --project shut main/orders");
	done("migrate --project shut --database main/orders @m/x");
	done("key disable --project shut shut");
	assert_int_equal(run("migrate --project shut --database main/orders @m"), CMEK_EXIT_DENIED);
	if (strstr(buffer_text(&err), "ended here") == NULL)
		fail_msg("%s", buffer_text(&err));
	/* Of files under one refused key, one is enough to ask for. */
	done("key enable --project shut shut");
}

static void zeros_come_back_as_a_hole(void **state)
{
	AUTO(freep) char *path = in_home("sparse");
	struct stat status;

	(void)state;
	put("sparse", "x");
	assert_int_equal(truncate(path, 4 << 20), 0);
	done("migrate --project demo --database main/orders --in-place @sparse");
	done("export --in-place @sparse");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 4 << 20);
	assert_true(status.st_blocks < 1000);
}

static void a_list_of_paths_may_come_from_standard_input(void **state)
{
	AUTO(freep) char *list = in_home("list"), *one = in_home("one.cmek");
	FILE *file = fopen(list, "w");

	(void)state;
	make_file("one.cmek", "main/orders", "1");
	fprintf(file, "%s%c%c%s/none%c", one, 0, 0, home, 0);
	fclose(file);
	assert_non_null(freopen(list, "r", stdin));
	refused("rewrap -", CMEK_EXIT_NOT_FOUND, "/none: No such file");
	prints("1 up to date, 1 failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rewrap_changes_the_idle_slot_alone),
		cmocka_unit_test(the_older_wrap_goes_if_it_must),
		cmocka_unit_test(what_has_no_room_is_written_anew_if_asked),
		cmocka_unit_test(a_name_is_needed_for_reading_alone),
		cmocka_unit_test(a_file_goes_to_another_database_by_a_key_of_its_own),
		cmocka_unit_test(a_file_of_several_names_is_not_replaced),
		cmocka_unit_test(one_that_fails_does_not_stop_the_others),
		cmocka_unit_test(a_scan_counts_what_is_there),
		cmocka_unit_test(a_scan_knows_files_of_elsewhere),
		cmocka_unit_test(a_tree_gets_envelopes_beside_its_files),
		cmocka_unit_test(a_tree_is_encrypted_in_place_and_back),
		cmocka_unit_test(what_is_beside_a_file_is_not_overwritten),
		cmocka_unit_test(what_would_leave_the_data_in_clear_is_refused),
		cmocka_unit_test(a_refused_key_ends_a_migration),
		cmocka_unit_test(zeros_come_back_as_a_hole),
		cmocka_unit_test(a_list_of_paths_may_come_from_standard_input),
	};

	return cmocka_run_group_tests(tests, tool_start, tool_stop);
}
