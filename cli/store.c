/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek store …: the store's level (docs/store.md), through the module's diagnostic object. */
#include "base/encode.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/token.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* What the module reports about its store; `token` is any project's. */
struct view {
	struct token token;
	CK_OBJECT_HANDLE diagnostic;
	json_t *facts;
};

static void view_close(struct view *view)
{
	json_decref(view->facts);
	token_close(&view->token);
}

static int view_open(const struct arguments *arguments, struct view *view)
{
	CK_ATTRIBUTE length = {CKA_CMEK_STORE, NULL, 0};
	CK_RV rv;

	TRY(token_open_any(arguments_value(arguments, "project"), &view->token));
	view->diagnostic = token_diagnostic(&view->token);
	rv = view->token.functions->C_GetAttributeValue(view->token.session, view->diagnostic,
							&length, 1);
	if (rv != CKR_OK)
		return module_failed(rv, "looking at the store");
	view->facts = token_store_facts(&view->token);
	return view->facts != NULL
		       ? CMEK_EXIT_OK
		       : fail(CMEK_EXIT_FAILED, "the module says nothing about its store");
}

static unsigned number(const json_t *of, const char *name)
{
	return (unsigned)json_integer_value(json_object_get(of, name));
}

static bool is_so(const json_t *of, const char *name)
{
	return json_is_true(json_object_get(of, name));
}

static int print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	return CMEK_EXIT_OK;
}

static void print_yes(struct printer *printer, const struct view *view, const char *name,
		      const char *otherwise)
{
	print_text(printer, name, is_so(view->facts, name) ? "yes" : otherwise);
}

/* The words are those of the JSON. */
int store_show(const struct arguments *arguments)
{
	struct printer printer = {.single = true};
	AUTO(view_close) struct view view = {0};
	const char *path;

	TRY(view_open(arguments, &view));
	if (arguments->json)
		return print_json(view.facts);
	path = member_text(view.facts, "store");
	print_row(&printer);
	print_text(&printer, "store", path);
	print_text(&printer, "engine", member_text(view.facts, "engine"));
	print_number(&printer, "level", number(view.facts, "level"));
	print_number(&printer, "min_reader", number(view.facts, "min_reader"));
	print_number(&printer, "min_writer", number(view.facts, "min_writer"));
	print_text(&printer, "needs", member_text(view.facts, "needs"));
	print_text(&printer, "this_release", member_text(view.facts, "this_release"));
	print_number(&printer, "understands", number(view.facts, "understands"));
	print_yes(&printer, &view, "reads", "projects and root keys alone");
	print_yes(&printer, &view, "writes", "no: a later release is needed");
	print_yes(&printer, &view, "writable", "no: it is read-only");
	print_yes(&printer, &view, "way_back", "no");
	return print_end(&printer);
}

/* --- From one level to another */

struct plan {
	unsigned from, to;
	bool dry_run;
};

static const json_t *level_of(const json_t *facts, unsigned level)
{
	return json_array_get(json_object_get(facts, "levels"), level - 1);
}

static void print_who(const json_t *facts, const char *what, unsigned level)
{
	printf("  it is %s by releases that know level %u: cmek-pkcs11 %s or later\n", what, level,
	       member_text(level_of(facts, level), "release"));
}

static void print_plan(const json_t *facts, const struct plan *plan)
{
	const json_t *target = level_of(facts, plan->to);
	unsigned low = plan->from < plan->to ? plan->from : plan->to;
	unsigned high = plan->from < plan->to ? plan->to : plan->from;

	printf("store %s: level %u to %u\n", member_text(facts, "store"), plan->from, plan->to);
	for (unsigned level = low + 1; level <= high; level++)
		printf("  switched %s: %s (level %u)\n", plan->to > plan->from ? "on" : "off",
		       member_text(level_of(facts, level), "feature"), level);
	print_who(facts, "read", number(target, "min_reader"));
	print_who(facts, "changed", number(target, "min_writer"));
	if (plan->to > plan->from)
		puts("  the way back, until one of these is used: cmek store downgrade");
}

