/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the doctor's report: filled, put, and written as lines. */
#include "base/log.h"
#include "base/name.h"
#include "zones/domain/doctor_report.h"

#include <string.h>

void row_fault(struct doctor_row *row, enum zone_status status)
{
	row->verdict = DOCTOR_FAULT;
	row->status = status;
}

/* Characters that nobody sees, controls among them, as \xNN: what others wrote makes no line of its
 * own, and steers no terminal. */
static void put_plain(struct buffer *text, const char *words, char also)
{
	size_t unseen = 0;

	for (const char *at = words; *at != '\0'; at++, unseen -= unseen > 0) {
		if (unseen == 0)
			unseen = text_unseen(at);
		if (unseen > 0 || *at == also)
			buffer_format(text, "\\x%02x", (unsigned char)*at);
		else
			buffer_put_u8(text, (uint8_t)*at);
	}
}

void doctor_label(struct buffer *text, const char *label)
{
	put_plain(text, label, ':');
}

void row_label(struct doctor_row *row, const char *label)
{
	doctor_label(&row->which, label);
}

void doctor_plain(struct buffer *text, const char *words)
{
	put_plain(text, words, '\n');
}

void row_say_plain(struct doctor_row *row, const char *words)
{
	doctor_plain(&row->said, words);
}

const char *doctor_why(unsigned reasons, enum zone_status status)
{
	return log_reasons() != reasons ? log_last() : zone_status_text(status);
}

static void row_clear(struct doctor_row *row)
{
	buffer_clear(&row->which);
	buffer_clear(&row->details);
	buffer_clear(&row->said);
}

void row_put(struct report *report, struct doctor_row *row)
{
	if (row->project == NULL && report->project != NULL)
		row->project = report->project->label;
	buffer_text(&row->which);
	buffer_text(&row->details);
	buffer_text(&row->said);
	if (row->which.failed || row->details.failed || row->said.failed)
		report->failed = true;
	else
		report->put(report->state, row);
	row_clear(row);
}

void doctor_row_text(const struct doctor_row *row, struct buffer *out)
{
	bool is_warning = row->verdict == DOCTOR_NOTE;

	buffer_format(out, "%s%s", is_warning ? "warning: " : "", row->what);
	if (row->which.len > 0)
		buffer_format(out, " %.*s", (int)row->which.len, (const char *)row->which.data);
	if (row->details.len > 0)
		buffer_format(out, " (%.*s)", (int)row->details.len,
			      (const char *)row->details.data);
	if (row->said.len > 0 || row->verdict == DOCTOR_FAULT)
		buffer_format(out, "%s%s%.*s", *row->what == '\0' ? "" : ": ",
			      row->verdict == DOCTOR_FAULT   ? "FAILED: "
			      : row->verdict == DOCTOR_UNSET ? "not set up: "
							     : "",
			      (int)row->said.len, (const char *)row->said.data);
	buffer_put_u8(out, '\n');
}

/* --- Lines that are rows --------------------------------------------------------------------- */

/* "what: said"; a line without a colon is said of nothing in particular. */
static void put_line(const char *line, doctor_put *put, void *state)
{
	static const char warning[] = "warning: ";
	struct doctor_row row = {0};
	char what[64];
	const char *colon;

	if (strncmp(line, warning, strlen(warning)) == 0) {
		row.verdict = DOCTOR_NOTE;
		line += strlen(warning);
	}
	colon = strstr(line, ": ");
	if (colon == NULL || *line == ' ' || *line == '[' || (size_t)(colon - line) >= sizeof(what))
		colon = NULL;
	row.what = colon != NULL ? what : strncmp(line, "  [", 3) == 0 ? "setting" : "";
	if (colon == NULL)
		line += strspn(line, " ");
	if (colon != NULL) {
		memcpy(what, line, (size_t)(colon - line));
		what[colon - line] = '\0';
		line = colon + 2;
	}
	buffer_put_text(&row.said, line);
	buffer_text(&row.which);
	buffer_text(&row.details);
	if (buffer_text(&row.said) != NULL)
		put(state, &row);
	row_clear(&row);
}

void doctor_put_lines(struct bytes lines, doctor_put *put, void *state)
{
	while (lines.len > 0) {
		const uint8_t *end = memchr(lines.data, '\n', lines.len);
		size_t len = end == NULL ? lines.len : (size_t)(end - lines.data);
		char line[2048];
		size_t kept = len < sizeof(line) ? len : sizeof(line) - 1;

		memcpy(line, lines.data, kept);
		line[kept] = '\0';
		if (len > 0)
			put_line(line, put, state);
		lines = bytes_after(lines, end == NULL ? len : len + 1);
	}
}

void report_lines(struct report *report, struct buffer *lines)
{
	if (lines->failed)
		report->failed = true;
	else
		doctor_put_lines(buffer_bytes(lines), report->put, report->state);
	buffer_truncate(lines, 0);
}
