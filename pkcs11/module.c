/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start and stop. Two locks: `living` for the whole of a start or stop, so that they do not
 * overlap; `using` for moments, to count who has borrowed the module. The library context starts
 * before either is taken: OpenSSL may then read its configuration, and that may load this very
 * module, which the inner call then initializes or refuses.
 */
#include "pkcs11/module.h"

#include "base/cancel.h"
#include "base/file.h"
#include "base/fork.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "base/system_error.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "kms/aws/provider.h"
#include "mechanisms/mechanism.h"
#include "mechanisms/operation.h"
#include "objects/error.h"
#include "objects/refusal.h"
#include "objects/report.h"
#include "objects/stored_fields.h"
#include "pkcs11/providers.h"
#include "session/ready_keys.h"
#include "session/session.h"
#include "zones/domain/zones.h"
#include "zones/kms/audit.h"
#include "zones/store/dynamodb/engine.h"
#include "zones/store/etcd/engine.h"
#include "zones/store/sqlite/engine.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

static pthread_mutex_t living = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t using = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unused = PTHREAD_COND_INITIALIZER;
static struct module *current; /* take both locks to change it, `using` to read it */
static size_t users;
static _Atomic uint64_t lives = 1;

/* What one life consists of. */

static void module_free(struct module *module)
{
	if (module == NULL)
		return;
	slot_events_clear(&module->slot_events);
	tokens_free(module->tokens);
	objects_free(module->objects);
	zones_free(module->zones);
	buffer_clear(&module->root_key_extra);
	config_clear(&module->config);
	crypto_random_forget();
	free(module);
}

static void module_freep(struct module **module)
{
	module_free(TAKE(*module));
}

/* Where a setting stands, for messages. NULL: nowhere. */
static char *place_of(const struct config *config, unsigned line)
{
	struct buffer text = {0};

	if (line == 0 || config->file == NULL)
		return NULL;
	buffer_format(&text, "%s line %u", config->file, line);
	return buffer_take_text(&text);
}

static struct kms_clients *make_clients(const struct config *config, bool no_threads)
{
	AUTO(freep) char *allowed_at = place_of(config, config->allowed_root_keys_line);
	struct kms_settings settings = config->kms;

	settings.no_threads = no_threads;
	settings.allowed_root_keys = config->allowed_root_keys;
	settings.allowed_root_keys_at = allowed_at;
	settings.lease_seconds = config->lease_seconds;
	settings.clock = &clock_system;
	return kms_clients_new(&settings);
}

static void clear_store_settings(struct store_settings *settings)
{
	struct store_setting *const of_network[] = {
		&settings->endpoint,	       &settings->prefix,     &settings->ca_bundle,
		&settings->client_certificate, &settings->client_key, &settings->user,
		&settings->password_file,      &settings->table,      &settings->region,
		&settings->look_every,	       &settings->index_max,
	};

	for (size_t i = 0; i < COUNT_OF(of_network); i++)
		free((char *)(uintptr_t)of_network[i]->at);
	free((char *)(uintptr_t)settings->backend_at);
}

static struct store_setting store_setting_of(const struct config *config, const char *text,
					     unsigned line)
{
	return (struct store_setting){text, place_of(config, line)};
}

/* The texts are borrowed, the places are not. */
static struct store_settings store_settings_of(const struct config *config, bool no_threads)
{
	const struct kms_aws_settings *aws = provider_section(&config->kms, &kms_aws);

#define OF(name) .name = store_setting_of(config, config->store_##name, config->store_##name##_line)
	return (struct store_settings){
		.backend = config->store_backend,
		.backend_at = place_of(config, config->store_backend_line),
		.path = config->store_path,
		OF(endpoint),
		OF(prefix),
		OF(ca_bundle),
		OF(client_certificate),
		OF(client_key),
		OF(user),
		OF(password_file),
		OF(table),
		OF(region),
		.aws = &aws->aws,
		OF(look_every),
		OF(index_max),
		.no_threads = no_threads,
	};
#undef OF
}

/* What is not known by name is an error of the configuration, as it is in config_read(). */
static CK_RV make_store(const struct config *config, bool no_threads, struct store **ret_store)
{
	static const struct store_engine *const engines[] = {&store_sqlite, &store_etcd,
							     &store_dynamodb, NULL};
	AUTO(clear_store_settings)
	struct store_settings settings = store_settings_of(config, no_threads);

	switch (store_open(engines, &settings, ret_store)) {
	case ZONE_OK:
		return CKR_OK;
	case ZONE_INVALID:
		return CKR_FUNCTION_FAILED;
	default:
		return CKR_HOST_MEMORY;
	}
}

/* For `cmek store copy`: zones_settings.open_place. */
static enum zone_status open_place(void *state, const char *name, struct store **ret_store)
{
	const struct module *module = state;
	AUTO(config_clear) struct config config = {0};
	CK_RV rv = config_read_place(name, &config);

