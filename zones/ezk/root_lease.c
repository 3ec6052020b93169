/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a root key, and its canary in flight. */
#include "zones/ezk/root_lease.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"

#include <stdlib.h>

void root_name_init(struct root_name *ret_name, struct uid project, const char *arn)
{
	size_t len = strnlen(arn, KMS_ARN_MAX);

	memcpy(ret_name->text, project.bytes, UID_SIZE);
	memcpy(ret_name->text + UID_SIZE, arn, len);
	ret_name->len = UID_SIZE + len;
	ret_name->text[ret_name->len] = '\0';
}

struct root_lease *root_lease_new(const struct root_name *name)
{
	struct root_lease *root = calloc(1, sizeof(*root) + name->len + 1);
	char *text = (char *)(root + 1);

	if (root == NULL)
		return NULL;
	memcpy(text, name->text, name->len + 1);
	memcpy(root->project.bytes, text, UID_SIZE);
	root->name = bytes(text, name->len);
	root->arn = text + UID_SIZE;
	lease_window_init(&root->window);
	pthread_mutex_init(&root->lock, NULL);
	pthread_cond_init(&root->answered, NULL);
	return root;
}

void root_lease_free(struct root_lease *root)
{
	pthread_cond_destroy(&root->answered);
	pthread_mutex_destroy(&root->lock);
	free(root);
}

static bool in_flight(const struct root_lease *root)
{
	return root->received < root->sent;
}

/* --- What the answers mean */

static bool lasts(struct moment until, const struct lease_rules *rules)
{
	return !moment_passed(until, clock_now(rules->clock));
}

static enum zone_status remembered_no(const struct root_lease *root,
				      const struct lease_rules *rules)
{
	return root->no != ZONE_OK && lasts(root->no_until, rules) ? root->no : ZONE_OK;
}

static bool is_out(const struct root_lease *root, const struct lease_rules *rules)
{
	return root->outage != ZONE_OK && lasts(root->out_until, rules);
}

static void hear_no(struct root_lease *root, const struct lease_rules *rules, enum zone_status no)
{
	root->no = no;
	root->no_until = moment_after(clock_now(rules->clock), rules->deny_ms);
	root->no_count++;
	root->vouches = false;
	lease_window_set(&root->window, INT64_MAX);
}

static void hear_outage(struct root_lease *root, struct lease_rules *rules, enum zone_status outage)
{
	bool lasts_already = is_out(root, rules);

	root->outage = outage;
	/* A call that is refused while it lasts does not postpone the next try. */
	if (lasts_already)
		return;
	root->out_since = clock_now(rules->clock);
	root->out_until = lease_rules_again(rules, root->out_since);
}

static bool is_news(enum zone_status status)
{
	return status == ZONE_OK || zone_status_is_no(status) || zone_status_is_outage(status);
}

static void hear(struct root_lease *root, struct lease_rules *rules, enum zone_status status)
{
	if (!is_news(status))
		return;
	/* A right to one zone or to the canary says nothing of the key for others. */
	root->was_heard = status != ZONE_KMS_DENIED;
	if (root->heard.status != status)
		root->heard = (struct root_key_finding){.status = status};
	if (!zone_status_is_outage(status))
		root->outage = ZONE_OK;
	if (zone_status_is_no_of_key(status))
		hear_no(root, rules, status);
	else if (zone_status_is_outage(status))
		hear_outage(root, rules, status);
	else if (status == ZONE_OK)
		root->no = ZONE_OK;
}

enum zone_status root_lease_hear(struct root_lease *root, struct lease_rules *rules,
				 uint64_t no_count, enum zone_status status)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&root->lock);

	/* Unless it has been taken back since. */
	if (status == ZONE_OK && root->no_count != no_count && root->no != ZONE_OK)
		return root->no;
	hear(root, rules, status);
	return status;
}

enum zone_status root_lease_refusal(struct root_lease *root, const struct lease_rules *rules)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&root->lock);

	return remembered_no(root, rules);
}

uint64_t root_lease_no_count(struct root_lease *root)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&root->lock);

	return root->no_count;
}

bool root_lease_heard(struct root_lease *root, struct root_key_finding *ret_finding)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&root->lock);

	if (root->was_heard)
		*ret_finding = root->heard;
	return root->was_heard;
}

void root_lease_found(struct root_lease *root, uint64_t no_count,
		      const struct root_key_finding *finding)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&root->lock);

	if (root->no_count != no_count && (finding == NULL || !zone_status_is_no(finding->status)))
		return;
	root->was_heard = finding != NULL;
	if (finding != NULL)
		root->heard = *finding;
}

/* --- The canary */

/* The zone would fare no better. */
static bool says_nothing(enum zone_status status)
{
	return zone_status_is_outage(status) || status == ZONE_KMS_NO_CREDENTIALS ||
	       status == ZONE_KMS_CREDENTIALS_REFUSED || status == ZONE_KMS_MISCONFIGURED ||
	       status == ZONE_NO_MEMORY || status == ZONE_NOT_STARTED ||
	       status == ZONE_AUDIT_UNAVAILABLE;
}

