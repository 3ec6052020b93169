/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/model/moving.h"

#include "base/buffer.h"
#include "base/macros.h"
#include "zones/model/project_extra.h"

enum { FORMAT = 1, HEAD = 3, ID_MAX = 255 };

struct mark {
	enum moving moving;
	struct bytes id, place; /* borrowed */
};

static struct mark read_mark(const struct entry *project)
{
	struct bytes text = project_extra_mark(project);
	struct mark mark = {MOVING_NOT, bytes(NULL, 0), bytes(NULL, 0)};

	if (text.len == 0)
		return mark;
	mark.moving = MOVING_AWAY;
	if (text.len < HEAD || text.data[0] != FORMAT ||
	    (text.data[1] != MOVING_AWAY && text.data[1] != MOVING_IN) ||
	    text.len - HEAD <= text.data[2] || text.len - HEAD - text.data[2] > MOVING_PLACE_MAX)
		return mark;
	mark.moving = (enum moving)text.data[1];
	mark.id = bytes(text.data + HEAD, text.data[2]);
	mark.place = bytes_after(text, (size_t)HEAD + text.data[2]);
	return mark;
}

enum moving moving_of(const struct entry *project, struct bytes *ret_place)
{
	const struct mark mark = read_mark(project);

	*ret_place = mark.place;
	return mark.moving;
}

struct bytes moving_id_of(const struct entry *project)
{
	return read_mark(project).id;
}

bool moving_mark(struct entry *project, enum moving moving, const char *place, const char *id)
{
	AUTO(buffer_clear) struct buffer mark = {0};

	if (moving == MOVING_NOT)
		return project_extra_set(project, project_extra_pins(project), bytes(NULL, 0));
	buffer_put_u8(&mark, FORMAT);
	buffer_put_u8(&mark, (uint8_t)moving);
	mark.failed |= strlen(id) > ID_MAX;
	buffer_put_u8(&mark, (uint8_t)strlen(id));
	buffer_put_text(&mark, id);
	buffer_put_text(&mark, place);
	return !mark.failed &&
	       project_extra_set(project, project_extra_pins(project), buffer_bytes(&mark));
}
