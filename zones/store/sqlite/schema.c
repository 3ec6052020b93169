/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, as an administrator finds them with the sqlite3 tool. Ids are hex text, zone ids
 * decimal, times milliseconds since 1970 in UTC. Each row has the store's revision of its last
 * change, by which other processes read only what is new.
 */
#include "zones/store/sqlite/sqlite.h"

/* clang-format off */
#define COMMON(project)                                                                            \
	"	uid TEXT PRIMARY KEY CHECK (length(uid) = 32),\n"                                  \
	"	project TEXT NOT NULL " project ",\n"                                              \
	"	revision INTEGER NOT NULL,\n"                                                      \
	"	state TEXT NOT NULL CHECK (state IN ('active', 'pending deletion')),\n"            \
	"	created_ms INTEGER NOT NULL,\n"                                                    \
	"	delete_after_ms INTEGER NOT NULL,\n"                                               \
	"	label TEXT NOT NULL,\n"                                                            \
	"	id BLOB NOT NULL,\n"                                                               \
	"	usages INTEGER NOT NULL,\n"                                                        \
	"	extra BLOB NOT NULL,\n"

#define OF_PROJECT "REFERENCES projects(uid) DEFERRABLE INITIALLY DEFERRED"

const char *const store_schema[] = {
	/* One row. schema: the store's level; release: the first that knows it. */
	"CREATE TABLE store (\n"
	"	one INTEGER PRIMARY KEY CHECK (one = 1),\n"
	"	id TEXT NOT NULL,\n"
	"	schema INTEGER NOT NULL,\n"
	"	revision INTEGER NOT NULL,\n"
	"	created_ms INTEGER NOT NULL,\n"
	"	created_by TEXT NOT NULL,\n"
	"	min_reader INTEGER NOT NULL,\n"
	"	min_writer INTEGER NOT NULL,\n"
	"	release TEXT NOT NULL\n"
	")",
	/* announced_ms: when it was said last that something of it is due for good. */
	"CREATE TABLE projects (\n"
	COMMON("")
	"	slot INTEGER NOT NULL,\n"
	"	announced_ms INTEGER NOT NULL\n"
	")",
	"CREATE TABLE root_keys (\n"
	COMMON(OF_PROJECT)
	"	arn TEXT NOT NULL,\n"
	"	provider TEXT NOT NULL,\n"
	"	region TEXT NOT NULL,\n"
	"	multi_region INTEGER NOT NULL,\n"
	"	canary BLOB NOT NULL\n"
	")",
	/* leaving: the root key that some of its zones still have; zeros: none. */
	"CREATE TABLE clusters (\n"
	COMMON(OF_PROJECT)
	"	provider TEXT NOT NULL,\n"
	"	region TEXT NOT NULL,\n"
	"	root_key TEXT NOT NULL REFERENCES root_keys(uid) DEFERRABLE INITIALLY DEFERRED,\n"
	"	leaving TEXT NOT NULL\n"
	")",
	"CREATE TABLE zones (\n"
	COMMON(OF_PROJECT)
	"	zone INTEGER NOT NULL UNIQUE CHECK (zone > 0),\n"
	"	cluster TEXT NOT NULL REFERENCES clusters(uid) DEFERRABLE INITIALLY DEFERRED,\n"
	"	primary_version INTEGER NOT NULL,\n"
	"	raw_version INTEGER NOT NULL,\n"
	"	minimum_version INTEGER NOT NULL,\n"
	"	imported INTEGER NOT NULL,\n"
	"	rotate_days INTEGER NOT NULL\n"
	")",
	/* project and cluster: those that the record is bound to; record_zone: 0, or the zone that
	 * it is bound to. */
	"CREATE TABLE ezk_versions (\n"
	"	zone INTEGER NOT NULL REFERENCES zones(zone) ON DELETE CASCADE\n"
	"		DEFERRABLE INITIALLY DEFERRED,\n"
	"	record_zone INTEGER NOT NULL CHECK (record_zone >= 0),\n"
	"	version INTEGER NOT NULL CHECK (version > 0),\n"
	"	state TEXT NOT NULL CHECK (state IN ('active', 'pending deletion')),\n"
	"	delete_after_ms INTEGER NOT NULL,\n"
	"	created_ms INTEGER NOT NULL,\n"
	"	greatest_usages INTEGER NOT NULL,\n"
	"	limits BLOB NOT NULL CHECK (length(limits) <= 1024),\n"
	"	fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),\n"
	"	mac BLOB NOT NULL CHECK (length(mac) = 32),\n"
	"	all_wraps INTEGER NOT NULL,\n"
	"	project TEXT NOT NULL,\n"
	"	cluster TEXT NOT NULL,\n"
	"	PRIMARY KEY (zone, record_zone, version),\n"
	"	UNIQUE (zone, fingerprint)\n"
	")",
	"CREATE TABLE wraps (\n"
	"	zone INTEGER NOT NULL,\n"
	"	record_zone INTEGER NOT NULL,\n"
	"	version INTEGER NOT NULL,\n"
	"	position INTEGER NOT NULL,\n"
	"	state TEXT NOT NULL CHECK (state IN ('active', 'unproven', 'replaced')),\n"
	"	arn TEXT NOT NULL,\n"
	"	blob BLOB NOT NULL,\n"
	"	share INTEGER NOT NULL CHECK (share BETWEEN 0 AND 2),\n"
	"	PRIMARY KEY (zone, record_zone, version, position),\n"
	"	FOREIGN KEY (zone, record_zone, version)\n"
	"		REFERENCES ezk_versions(zone, record_zone, version) ON DELETE CASCADE\n"
	"		DEFERRABLE INITIALLY DEFERRED\n"
	")",
	"CREATE TABLE token_keys (\n"
	COMMON(OF_PROJECT)
	"	zone INTEGER NOT NULL REFERENCES zones(zone) DEFERRABLE INITIALLY DEFERRED,\n"
	"	wrapped BLOB NOT NULL,\n"
	"	key_type INTEGER NOT NULL,\n"
	"	value_len INTEGER NOT NULL\n"
	")",
	"CREATE TABLE archives (\n"
	COMMON(OF_PROJECT)
	"	slot INTEGER NOT NULL,\n"
	"	archived TEXT NOT NULL REFERENCES projects(uid) DEFERRABLE INITIALLY DEFERRED\n"
	")",
	/* What is gone for good. number: the zone id or slot, which never comes again. */
	"CREATE TABLE tombstones (\n"
	"	uid TEXT PRIMARY KEY,\n"
	"	kind TEXT NOT NULL,\n"
	"	revision INTEGER NOT NULL,\n"
	"	number INTEGER NOT NULL,\n"
	"	removed_ms INTEGER NOT NULL,\n"
	"	project TEXT NOT NULL\n" /* which may be gone itself */
	")",
	/* One value serves one version of one zone, there and wherever that was imported. */
	"CREATE UNIQUE INDEX ezk_versions_fingerprint ON ezk_versions (fingerprint)\n"
	"	WHERE record_zone = 0",
	/* The rules are checked in zones/; here once more what must never be twice. */
	"CREATE UNIQUE INDEX projects_slot ON projects (slot) WHERE state = 'active'",
	"CREATE UNIQUE INDEX root_keys_arn ON root_keys (project, arn)",
	"CREATE UNIQUE INDEX root_keys_label ON root_keys (project, label) WHERE state = 'active'",
	"CREATE UNIQUE INDEX clusters_label ON clusters (project, label) WHERE state = 'active'",
	"CREATE UNIQUE INDEX zones_label ON zones (project, label) WHERE state = 'active'",
	"CREATE INDEX projects_revision ON projects (revision)",
	"CREATE INDEX root_keys_revision ON root_keys (revision)",
	"CREATE INDEX clusters_revision ON clusters (revision)",
	"CREATE INDEX zones_revision ON zones (revision)",
	"CREATE INDEX token_keys_revision ON token_keys (revision)",
	"CREATE INDEX archives_revision ON archives (revision)",
	"CREATE INDEX tombstones_revision ON tombstones (revision)",
	/* So that a zone's removal finds what names it. */
	"CREATE INDEX token_keys_zone ON token_keys (zone)",
	/* What is looked for by a key in a store of which a process knows but a part (few.c). */
	"CREATE INDEX token_keys_label ON token_keys (project, label) WHERE state = 'active'",
	"CREATE INDEX ezk_versions_import ON ezk_versions (record_zone) WHERE record_zone <> 0",
	"CREATE INDEX tombstones_zone ON tombstones (number) WHERE kind = 'zone'",
	NULL
};
/* clang-format on */
