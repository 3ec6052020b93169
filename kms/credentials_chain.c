/* The order of the sources, and the credentials that are kept until they expire or are refused. */
#include "kms/credentials.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "kms/report.h"

/* The SDKs' order. Web identity, the container's and the machine's metadata service come after
 * these. */
const struct credentials_source *const credentials_order[] = {
	&credentials_environment,
	&credentials_profile,
};
const size_t credentials_order_count = COUNT_OF(credentials_order);

/* So long before the end, others are fetched. */
enum { EARLY_MS = 10 * 60 * 1000 };

struct credentials_chain {
	pthread_mutex_t lock;
	struct credentials_place place;
	const struct clock *clock;
	const struct credentials_source *const *order;
	size_t order_count;
	struct credentials *kept; /* one reference is ours; NULL: none yet */
	uint64_t last_number;
};

void credentials_clear(struct credentials *credentials)
{
	buffer_clear(&credentials->access_key_id);
	buffer_clear(&credentials->secret_access_key);
	buffer_clear(&credentials->session_token);
}

bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	return bytes_equal(buffer_bytes(&a->access_key_id), buffer_bytes(&b->access_key_id)) &&
	       bytes_equal_constant_time(buffer_bytes(&a->secret_access_key),
					 buffer_bytes(&b->secret_access_key)) &&
	       bytes_equal_constant_time(buffer_bytes(&a->session_token),
					 buffer_bytes(&b->session_token));
}

struct credentials_chain *credentials_chain_new(const struct credentials_place *place,
						const struct clock *clock,
						const struct credentials_source *const *order,
						size_t order_count)
{
	struct credentials_chain *chain = calloc(1, sizeof(*chain));

	if (chain == NULL)
		return NULL;
	pthread_mutex_init(&chain->lock, NULL);
	chain->place = *place;
	chain->clock = clock;
	chain->order = order;
	chain->order_count = order_count;
	return chain;
}

/* The lock is held. */
static void drop(struct credentials *credentials)
{
	if (credentials == NULL || --credentials->references > 0)
		return;
	credentials_clear(credentials);
	free(credentials);
}

void credentials_chain_free(struct credentials_chain *chain)
{
	if (chain == NULL)
		return;
	drop(chain->kept);
	pthread_mutex_destroy(&chain->lock);
	free(chain);
}

static enum kms_status ask_sources(struct credentials_chain *chain, struct kms_report *report,
				   struct credentials *credentials)
{
	for (size_t i = 0; i < chain->order_count; i++) {
		enum kms_status status;

		credentials->source = chain->order[i]->name;
		status = chain->order[i]->fetch(&chain->place, report, credentials);
		if (status != KMS_NOT_FOUND)
			return status;
	}
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
			"no AWS credentials: neither in the environment (AWS_ACCESS_KEY_ID) nor in "
			"a profile of ~/.aws");
}

static enum kms_status not_a_word(const char *what, const char *source, struct kms_report *report)
{
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
			"the AWS %s from the %s holds characters that do not belong there", what,
			source);
}

/* Ends each text, so that many threads may read it; what goes into a header is one word. */
static enum kms_status check(struct credentials *credentials, struct kms_report *report)
{
	const char *id = buffer_text(&credentials->access_key_id);
	const char *secret = buffer_text(&credentials->secret_access_key);
	const char *token = buffer_text(&credentials->session_token);

	if (id == NULL || secret == NULL || token == NULL)
		return KMS_NO_MEMORY;
	for (const char *c = id; *c != 0; c++)
		if (!isgraph((unsigned char)*c) || strchr(",/", *c) != NULL)
			return not_a_word("access key id", credentials->source, report);
	for (const char *c = token; *c != 0; c++)
		if (!isgraph((unsigned char)*c))
			return not_a_word("session token", credentials->source, report);
	return KMS_OK;
}

/* Puts new ones in the place of those kept; on failure nothing changes. The lock is held. */
static enum kms_status fetch(struct credentials_chain *chain, struct kms_report *report)
{
	struct credentials *fresh = calloc(1, sizeof(*fresh));
	enum kms_status status;

	if (fresh == NULL)
		return KMS_NO_MEMORY;
	fresh->references = 1;
	fresh->number = ++chain->last_number;
	status = ask_sources(chain, report, fresh);
	if (status == KMS_OK)
		status = check(fresh, report);
	if (status != KMS_OK) {
		drop(fresh);
		return status;
	}
	log_info("KMS: AWS credentials from the %s", fresh->source);
	drop(chain->kept);
	chain->kept = fresh;
	return KMS_OK;
}

static bool is_fresh(const struct credentials_chain *chain)
{
	int64_t now = chain->clock->realtime_ms(chain->clock->state);

	return chain->kept != NULL &&
	       (chain->kept->expires_ms == 0 || chain->kept->expires_ms - EARLY_MS > now);
}

enum kms_status credentials_chain_borrow(struct credentials_chain *chain, struct kms_report *report,
					 struct credentials **ret_credentials)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&chain->lock);

	if (!is_fresh(chain))
		TRY(fetch(chain, report));
	chain->kept->references++;
	*ret_credentials = chain->kept;
	return KMS_OK;
}

void credentials_chain_return(struct credentials_chain *chain, struct credentials *credentials)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&chain->lock);

	drop(credentials);
}

bool credentials_chain_renew(struct credentials_chain *chain, const struct credentials *refused)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&chain->lock);

	if (chain->kept == NULL || chain->kept->number == refused->number)
		if (fetch(chain, NULL) != KMS_OK)
			return false;
	return !credentials_equal(chain->kept, refused);
}