	if (rv == CKR_OK)
		rv = make_store(&config, module->no_threads, ret_store);
	return rv == CKR_OK ? ZONE_OK : rv == CKR_HOST_MEMORY ? ZONE_NO_MEMORY : ZONE_INVALID;
}

static void clients_freep(struct kms_clients **clients)
{
	kms_clients_free(*clients);
}

static void store_freep(struct store **store)
{
	if (*store != NULL)
		(*store)->operations->free(*store);
}

static CK_RV make_zones(struct module *module)
{
	const struct config *config = &module->config;
	AUTO(freep) char *pins_at = place_of(config, config->zones_pin_line);
	const struct zones_settings settings = {
		.default_root_key = config->default_root_key,
		.default_root_key_extra = buffer_bytes(&module->root_key_extra),
		.lease_seconds = config->lease_seconds,
		.deny_seconds = config->deny_seconds,
		.max_stale_seconds = config->max_stale_seconds,
		.kms_call_ms = kms_settings_call_ms(&config->kms),
		.renew_by_zone = config->kms_renew == CONFIG_RENEW_ZONE,
		.zone_lease_seconds = config->zone_lease_seconds,
		.new_zone = {config->zones_max_lease_seconds, config->zones_max_stale_seconds},
		.new_zone_kept = !config->zones_embed_ezk,
		.new_zone_rotate_days = config->zones_rotate_days,
		.deletion_window_days = config->deletion_window_days,
		.key_default = config->zones_default,
		.pins = config->zones_pin,
		.pins_at = pins_at,
		.ezk_from_kms = config->kms_ezk_source == CONFIG_EZK_SOURCE_KMS,
		.clock = &clock_system,
		.open_place = open_place,
		.open_place_state = module,
	};
	AUTO(store_freep) struct store *store = NULL;
	AUTO(clients_freep) struct kms_clients *clients = NULL;

	TRY(make_store(config, module->no_threads, &store));
	clients = make_clients(config, module->no_threads);
	if (clients == NULL)
		return CKR_HOST_MEMORY;
	TRY(error_of_zone(zones_new(&settings, store, clients, &module->zones), ERROR_TOKEN));
	/* They are the domain's now. */
	store = NULL;
	clients = NULL;
	return CKR_OK;
}

/* A log that can't be written stops nobody unless that is asked for, so it is reported where people
 * look. */
static void describe_log(const char *setting, const char *path, bool required, struct buffer *text)
{
	if (path != NULL && !file_may_append(path))
		buffer_format(text, "warning: [log] %s = %s can't be written: %s; %s: %s\n",
			      setting, path, system_error_making(errno),
			      required ? "work stops for it (audit_required)"
				       : "its lines are lost",
			      system_error_remedy(errno));
}

void module_describe(const struct module *module, struct buffer *out)
{
	const struct config *config = &module->config;

	buffer_format(out, "module: cmek-pkcs11 %s\n%s", CMEK_VERSION, config->described);
	if (log_is_file(config->log_to))
		describe_log("to", config->log_to, false, out);
	describe_log("audit", config->log_audit, config->log_audit_required, out);
	buffer_format(out, "cryptography: OpenSSL %s%s\n", crypto_openssl_version(),
		      crypto_is_fips() ? ", FIPS provider only" : "");
	if (secret_unlocked_count() > 0)
		buffer_put_text(out, "warning: keys in memory are not locked against swapping; "
				     "raise RLIMIT_MEMLOCK\n");
}

static CK_RV describe(struct module *module)
{
	AUTO(buffer_clear) struct buffer text = {0};

	module_describe(module, &text);
	return buffer_text(&text) == NULL ? CKR_HOST_MEMORY
					  : report_describe(module->objects, buffer_text(&text));
}

/* Takes over the configuration. */
static CK_RV module_new(struct config *config, bool no_threads, struct module **ret_module)
{
	const struct token_settings settings = {config->slots_free, config->slots_login_required};
	AUTO(module_freep) struct module *module = calloc(1, sizeof(*module));

	if (module == NULL)
		return CKR_HOST_MEMORY;
	slot_events_init(&module->slot_events);
	module->life = atomic_fetch_add(&lives, 1);
	module->no_threads = no_threads;
	module->config = *config;
	*config = (struct config){0};
	if (module->config.default_root_key != NULL)
		stored_fields_write_root_key(module->config.default_root_key,
					     &module->root_key_extra);
	TRY(make_zones(module));
	TRY(objects_new(module->zones, &mechanisms_asked, &module->objects));
	TRY(tokens_new(module->objects, &settings, &module->tokens));
	TRY(describe(module));
	*ret_module = TAKE(module);
	return CKR_OK;
}

/* A fork's child. */

/* The parent's life is left as it is: threads that do not exist here may hold its locks, and its
 * connections are the parent's. */
