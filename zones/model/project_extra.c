/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/model/project_extra.h"

#include "base/buffer.h"
#include "base/macros.h"

static size_t pins_len(struct bytes extra)
{
	static const uint8_t magic[] = {'P', 'I', 'N'};
	size_t len;

	if (extra.len < sizeof(magic) || memcmp(extra.data, magic, sizeof(magic)) != 0)
		return 0;
	if (extra.len < PROJECT_PINS_HEAD)
		return extra.len;
	len = PROJECT_PINS_HEAD + ((size_t)extra.data[4] << 8 | extra.data[5]);
	return len < extra.len ? len : extra.len;
}

struct bytes project_extra_pins(const struct entry *project)
{
	return bytes(project->extra.data, pins_len(project->extra));
}

struct bytes project_extra_mark(const struct entry *project)
{
	size_t len = pins_len(project->extra);

	return len == project->extra.len
		       ? bytes(NULL, 0)
		       : bytes(project->extra.data + len, project->extra.len - len);
}

bool project_extra_set(struct entry *project, struct bytes pins, struct bytes mark)
{
	AUTO(buffer_clear) struct buffer extra = {0};

	buffer_append(&extra, pins);
	buffer_append(&extra, mark);
	return !extra.failed && entry_set_bytes(&project->extra, buffer_bytes(&extra));
}