static enum vouch take_yes(struct root_lease *root, struct lease_rules *rules, struct moment asked)
{
	if (!lasts(moment_after(asked, rules->yes_ms), rules)) {
		log_warning("%s: the KMS said yes later than a lease of %d ms lasts", root->arn,
			    (int)rules->yes_ms);
		hear_outage(root, rules, ZONE_KMS_UNAVAILABLE);
		return VOUCH_OUTAGE;
	}
	root->vouches = true;
	root->refused = false;
	root->yes = asked;
	root->renew = lease_rules_ahead(rules, asked, rules->yes_ms);
	atomic_store(&root->window.closed, false);
	return VOUCH_YES;
}

/* For a lease, each zone answers for itself. */
static enum vouch take_refusal(struct root_lease *root, struct lease_rules *rules)
{
	root->vouches = false;
	atomic_store(&root->window.closed, true);
	root->refused = true;
	root->refused_until = moment_after(clock_now(rules->clock), rules->yes_ms);
	return VOUCH_ASK_ITSELF;
}

static enum vouch settle(struct root_lease *root, struct lease_rules *rules, struct moment asked,
			 uint64_t no_count, enum zone_status status)
{
	if (status == ZONE_OK && root->no_count != no_count)
		return VOUCH_ASK_ITSELF; /* a no came in its way */
	hear(root, rules, status);
	if (status == ZONE_OK)
		return take_yes(root, rules, asked);
	if (!says_nothing(status))
		return take_refusal(root, rules);
	if (!zone_status_is_outage(status)) /* those were answers */
		hear_outage(root, rules, status);
	return VOUCH_OUTAGE;
}

/* Called and left with the lock held, which is open while the KMS is asked. */
static void ask_once(struct root_lease *root, struct lease_rules *rules, root_lease_ask *ask,
		     void *state, enum zone_status *ret_refused)
{
	uint64_t no_count = root->no_count;
	enum zone_status status;
	struct moment asked;

	root->sent++;
	/* Whoever uses a lease meanwhile need not look. */
	lease_window_set(&root->window, INT64_MAX);
	pthread_mutex_unlock(&root->lock);
	asked = clock_now(rules->clock);
	status = ask(state);
	pthread_mutex_lock(&root->lock);
	root->answer = settle(root, rules, asked, no_count, status);
	if (root->answer == VOUCH_ASK_ITSELF && status != ZONE_OK)
		*ret_refused = status;
	root->received++;
	pthread_cond_broadcast(&root->answered);
}

/* When a lease has to renew that counts the yes for no longer than yes_ms: at the same part of
 * its time as the other leases, so that all under one root key go on to ask together. */
static struct moment renewal(const struct root_lease *root, const struct lease_rules *rules,
			     int64_t yes_ms)
{
	int64_t ahead = root->renew.monotonic_ms - root->yes.monotonic_ms;

	if (yes_ms >= rules->yes_ms)
		return root->renew;
	return moment_after(root->yes, ahead * yes_ms / rules->yes_ms);
}

static enum vouch give(struct root_lease *root, const struct lease_rules *rules, int64_t yes_ms,
		       enum vouch said, struct voucher *ret_voucher)
{
	if (said == VOUCH_YES)
		*ret_voucher =
			(struct voucher){.asked = root->yes, .renew = renewal(root, rules, yes_ms)};
	if (said == VOUCH_OUTAGE) {
		*ret_voucher = (struct voucher){.asked = root->out_since, .outage = root->outage};
		lease_window_set(&root->window, root->out_until.monotonic_ms);
	}
	return said;
}

/* Somebody below it has use for a newer yes (zones/ezk/lease_window.h). */
static bool is_awaited(const struct root_lease *root, const struct lease_rules *rules)
{
	return lease_window_is_open(&root->window, clock_now(rules->clock).monotonic_ms);
}

/* What needs no asking; BUSY: nothing is known. */
static enum vouch known(const struct root_lease *root, const struct lease_rules *rules,
			enum vouch_how how, int64_t yes_ms)
{
	if (how == VOUCH_KNOWN)
		return root->vouches ? VOUCH_YES : VOUCH_ASK_ITSELF;
	if (how != VOUCH_ITSELF && root->vouches && lasts(renewal(root, rules, yes_ms), rules) &&
	    !is_awaited(root, rules))
		return VOUCH_YES;
	if (is_out(root, rules))
		return VOUCH_OUTAGE;
	if (how == VOUCH_ITSELF)
		return VOUCH_ASK_ITSELF;
	if (root->refused && lasts(root->refused_until, rules))
		return VOUCH_ASK_ITSELF;
	return remembered_no(root, rules) != ZONE_OK ? VOUCH_ASK_ITSELF : VOUCH_BUSY;
}

enum vouch root_lease_vouch(struct root_lease *root, struct lease_rules *rules, enum vouch_how how,
			    int64_t yes_ms, root_lease_ask *ask, void *state,
			    struct voucher *ret_voucher, enum zone_status *ret_refused)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&root->lock);
	enum vouch said;

	*ret_refused = ZONE_OK;
	while ((said = known(root, rules, how, yes_ms)) == VOUCH_BUSY) {
		if (!in_flight(root)) {
			ask_once(root, rules, ask, state, ret_refused);
			said = root->answer;
			break;
		}
		if (how == VOUCH_ASK)
			break;
		pthread_cond_wait(&root->answered, &root->lock);
	}
	return give(root, rules, yes_ms, said, ret_voucher);
}