static void abandon(void)
{
	sessions_abandon();
	if (current != NULL) {
		zones_abandon(current->zones);
		current->is_abandoned = true;
	}
	/* What called back in the parent does not here: it returns to nothing (pkcs11/doctor.c). */
	if (thread_notes_kept()->calls_back)
		thread_notes()->calls_back = false;
	secret_abandon();
	crypto_abandon();
	current = NULL;
	users = 0;
	pthread_mutex_init(&living, NULL);
	pthread_mutex_init(&using, NULL);
	pthread_cond_init(&unused, NULL);
	fork_mark();
}

/* Two threads of a child may initialize at once. True: this call has let go of a life. */
static bool abandon_once(void)
{
	static atomic_flag busy = ATOMIC_FLAG_INIT;
	bool lived = false;

	while (atomic_flag_test_and_set(&busy))
		sched_yield();
	if (fork_is_child()) {
		lived = current != NULL;
		abandon();
	}
	atomic_flag_clear(&busy);
	return lived;
}

/* C_Initialize and C_Finalize. */

static bool is_started(void)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&using);

	return current != NULL;
}

static void publish(struct module *module)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&using);

	current = module;
}

static void configure_log(const struct config *config)
{
	if (!log_configure((enum log_level)config->log_level, config->log_to))
		log_loss("[log] to = %s can't be opened: %s; the log stays where it was; %s",
			 config->log_to, system_error_making(errno), system_error_remedy(errno));
}

static bool start_crypto(const struct config *config)
{
	AUTO(buffer_clear) struct buffer at = {0};

	if (!config->crypto_fips)
		return crypto_start(false);
	buffer_format(&at, "[crypto] fips in %s line %u", config->file, config->crypto_fips_line);
	return crypto_start_fips(buffer_text(&at));
}

static CK_RV start(struct config *config, bool no_threads)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&living);
	AUTO(module_freep) struct module *module = NULL;

	if (is_started())
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	fork_mark();
	/* Here, while nobody uses the module: lines are written without a lock. */
	if (!audit_configure(config->log_audit))
		return CKR_HOST_MEMORY;
	audit_require(config->log_audit_required);
	TRY(module_new(config, no_threads, &module));
	TRY(sessions_start(module->objects, module->tokens));
	publish(TAKE(module));
	error_call_ends();
	return CKR_OK;
}

CK_RV module_start(const char *reserved, bool no_threads)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(config_clear) struct config config = {0};

	if (fork_is_child())
		abandon_once();
	if (is_started())
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	TRY(config_read(reserved, &config));
	configure_log(&config);
	if (!start_crypto(&config))
		return CKR_FUNCTION_FAILED;
	mechanisms_fips_by(config.crypto_fips ? config.file : NULL);
	collected_keep((uint64_t)config.crypto_keep_max_mib << 20);
	return start(&config, no_threads);
}

/* From here on nobody gets the module; threads that have it bring it back. */
static struct module *withdraw(void)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&using);
	struct module *module = current;

	current = NULL;
	while (users > 0)
		pthread_cond_wait(&unused, &using);
	return module;
}

CK_RV module_stop(void)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(unlockp) pthread_mutex_t *held = NULL;
	AUTO(module_freep) struct module *module = NULL;

	/* A program that ends what it has inherited before it begins anew is right. */
	if (fork_is_child() && abandon_once())
		return CKR_OK;
	if (thread_notes_kept()->calls_back) {
		log_error("C_Finalize was called by what CMEK_Doctor calls for each row, which is "
			  "not over yet: call it afterwards");
		return CKR_FUNCTION_FAILED;
	}
	held = locked(&living);
	module = withdraw();
	if (module == NULL)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	sessions_stop();
	return CKR_OK;
}

/* Borrowing. */

static struct module *take_current(void)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&using);

	users += current != NULL;
	return current;
}

CK_RV module_borrow_for(const char *function, struct module **ret_module)
{
	struct module *module = fork_is_child() ? NULL : take_current();

	audit_enter(function);
	if (module == NULL)
		return refusal_told(function, CKR_CRYPTOKI_NOT_INITIALIZED);
	ready_keys_tidy_idle(module->objects);
	*ret_module = module;
	return CKR_OK;
}

/* A call that the program forked in, being called back, does not end in the child. */
static bool is_here(const struct module *module)
{
	return module != NULL && !fork_is_child() && !module->is_abandoned;
}

void module_leave(struct module **module)
{
	AUTO(unlockp) pthread_mutex_t *held = NULL;

	if (!is_here(*module))
		return;
	/* The call may have learnt, or done, something that ends keys. */
	ready_keys_tidy_idle((*module)->objects);
	held = locked(&using);
	if (--users == 0)
		pthread_cond_broadcast(&unused);
}

void module_return(struct module **module)
{
	bool ends = is_here(*module);

	module_leave(module);
	if (ends)
		error_ended(CKR_OK);
}