static int report(const struct arguments *arguments, const json_t *facts, const struct plan *plan)
{
	const json_t *target = level_of(facts, plan->to);
	json_t *json;

	if (!arguments->json) {
		print_plan(facts, plan);
		puts(plan->dry_run ? "nothing was changed" : "done");
		return CMEK_EXIT_OK;
	}
	json = json_pack("{s:s, s:i, s:i, s:i, s:i, s:b}", "store", member_text(facts, "store"),
			 "from", (int)plan->from, "to", (int)plan->to, "min_reader",
			 (int)number(target, "min_reader"), "min_writer",
			 (int)number(target, "min_writer"), "changed",
			 !plan->dry_run && plan->from != plan->to);
	print_json(json);
	json_decref(json);
	return CMEK_EXIT_OK;
}

/* In its transaction the module compares `from` with the store's level. */
static int carry_out(const struct arguments *arguments, struct view *view, const struct plan *plan)
{
	CK_ULONG levels[2] = {plan->from, plan->to};
	CK_ATTRIBUTE change = {CKA_CMEK_STORE_LEVEL, levels, sizeof(levels)};
	CK_RV rv;

	if (!plan->dry_run) {
		rv = view->token.functions->C_SetAttributeValue(view->token.session,
								view->diagnostic, &change, 1);
		if (rv != CKR_OK)
			return module_failed(rv, "bringing the store to level %u", plan->to);
	}
	return report(arguments, view->facts, plan);
}

static int stay(const struct arguments *arguments, const json_t *facts, unsigned level,
		const char *why)
{
	const struct plan plan = {level, level, true};

	if (arguments->json)
		return report(arguments, facts, &plan);
	printf("store %s is at level %u, %s\n", member_text(facts, "store"), level, why);
	return CMEK_EXIT_OK;
}

static int check_known(const json_t *facts)
{
	if (is_so(facts, "writes") && number(facts, "level") <= number(facts, "understands"))
		return CMEK_EXIT_OK;
	return fail(
		CMEK_EXIT_REFUSED,
		"store %s is at level %u, and this release (%s) knows level %u alone: do it with "
		"%s",
		member_text(facts, "store"), number(facts, "level"),
		member_text(facts, "this_release"), number(facts, "understands"),
		member_text(facts, "needs"));
}

static int target_level(const struct arguments *arguments, const json_t *facts, unsigned *ret_level)
{
	const char *wished = arguments_value(arguments, "to");
	unsigned level = number(facts, "level"), newest = number(facts, "understands");
	uint64_t to = newest;

	if (wished != NULL && (!decimal_decode(wished, newest, &to) || to < level))
		return fail(CMEK_EXIT_USAGE,
			    "--to is a level from %u (where the store is) to %u, not %s", level,
			    newest, wished);
	*ret_level = (unsigned)to;
	return CMEK_EXIT_OK;
}

int store_upgrade(const struct arguments *arguments)
{
	AUTO(view_close) struct view view = {0};
	struct plan plan = {.dry_run = arguments_value(arguments, "dry-run") != NULL};

	TRY(view_open(arguments, &view));
	TRY(check_known(view.facts));
	plan.from = number(view.facts, "level");
	TRY(target_level(arguments, view.facts, &plan.to));
	if (plan.from == plan.to)
		return stay(arguments, view.facts, plan.to,
			    plan.to == number(view.facts, "understands")
				    ? "the newest that this release knows"
				    : "as --to asks");
	return carry_out(arguments, &view, &plan);
}

int store_downgrade(const struct arguments *arguments)
{
	AUTO(view_close) struct view view = {0};
	struct plan plan = {.dry_run = arguments_value(arguments, "dry-run") != NULL};

	TRY(view_open(arguments, &view));
	TRY(check_known(view.facts));
	plan.from = number(view.facts, "level");
	if (plan.from == 1)
		return stay(arguments, view.facts, 1, "the lowest");
	plan.to = plan.from - 1;
	if (!is_so(view.facts, "way_back"))
		return fail(CMEK_EXIT_REFUSED,
			    "store %s stays at level %u: what this level switched on is in use; "
			    "remove it "
			    "first",
			    member_text(view.facts, "store"), plan.from);
	return carry_out(arguments, &view, &plan);
}
